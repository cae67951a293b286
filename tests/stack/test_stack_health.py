"""Healthy means that the process that runs now has shown it."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from include.context.running_stack import since_boot
from stack.health import healthy_components
from stack.state import ComponentState, Lifecycle

_NOW = time.time()


class _Report(BaseHTTPRequestHandler):
    beat = _NOW

    def do_GET(self) -> None:
        beat = datetime.fromtimestamp(self.beat, UTC).isoformat()
        body = {"scheduler": {"status": "healthy", "latest_scheduler_heartbeat": beat}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def url() -> Iterator[str]:
    """Serve a report in which the scheduler last showed itself at `_NOW`."""
    with HTTPServer(("127.0.0.1", 0), _Report) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def _component(
    url: str, part: str, started: float, state: Lifecycle = Lifecycle.RUNNING
) -> ComponentState:
    """Return one that was started at a time of the day."""
    return ComponentState(
        name="scheduler",
        state=state,
        pid=1,
        started=since_boot() - (time.time() - started),
        restarts=0,
        exit_code=None,
        once=False,
        url=url,
        part=part,
    )


def test_a_sign_of_life_after_the_start_is_health(url: str) -> None:
    """The scheduler that was started before its last heartbeat works."""
    assert healthy_components([_component(url, "scheduler", _NOW - 5)]) == {"scheduler"}


def test_a_predecessors_sign_of_life_is_not(url: str) -> None:
    """Airflow reports a killed scheduler as healthy for a while; its successor has to show up."""
    assert healthy_components([_component(url, "scheduler", _NOW + 5)]) == set()


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_was_set_does_not_make_it_ill(
    url: str, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """It was started an hour ago; its last sign of life came by the clock as it is now."""
    scheduler = _component(url, "scheduler", _NOW - 3600)
    now, beat = time.time, _Report.beat
    monkeypatch.setattr(time, "time", lambda: now() + hours * 3600)
    monkeypatch.setattr(_Report, "beat", beat + hours * 3600)
    assert healthy_components([scheduler]) == {"scheduler"}


def test_a_part_that_the_report_does_not_name_is_not_healthy(url: str) -> None:
    """A triggerer that has never run is missing from the report."""
    assert healthy_components([_component(url, "triggerer", _NOW - 5)]) == set()


def test_a_component_that_is_down_is_not_asked() -> None:
    """Neither a refused connection nor a dead process is health."""
    nowhere = "http://127.0.0.1:9/"
    assert (
        healthy_components(
            [_component(nowhere, "", 0), _component(nowhere, "", 0, Lifecycle.RESTARTING)]
        )
        == set()
    )
