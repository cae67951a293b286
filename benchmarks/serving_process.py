"""A Ratchet server as a process of its own, as it is started in production.

The API key is on, the port is free, the log is a file, and nothing is left behind.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

PROJECT = Path(__file__).parents[1]
KEY = "a-key-for-measuring"
HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}


@dataclass(frozen=True)
class Ratchet:
    """A running server."""

    port: int
    grpc_port: int
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self, seconds: float = 15.0) -> int:
        """Ask it to end and return its exit code; raises TimeoutExpired when it does not."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextmanager
def ratchet(
    registry_url: str,
    home: Path,
    *,
    model: str,
    poll_seconds: float = 0.2,
    checkout: Path = PROJECT,
    **variables: str,
) -> Iterator[Ratchet]:
    """Start a server that follows this registry; it is ready for the model when it is yielded.

    `home` is a folder of its own for what it keeps. `variables` are further settings. `checkout` is
    whose server it is, in the environment that is made there.
    """
    port, grpc_port = free_ports(2)
    settings = {
        "SERVING_PORT": str(port),
        "SERVING_GRPC_PORT": str(grpc_port),
        "SERVING_API_KEY": KEY,
        "SERVING_REGISTRY_URL": registry_url,
        "SERVING_HOME": str(home / "serving"),
        "SERVING_POLL_SECONDS": str(poll_seconds),
        **variables,
    }
    process = start_ratchet(settings, home / "ratchet.log", checkout)
    server = Ratchet(port, grpc_port, process, _log(home))
    try:
        wait_until_ready(f"{server.url}/v2/models/{model}/ready", server.process)
        yield server
    finally:
        end_family(server.process)


def await_workers(url: str, workers: int) -> None:
    """Return when each of several workers has told that it holds a model; one has by then."""
    deadline = time.monotonic() + 60
    while workers > 1:
        page = httpx.get(f"{url}/metrics", headers=HEADERS, trust_env=False).text
        told = [line for line in page.splitlines() if line.startswith("ratchet_model_info{")]
        if all(any(f'worker="{number}"' in line for line in told) for number in range(workers)):
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"not all of {workers} workers hold a model after a minute")
        time.sleep(0.2)


def start_ratchet(
    settings: dict[str, str], log: Path, checkout: Path = PROJECT
) -> "subprocess.Popen[bytes]":
    """Start the server with these settings on top of the environment; its words go to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        return subprocess.Popen(  # noqa: S603 - the project's own server
            [server_python(checkout), "-m", "serving"],
            env=environment() | {"PYTHONPATH": str(checkout)} | settings,
            cwd=log.parent,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def end_like_an_interrupt() -> None:
    """Let a SIGTERM end this process as Ctrl-C does: with every server that it started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def environment() -> dict[str, str]:
    """Return this process's environment without what slows every import down."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nothing listens on, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def wait_until_ready(
    url: str, process: "subprocess.Popen[bytes] | None" = None, seconds: float = 60.0
) -> None:
    """Return once the address answers 200; raises RuntimeError when the process ends before."""
    deadline = time.monotonic() + seconds
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            direct.open(urllib.request.Request(url, headers=HEADERS), timeout=2).close()  # noqa: S310 - a loopback address
        except OSError as error:
            if process is not None and process.poll() is not None:
                raise RuntimeError(f"it ended with exit code {process.returncode}") from error
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def get(url: str) -> bytes:
    """Return what an address of the server answers to a GET with the key; raises OSError."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(urllib.request.Request(url, headers=HEADERS), timeout=10) as answer:  # noqa: S310 - a loopback address
        body: bytes = answer.read()
        return body


def await_version(server: Ratchet, model: str, version: str, seconds: float = 30.0) -> None:
    """Return once the server answers with this version; raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while json.loads(get(f"{server.url}/v2/models/{model}/ready"))["version"] != version:
        if time.monotonic() > deadline:
            raise TimeoutError(f"version {version} of {model} does not answer: see {server.log}")
        time.sleep(0.02)


def batches(server: Ratchet) -> tuple[float, float]:
    """Return how many requests were predicted so far, and in how many batches.

    Source: the histogram `ratchet_batch_requests` of the server's metrics, all versions together.
    """
    page = get(f"{server.url}/metrics").decode()
    sums = [
        sum(float(found) for found in re.findall(rf"^{name}{{[^}}]*}} (\S+)$", page, re.MULTILINE))
        for name in ("ratchet_batch_requests_sum", "ratchet_batch_requests_count")
    ]
    return sums[0], sums[1]


def end_family(process: "subprocess.Popen[Any]") -> None:
    """Kill a process and everything that it started, in whatever session."""
    import psutil

    family = []
    with suppress(psutil.NoSuchProcess):
        leader = psutil.Process(process.pid)
        family = [*leader.children(recursive=True), leader]
    for one in family:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    # Workers whose parent is gone already are only known by the group that it led.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process and its children, in MiB."""
    import psutil

    parent = psutil.Process(pid)
    family = [parent, *parent.children(recursive=True)]
    return float(sum(one.memory_info().rss for one in family)) / 2**20


def server_python(checkout: Path = PROJECT) -> str:
    """Return the Python of the server's own environment, or this one where there is none."""
    own = checkout / ".venv" / "serving" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def _log(home: Path) -> Path:
    return home / "ratchet.log"
