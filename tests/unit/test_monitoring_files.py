"""The files of Prometheus and Grafana: sound by themselves, and in step with the documents."""

import json
import os
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.settings import PROJECT
from tests.expressions import MONITORING, alerts, dashboard, expressions, shown

BOARD = dashboard()
PANELS = shown(BOARD)
TITLES = [panel["title"] for panel in PANELS]


def promtool(*words: str) -> str:
    """Run Prometheus' own checker in the folder; return what it says, or skip without it."""
    found = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool here: it is in Debian's package `prometheus`")
    done = subprocess.run(
        [found, *words], cwd=MONITORING, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def anchors(document: str) -> set[str]:
    """Return the headings of a document as links name them."""
    text = (PROJECT / document).read_text()
    return {one.lower().replace(" ", "-") for one in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def test_prometheus_takes_its_files() -> None:
    """By its own checker."""
    assert "SUCCESS" in promtool("check", "config", "--syntax-only", "prometheus.yml")
    assert f"{len(alerts())} rules found" in promtool("check", "rules", "alerts.yml")


def test_alerts_fire_when_they_should() -> None:
    """By the tests of alerts_test.yml, which hold a sound day, too."""
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


def test_every_alert_has_a_test() -> None:
    """A firing one, in alerts_test.yml."""
    tests = yaml.safe_load((MONITORING / "alerts_test.yml").read_text())["tests"]
    cases = [case for one in tests for case in one.get("alert_rule_test", [])]
    fired = {case["alertname"] for case in cases if case["exp_alerts"]}
    assert fired == {rule["alert"] for rule in alerts()}


def test_prometheus_takes_the_dashboards_expressions(tmp_path: Path) -> None:
    """Each as a rule of its own, with something in place of Grafana's variables."""
    asked = [
        expression.replace("$__rate_interval", "5m").replace("$__interval", "5m").replace("$", "")
        for expression in expressions()
    ]
    rules = [{"record": f"asked:{number}", "expr": one} for number, one in enumerate(asked)]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "asked", "rules": rules}]}))
    assert f"{len(asked)} rules found" in promtool("check", "rules", str(path))


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_is_a_sentence_with_a_way_on(rule: dict[str, Any]) -> None:
    """Its entry in the runbook is there, and the table of alerts has it with its expression."""
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert rule["annotations"]["summary"].endswith(".")
    document, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert (document, anchor) == ("docs/runbook.md", rule["alert"].lower())
    assert anchor in anchors(document)
    told = (PROJECT / "docs" / "monitoring.md").read_text()
    assert f"[{rule['alert']}](runbook.md#{anchor})" in told


def test_the_dashboard_is_what_grafana_reads() -> None:
    """A schema that Grafana 10 and 11 know, and every panel known by a number of its own."""
    assert BOARD["schemaVersion"] in {38, 39}
    assert BOARD["id"] is None
    assert BOARD["uid"] == "ratchet"
    numbers = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert len(set(TITLES)) == len(TITLES)
    kinds = {panel["type"] for panel in BOARD["panels"]}
    assert kinds <= {"row", "stat", "timeseries", "table"}


def test_panels_stand_beside_one_another() -> None:
    """Inside 24 columns, none over another, and no gap in a line of them."""
    places = [panel["gridPos"] for panel in BOARD["panels"]]
    cells = [
        {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        for at in places
    ]
    assert all(x < 24 for one in cells for x, _ in one)
    assert all(not one & other for one, other in combinations(cells, 2))
    whole = set().union(*cells)
    assert len(whole) == 24 * (1 + max(y for _, y in whole))


@pytest.mark.parametrize("panel", PANELS, ids=TITLES)
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    """A sentence, a unit, a legend for each series, and the data source that the reader picks."""
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references)
    for one in (panel, *panel["targets"]):
        assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    if panel["type"] != "table":
        assert all(target["legendFormat"] for target in panel["targets"])
    used = {name for target in panel["targets"] for name in re.findall(r"\$(\w+)", target["expr"])}
    known = {one["name"] for one in BOARD["templating"]["list"]}
    assert used <= known | {"__rate_interval", "__interval"}


def test_a_key_is_named_and_not_written() -> None:
    """Prometheus reads the endpoint's key from the file that compose mounts."""
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    serving = next(one for one in config["scrape_configs"] if one["job_name"] == "serving")
    assert serving["authorization"] == {"credentials_file": "/run/secrets/metrics-key"}
    services = yaml.safe_load((MONITORING / "compose.yaml").read_text())["services"]
    assert services["prometheus"]["secrets"] == ["metrics-key"]


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_what_compose_adds_is_pinned_loopback_and_finds_its_files(name: str) -> None:
    """An exact version, ports on this machine alone, and mounts that nobody writes through."""
    service = yaml.safe_load((MONITORING / "compose.yaml").read_text())["services"][name]
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", service["image"])
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    mounts = [one.split(":") for one in service["volumes"] if one.startswith("./")]
    assert mounts
    for source, _, mode in mounts:
        assert (PROJECT / source).exists()
        assert mode == "ro"
