"""Callers without a key, by the thousand: whoever has one is answered, and all is given back."""

import http.client
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.serving.processes import PROJECT, Server, stock, until
from tests.serving.registries import free_port
from tests.serving.served import small_bundle
from tests.serving.test_http_limits import BODY

INFER = "/v2/models/boxes/infer"
_SLACK_SECONDS = 0.05
"""For a machine that has other things to do; without limits a caller waits for seconds."""


@contextmanager
def serving(folder: Path, files: str = "", **said: str) -> Iterator[Server]:
    """Run a server with a key."""
    stock(folder / "serving", *small_bundle(folder))
    server = Server(free_port(), folder, files=files, SERVING_API_KEY="sesame", **said)
    try:
        until(lambda: server.status("/v2/health/ready") == 200)
        yield server
    finally:
        server.kill()


@contextmanager
def attacked(server: Server, *kinds: str) -> Iterator[None]:
    """Have callers without a key at work."""
    port = server.url.rpartition(":")[2]
    attack = subprocess.Popen(
        [sys.executable, "-m", "tests.serving.hostile", port, *kinds],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
    )
    assert attack.stdout is not None
    try:
        assert attack.stdout.readline() == b"ready\n"
        yield
    finally:
        attack.kill()
        attack.wait()
        attack.stdout.close()


def waits(server: Server, times: int = 40) -> list[float]:
    """Return how long a caller with a key waits, in seconds, each time on a new connection."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
        connection.request("POST", INFER, BODY, {"X-API-Key": "sesame"})
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["model_name"]) == (200, "boxes")
        connection.close()
        seconds.append(time.perf_counter() - started)
    return seconds


@pytest.mark.parametrize(
    ("files", "kinds"),
    [
        ("", ["idle=2000", "drip=100", "drip_body=100", "huge=1"]),
        ("", ["fat=1000"]),
        ("256", ["idle=400", "drip=50", "huge=1"]),
    ],
)
def test_a_caller_with_a_key_is_answered_as_before(
    tmp_path: Path, files: str, kinds: list[str]
) -> None:
    """Silent, slow and fat connections cost it little time and the server little memory."""
    with serving(tmp_path, files, SERVING_HEADER_SECONDS="5") as server:
        process = psutil.Process(server.process.pid)
        waits(server)
        alone, memory, open_files = (
            statistics.median(waits(server)),
            process.memory_info().rss,
            process.num_fds(),
        )
        with attacked(server, *kinds):
            beside = statistics.median(waits(server))
            most = process.memory_info().rss
        until(lambda: process.num_fds() <= open_files + 4, 20)
        assert beside < 2 * alone + _SLACK_SECONDS
        assert most - memory < 200 * 2**20
        assert process.memory_info().rss - memory < 50 * 2**20
        assert statistics.median(waits(server)) < 2 * alone + _SLACK_SECONDS
        assert server.log().count("\n") < 15


def test_every_door_is_open_again_when_files_have_run_out(tmp_path: Path) -> None:
    """With so few files that connections take them all: accepting goes on when some are free."""
    with serving(tmp_path, "90") as server:
        with attacked(server, "idle=300"):
            waits(server, 5)
        assert len(waits(server, 5)) == 5
