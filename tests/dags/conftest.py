"""Airflow with a home of its own: set before anything imports it, and without a database."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from include.settings import PROJECT

os.environ |= {
    "AIRFLOW_HOME": tempfile.mkdtemp(prefix="airflow-"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
}

from airflow.dag_processing.dagbag import DagBag

Parse = Callable[[Path], DagBag]


@pytest.fixture
def parse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parse:
    """Return a function that parses the Dag folder for the specs of a folder."""

    def parsed(specs: Path) -> DagBag:
        monkeypatch.setenv("RATCHET_SPECS", str(specs))
        monkeypatch.setenv("RATCHET_HOME", str(tmp_path / "home"))
        return DagBag(dag_folder=PROJECT / "dags")

    return parsed
