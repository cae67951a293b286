"""Whether a Dag is paused, as Airflow's API tells it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from include.adapters.dag_switch import DagSwitch
from include.monitoring.prometheus_page import SpecState, page

DAGS = {"off": {"is_paused": True}, "on": {"is_paused": False}, "odd": ["nothing"]}


class Dags(BaseHTTPRequestHandler):
    """Airflow's pages of Dags; it asks for an account where it has none of that name."""

    def do_GET(self) -> None:
        """Answer with the Dag of the path."""
        dag = DAGS.get(self.path.removeprefix("/api/v2/dags/"))
        body = json.dumps(dag).encode()
        self.send_response(200 if dag else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def airflow_url() -> Iterator[str]:
    """Return the address of an Airflow that answers."""
    with HTTPServer(("127.0.0.1", 0), Dags) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("dag", "is_paused"), [("off", True), ("on", False), ("odd", None), ("strange", None)]
)
def test_a_dag_is_paused_or_not_or_it_is_not_known(
    *, airflow_url: str, dag: str, is_paused: bool | None
) -> None:
    """What answers otherwise than Airflow, or asks for an account, says nothing."""
    assert DagSwitch(airflow_url, dag).is_paused() is is_paused


def test_an_airflow_that_is_away_says_nothing() -> None:
    """Nor does it keep anybody waiting."""
    assert DagSwitch("http://127.0.0.1:1", "on").is_paused() is None


def test_the_page_has_a_sample_where_it_is_known() -> None:
    """1 for a paused Dag, 0 for another."""
    told = {"a": True, "b": None, "c": False}
    states = [SpecState(name, "m", (), is_paused=paused) for name, paused in told.items()]
    (family,) = (one for one in page(states) if one.name == "ratchet_dag_paused")
    assert {one.labels["spec"]: one.value for one in family.samples} == {"a": 1, "c": 0}
