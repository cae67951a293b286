"""The way out of one server, and what it says on the way in."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.traffic.drain import LONGEST_SECONDS, Drain
from tests.serving.conftest import Save
from tests.serving.processes import Server, stock, until
from tests.serving.registries import free_port
from tests.serving.test_process import QUESTION
from tests.serving.test_workers import Clock

READY = "/v2/health/ready"


@pytest.fixture
def server(tmp_path: Path, save_bundle: Save) -> Iterator[Server]:
    """Return a ready server that listens for a while after it was told to stop."""
    stock(tmp_path / "serving", *save_bundle())
    started = Server(free_port(), tmp_path, SERVING_DRAIN_SECONDS="2", SERVING_LOG="json")
    try:
        until(lambda: started.status(READY) == 200)
        yield started
    finally:
        started.kill()


def test_not_ready_comes_before_the_end(server: Server) -> None:
    """While balancers look away, whoever still asks is answered; then it ends with 0.

    A client that keeps its connection is asked to leave it, so that it does not lose a request.
    """
    with httpx.Client(base_url=server.url) as keeping:
        before = keeping.post("/v2/models/boxes/infer", json=QUESTION)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.status(READY) == 503)
        answer = keeping.post("/v2/models/boxes/infer", json=QUESTION)
    assert (before.status_code, before.headers.get("connection")) == (200, None)
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    said = httpx.get(f"{server.url}{READY}").json()
    assert said == {
        "ready": False,
        "error": "the server is stopping: send requests elsewhere",
    }
    assert server.process.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT, signal.SIGINT])
def test_a_closed_terminal_loses_no_request(server: Server, number: signal.Signals) -> None:
    """What a terminal sends drains as SIGTERM does, also when its end is told of twice."""
    server.process.send_signal(number)
    until(lambda: server.status(READY) == 503)
    server.process.send_signal(signal.SIGHUP)
    answer = httpx.post(f"{server.url}/v2/models/boxes/infer", json=QUESTION)
    assert answer.status_code == 200
    assert server.process.wait(10) == 0


def test_what_is_started_to_outlive_its_terminal_does(tmp_path: Path) -> None:
    """Under nohup a SIGHUP changes nothing."""
    nohup = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        server = Server(free_port(), tmp_path)
    finally:
        signal.signal(signal.SIGHUP, nohup)
    try:
        until(lambda: server.status("/v2/health/live") == 200)
        server.process.send_signal(signal.SIGHUP)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        assert "Shutting down" in server.log()
    finally:
        server.kill()


def test_a_second_signal_ends_it_at_once(server: Server) -> None:
    """Nobody has to wait who does not want to, and the code tells it from a clean end."""
    server.process.send_signal(signal.SIGTERM)
    until(lambda: server.status(READY) == 503)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(1.5) == 128 + signal.SIGTERM


def test_every_line_of_a_json_log_is_an_object(server: Server) -> None:
    """Those of uvicorn too, from the first to the last."""
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10) == 0
    lines = [json.loads(line) for line in server.log().splitlines()]
    assert {line["logger"] for line in lines} >= {"serving", "uvicorn.error"}
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)


def test_a_folder_of_mlserver_is_served(tmp_path: Path) -> None:
    """As `mlserver start FOLDER` was: its port is bound, and what is left aside is in the log."""
    port, folder = free_port(), tmp_path / "models"
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps({"http_port": port, "kafka_enabled": True}))
    server = Server(port, tmp_path, str(folder))
    try:
        until(lambda: server.status("/v2/health/live") == 200)
        server.process.terminate()
        assert server.process.wait(10) == 0
    finally:
        server.kill()
    assert "settings.json is left aside: there is no Kafka here" in server.log()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"SERVING_HOST": "0.0.0.0"}, "there is no API key"),  # noqa: S104 - refused
        ({"SERVING_CANARY_SHARE": "2"}, "SERVING_CANARY_SHARE is '2'"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, said: dict[str, str], sentence: str) -> None:
    """A server that must not start exits 1 and says why, without a traceback."""
    server = Server(free_port(), tmp_path, **said)
    assert server.process.wait(30) == 1
    assert server.log().count("\n") == 1
    assert sentence in server.log()


@pytest.mark.asyncio
async def test_other_servers_stop_when_listening_ends() -> None:
    """A gRPC server gets half of what is left of the time, and is waited for."""
    clock, given = Clock(), list[float]()

    async def stop(seconds: float) -> None:
        given.append(seconds)

    drain = Drain(1.0, clock)
    drain.on_stop(stop)
    drain.begin()
    looks = [drain.is_over]
    clock.now += 1.0
    looks.append(drain.is_over)
    assert looks == [False, True]
    await drain.stop_others()
    assert given == [(LONGEST_SECONDS - 1.0) / 2]
