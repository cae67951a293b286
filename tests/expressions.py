"""The PromQL of the alerts and of the dashboard, and which names and labels it speaks of."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

MONITORING = Path(__file__).parents[1] / "deploy" / "monitoring"
_NAME = re.compile(r"\b(?:ratchet|haproxy)_[a-z0-9_]+")
_MATCHED = re.compile(r"\b((?:ratchet|haproxy)_[a-z0-9_]+)\{([^}]*)\}")
_LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
_GROUPED = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")
_LABEL_VALUES = re.compile(r"label_values\((\w+), (\w+)\)")


def alerts() -> list[dict[str, Any]]:
    """Return every alerting rule."""
    groups = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    text = (MONITORING / "grafana" / "dashboards" / "ratchet.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def shown(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels that show something: all but rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Return every expression of the alerts, the panels and the annotations."""
    board = dashboard()
    asked = [target["expr"] for panel in shown(board) for target in panel["targets"]]
    marks = [one["expr"] for one in board["annotations"]["list"] if "expr" in one]
    return [*(rule["expr"] for rule in alerts()), *asked, *marks]


def names(of: Iterable[str]) -> set[str]:
    """Return the names of the series that expressions ask for."""
    return {name for one in of for name in _NAME.findall(one)}


def matched(of: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each series and label that expressions select by, `label_values` included."""
    for one in of:
        for name, inner in _MATCHED.findall(one):
            yield from ((name, label) for label in _LABEL.findall(inner))
        yield from _LABEL_VALUES.findall(one)


def grouped(of: Iterable[str]) -> set[str]:
    """Return the labels that expressions group or join by."""
    return {
        label.strip() for one in of for inner in _GROUPED.findall(one) for label in inner.split(",")
    }


def questions() -> list[str]:
    """Return what the dashboard's variables ask for."""
    variables = dashboard()["templating"]["list"]
    return [one["definition"] for one in variables if one["type"] == "query"]


def series(page: str) -> dict[str, set[str]]:
    """Return the labels of every series that a Prometheus page can show, from its own text.

    A family without a sample has its names from its TYPE line, and no labels.
    """
    found: dict[str, set[str]] = {}
    endings = {"histogram": ("_bucket", "_sum", "_count")}
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", page, re.MULTILINE):
        found |= {name + ending: set() for ending in endings.get(kind, ("",))}
    for name, inner in re.findall(r"^(\w+)\{(.*)\} \S+$", page, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'([a-z_]+)="', inner))
    return found
