"""`make status` names paused Dags that files or a run wait for, and places nobody may read."""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from include.settings import Settings, read_settings
from stack.paused_dags import held_up
from stack.strays import unreadable

RUN = {"dag_runs": [{"dag_run_id": "asset__7"}]}
ANSWERS = {
    "/api/v2/dags": {"dags": [{"dag_id": "loans"}, {"dag_id": "rents"}, {"dag_id": "gone"}]},
    "/api/v2/dags/rents/dagRuns": RUN,
}


class Airflow(BaseHTTPRequestHandler):
    """Airflow's API with three paused Dags, one of which has a run that is under way."""

    def do_GET(self) -> None:
        """Answer with what there is, else with no run."""
        body = json.dumps(ANSWERS.get(self.path.partition("?")[0], {"dag_runs": []})).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def specs(tmp_path: Path) -> Settings:
    """Return settings with three specs, and a landing folder for each."""
    for name in ("loans", "rents", "wages"):
        (tmp_path / "landing" / name).mkdir(parents=True)
        (tmp_path / "specs").mkdir(exist_ok=True)
        (tmp_path / "specs" / f"{name}.toml").write_text(f'title = "{name}"\n')
    return replace(read_settings({"RATCHET_HOME": str(tmp_path)}), specs=tmp_path / "specs")


@pytest.fixture
def airflow(specs: Settings) -> Iterator[Settings]:
    """Return them with an Airflow that answers."""
    with HTTPServer(("127.0.0.1", 0), Airflow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield replace(specs, airflow_port=server.server_port)
        server.shutdown()


def test_files_that_wait_for_a_paused_dag_are_told(airflow: Settings) -> None:
    """One whose Dag is switched on is no finding, nor is a paused Dag that nothing waits for."""
    (Path(airflow.landing) / "loans" / "a.csv").touch()
    (Path(airflow.landing) / "wages" / "a.csv").touch()
    said = list(held_up(airflow))
    assert said[0].startswith("The Dag loans is paused, and a.csv waits for it: nothing goes on")
    assert said[0].endswith(f"{airflow.airflow_url}/dags/loans")
    assert len(said) == 2


def test_a_run_that_stands_still_is_told(airflow: Settings) -> None:
    """Airflow starts none of its tasks meanwhile, and shows it as running."""
    (said,) = held_up(airflow)
    assert said.startswith("The Dag rents is paused, and its run asset__7 waits for it")


def test_no_word_is_said_of_switches_without_airflow(specs: Settings) -> None:
    """That it does not answer is told elsewhere."""
    (Path(specs.landing) / "loans" / "a.csv").touch()
    assert list(held_up(replace(specs, airflow_port=1))) == []


def test_a_landing_place_that_may_not_be_read_is_told(
    specs: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its folder and its spec; the others are as they should be."""
    assert list(unreadable(specs)) == []
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).name != "rents" and access(path, mode)
    )
    (said,) = unreadable(specs)
    assert said.startswith(f"{specs.landing}/rents, where files of rents land, may not be read")


@pytest.mark.parametrize(
    "place", ["lake", "lake/rents", "mlflow/artifacts", "mlflow/artifacts/1/models", "serving/m"]
)
def test_a_folder_that_the_stack_cannot_write_to_is_told(
    specs: Settings, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """MLflow is healthy then and answers nothing else, so that a run waits for it."""
    (specs.home / place).mkdir(parents=True)
    assert list(unreadable(specs)) == []
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path != specs.home / place and access(path, mode)
    )
    (said,) = unreadable(specs)
    assert said.startswith(f"{specs.home}/{place}, which the stack writes to, may not be read")
