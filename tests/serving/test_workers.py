"""Several server processes behind one port: spread, killed, stopped and abandoned."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from serving.observing.board import STALE_SECONDS, WorkerFigures
from tests.serving.conftest import Save
from tests.serving.processes import Server, stock, until
from tests.serving.registries import free_port
from tests.serving.test_process import QUESTION

READY = "/v2/models/boxes/ready"
INFER = "/v2/models/boxes/infer"


@pytest.fixture
def pair(tmp_path: Path, save_bundle: Save) -> Iterator[Server]:
    """Return a server with two workers that both answer for boxes."""
    stock(tmp_path / "serving", *save_bundle())
    server = Server(free_port(), tmp_path, SERVING_WORKERS="2")
    try:
        until(lambda: len(_listening(server)) == 2 and server.status(READY) == 200)
        yield server
    finally:
        server.kill()


def test_connections_spread_over_the_workers(pair: Server) -> None:
    """Of many connections that stay open, each worker holds some and all are answered."""
    with ExitStack() as open_ones:
        clients = [open_ones.enter_context(httpx.Client(base_url=pair.url)) for _ in range(40)]
        until(lambda: clients[0].get(READY).status_code == 200)
        for client in clients:
            client.get("/v2/health/live")
        held = {number: _connections(worker) for number, worker in pair.workers().items()}
    assert sum(held.values()) == 40
    assert min(held.values()) >= 4


def test_a_killed_worker_comes_back_and_the_other_answers(pair: Server) -> None:
    """New connections find who lives at once; the parent says what it does."""
    killed = pair.workers()[0].pid
    os.kill(killed, signal.SIGKILL)
    until(lambda: "worker 0 ended with -9, starting it again" in pair.log())
    assert pair.status("/v2/health/live") == 200
    until(lambda: pair.workers().get(0, psutil.Process()).pid not in {killed, os.getpid()})
    until(lambda: len(_listening(pair)) == 2)
    _stop(pair)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_both_workers_answer_what_is_in_flight(pair: Server, number: signal.Signals) -> None:
    """A signal to the parent reaches all; each finishes its requests and all end with 0."""
    half_sent = threading.Barrier(9)

    def slow(_index: int) -> int:
        def body() -> Iterator[bytes]:
            question = httpx.Request("POST", "http://x", json=QUESTION).content
            yield question[:10]
            half_sent.wait(20)
            time.sleep(2)  # while connections are counted
            yield question[10:]

        return httpx.post(f"{pair.url}{INFER}", content=body(), timeout=20).status_code

    workers = pair.workers()
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(slow, range(8))
        half_sent.wait(20)
        until(lambda: sum(map(_connections, workers.values())) == 8)
        for _ in range(2 if number == signal.SIGHUP else 1):
            pair.process.send_signal(number)
        assert list(answers) == [200] * 8
    assert pair.process.wait(12) == 0
    assert not any(worker.is_running() for worker in workers.values())


def test_workers_do_not_outlive_their_parent(pair: Server) -> None:
    """However the parent ends, nobody keeps the port."""
    workers = list(pair.workers().values())
    pair.process.kill()
    _gone, alive = psutil.wait_procs(workers, timeout=12)
    assert alive == []


def test_when_none_can_start_the_parent_says_so(tmp_path: Path) -> None:
    """What every worker says is read once it is over, and the code is not 0."""
    (tmp_path / "serving").write_text("a file where the home should be")
    server = Server(free_port(), tmp_path, SERVING_WORKERS="2")
    assert server.process.wait(60) == 1
    assert "The server cannot start" in server.log()


def test_workers_do_not_share_a_port_with_another_server(tmp_path: Path) -> None:
    """A shared port is shared with their own kind only."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = Server(port, tmp_path, SERVING_WORKERS="2")
        assert server.process.wait(30) == 1
    assert server.log().count("\n") == 1
    assert f"port {port} is not to be had" in server.log()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_taken_grpc_port_is_a_sentence(tmp_path: Path, workers: str) -> None:
    """It is named with the variable that moves it, before anything is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = Server(free_port(), tmp_path, SERVING_WORKERS=workers, SERVING_GRPC_PORT=str(port))
        assert server.process.wait(30) == 1
    assert f"port {port} is not to be had" in server.log()
    assert "SERVING_GRPC_PORT" in server.log()


class Clock:
    """Seconds that a test moves on."""

    now = 1000.0

    def __call__(self) -> float:
        """Return them."""
        return self.now


def test_a_worker_reads_what_the_others_say(tmp_path: Path) -> None:
    """The last word of each that lives, without its own."""
    clock = Clock()
    boards = [WorkerFigures(tmp_path, number, clock) for number in range(3)]
    for board in boards:
        board.publish({"boxes": {"version": "1"}})
    boards[2].publish({"boxes": {"version": "2"}})
    assert boards[0].others() == [
        (1, {"boxes": {"version": "1"}}),
        (2, {"boxes": {"version": "2"}}),
    ]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "time": 1000}'])
def test_what_is_no_word_of_a_worker_does_not_count(tmp_path: Path, text: str) -> None:
    """A file that was left there by anybody else takes nothing down."""
    board = WorkerFigures(tmp_path, 0, Clock())
    (tmp_path / "1.json").write_text(text)
    assert board.others() == []


def test_an_old_word_does_not_count(tmp_path: Path) -> None:
    """A worker that hangs stops being counted."""
    clock = Clock()
    one, other = WorkerFigures(tmp_path, 0, clock), WorkerFigures(tmp_path, 1, clock)
    other.publish({})
    clock.now += STALE_SECONDS
    assert one.others() == []


def test_a_full_disk_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A worker that cannot publish goes on serving."""
    board = WorkerFigures(tmp_path / "board", 0)
    (tmp_path / "board").rmdir()
    board.publish({})
    board.publish({})
    assert caplog.text.count("cannot be told") == 1


def _listening(server: Server) -> list[int]:
    """Return the workers that take connections."""
    port = int(server.url.rpartition(":")[2])
    return [
        number
        for number, worker in server.workers().items()
        if any(one.status == "LISTEN" and one.laddr.port == port for one in _sockets(worker))
    ]


def _connections(worker: psutil.Process) -> int:
    return sum(one.status == "ESTABLISHED" for one in _sockets(worker))


def _sockets(worker: psutil.Process) -> list[Any]:
    try:
        return list(worker.net_connections("tcp4"))
    except psutil.Error:
        return []


def _stop(server: Server) -> None:
    server.process.terminate()
    assert server.process.wait(12) == 0
