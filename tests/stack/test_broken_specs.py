"""`make status` names the specs that cannot be used, as Airflow tells of them."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from include.context.running_stack import Phase
from include.settings import Settings
from stack.broken_specs import TAG, BrokenSpec, broken_specs
from stack.state import ComponentState, Lifecycle, StackState
from stack.verdict import ExitCode, StatusFindings, findings

DAGS = {"a": ["ratchet", "m"], "b": [TAG], "c": [TAG]}


class Answering(BaseHTTPRequestHandler):
    """Airflow's list of Dags."""

    def do_GET(self) -> None:
        """Answer with those that have the tag that is asked for."""
        tag = parse_qs(urlsplit(self.path).query).get("tags", [""])[0]
        found = [name for name, tags in DAGS.items() if tag in tags]
        dags = [{"dag_id": name, "description": f"{name}.toml: no"} for name in found]
        body = json.dumps({"dags": dags, "total_entries": len(dags)}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def airflow(settings: Settings) -> Iterator[Settings]:
    """Return settings whose Airflow answers."""
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield replace(settings, airflow_port=server.server_port)
        server.shutdown()


def running_stack() -> StackState:
    """Return the state of a stack that runs."""
    api = ComponentState(
        "api-server", Lifecycle.RUNNING, 1, 1.0, 0, None, once=False, url="", part=""
    )
    return StackState(Phase.RUNNING, 1, 1.0, {}, (api,))


def test_broken_specs_are_those_that_airflow_shows_so(airflow: Settings) -> None:
    """By the name of their Dag, with the reason."""
    assert broken_specs(airflow.airflow_url) == [
        BrokenSpec("b", "b.toml: no"),
        BrokenSpec("c", "c.toml: no"),
    ]


def test_nothing_is_said_while_airflow_does_not_answer(settings: Settings) -> None:
    """That it does not answer is told elsewhere."""
    assert broken_specs(settings.airflow_url) == []


def test_status_asks_a_person_to_look(airflow: Settings) -> None:
    """A sentence a spec; of a stack that is down there is nobody to ask."""
    found = findings(StatusFindings(airflow, running_stack()))
    told = [one.sentence for one in found]
    assert "The spec of the Dag b is broken: b.toml: no" in told
    assert found[-1].code == ExitCode.NEEDS_A_PERSON
    assert not any("is broken" in one.sentence for one in findings(StatusFindings(airflow, None)))
