"""What alerts, dashboard and documents speak of, held against the pages of the real processes."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.serving_model import NAME
from benchmarks.serving_process import HEADERS
from demo.data import pulsar_rows
from include.context.step_context import StepContext
from include.records.moves import RollBack
from include.records.training import Form
from include.settings import PROJECT
from include.steps.roll_back import roll_back
from tests.conftest import PULSARS
from tests.contract.pipeline import drop, run
from tests.contract.stand_in_airflow import airflow_with
from tests.contract.test_exporter import exporting, page
from tests.expressions import expressions, grouped, matched, names, questions, series
from tests.serving.processes import until
from tests.serving.registries import free_port
from tests.serving.served import WIDTH, linear, served

PROXY = """
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend rest
    bind 127.0.0.1:{port}
    http-request use-service prometheus-exporter if {{ path /metrics }}
    default_backend replicas
backend replicas
    server one 127.0.0.1:1 check
"""
OF_PROMETHEUS = {"instance", "job", "le"}


@pytest.fixture(scope="module")
def registry_url(mlflow_url: str) -> str:
    """Return MLflow's server: the exporter, a process of its own, asks it."""
    return mlflow_url


@pytest.fixture(scope="module")
def exporter_page(new_context: Callable[[], StepContext]) -> str:
    """Return the page of an exporter beside a lake and an MLflow that have seen two trainings."""
    context, rows = new_context(), pulsar_rows(600, seed=5)
    drop(context, rows[:300])
    run(context, Form(force=True))
    broken = rows[300:].write_csv().splitlines()
    broken[1] = "x" + broken[1]
    drop(context, "\n".join(broken) + "\n", "more.csv")
    run(context, Form(force=True))
    roll_back(context, RollBack("back", 1, "worse", "Ada"))
    context.landing.drop("waits.csv", b"a\n")
    (context.settings.home / "specs").mkdir()
    text = PULSARS.replace('"pulsar-model"', f'"{context.spec.model}"')
    (context.settings.home / "specs" / f"{context.spec.name}.toml").write_text(text)
    port = context.settings.registry_url.rpartition(":")[2]
    with (
        airflow_with({context.spec.name: {"is_paused": False}}) as airflow,
        exporting(
            context.settings.home,
            RATCHET_MLFLOW_PORT=port,
            RATCHET_AIRFLOW_PORT=airflow.rpartition(":")[2],
        ) as (url, _),
    ):
        up = re.compile(r"^ratchet_up\{.*\} (.*)$", re.MULTILINE)
        until(lambda: up.findall(page(url)) == ["1.0"] * 4 and "artifact_intact{" in page(url))
        return page(url)


@pytest.fixture(scope="module")
def server_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the page of a server that has answered."""
    with served(tmp_path_factory.mktemp("served"), linear(1)) as site:
        server = site.server
        asked = httpx.post(
            f"{server.url}/v2/models/{NAME}/infer",
            json={"rows": [[0.5] * WIDTH]},
            headers=HEADERS,
            trust_env=False,
        )
        assert asked.status_code == 200
        return httpx.get(f"{server.url}/metrics", headers=HEADERS, trust_env=False).text


@pytest.fixture(scope="module")
def known(exporter_page: str, server_page: str) -> dict[str, set[str]]:
    """Return every series of both, with its labels."""
    return series(exporter_page) | series(server_page)


@pytest.fixture
def proxy_page(tmp_path: Path) -> Iterator[str]:
    """Return the page of a real HAProxy."""
    found = shutil.which("haproxy")
    if found is None:
        pytest.skip("no haproxy here: it is in Debian's package of that name")
    port = free_port()
    (tmp_path / "haproxy.cfg").write_text(PROXY.format(port=port))
    process = subprocess.Popen([found, "-db", "-f", str(tmp_path / "haproxy.cfg")])
    try:
        url = f"http://127.0.0.1:{port}/metrics"
        until(lambda: "haproxy_" in page(url))
        yield page(url)
    finally:
        process.kill()
        process.wait()


def test_the_two_pages_share_no_name(exporter_page: str, server_page: str) -> None:
    """Else a sum over one would count the other."""
    assert not series(exporter_page).keys() & series(server_page).keys()


def test_what_is_asked_for_is_on_the_pages(known: dict[str, set[str]]) -> None:
    """Every name that an alert, a panel or a variable asks for."""
    asked = names([*expressions(), *questions()])
    ours = {name for name in asked if name.startswith("ratchet_")}
    assert len(ours) > 30
    assert ours <= known.keys()


def test_labels_that_are_asked_for_are_there(known: dict[str, set[str]]) -> None:
    """A selector by a label that no sample has would show nothing, and say nothing."""
    checked = 0
    for name, label in matched([*expressions(), *questions()]):
        if known.get(name):
            assert label in known[name], (name, label)
            checked += 1
    assert checked > 40
    every = set().union(*known.values())
    assert grouped(expressions()) <= every | OF_PROMETHEUS | {"reason", "code"}


def test_every_series_of_the_exporter_has_samples(exporter_page: str) -> None:
    """After two trainings, a refused row, a roll back and a file that waits, none is empty."""
    empty = {name for name, labels in series(exporter_page).items() if not labels}
    assert empty == set()


def test_the_document_lists_what_the_exporter_shows(exporter_page: str) -> None:
    """All of it and nothing else, each with its labels."""
    text = (PROJECT / "docs" / "monitoring.md").read_text()
    rows = re.findall(r"^\| `(ratchet_\w+)` \| ([^|]*) \|", text, re.MULTILINE)
    told = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert told == series(exporter_page)


def test_what_is_asked_of_the_proxy_is_on_its_page(proxy_page: str) -> None:
    """By the HAProxy that is installed."""
    shown = series(proxy_page)
    asked = {name for name in names(expressions()) if name.startswith("haproxy_")}
    assert asked
    assert asked <= shown.keys()
    for name, label in matched(expressions()):
        assert name not in shown or label in shown[name]
