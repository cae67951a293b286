"""Closed-loop load: wrk for HTTP, a client of our own for gRPC, each in a process of its own.

A connection sends its next request when it has the last answer. wrk counts every request that it
completed; a refused or broken one makes the measurement an error, never a figure.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = Path(__file__).with_name("serving_wrk.lua")


@dataclass(frozen=True)
class Load:
    """What a server did under load."""

    per_second: float
    """Requests."""
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Post:
    """An HTTP request with a body."""

    path: str
    headers: dict[str, str]
    body: bytes

    def raw(self) -> bytes:
        """Return it as it goes over the wire."""
        fields = {"Host": "127.0.0.1", "Content-Length": str(len(self.body)), **self.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"POST {self.path} HTTP/1.1\r\n{head}\r\n".encode() + self.body


class TooSlowError(RuntimeError):
    """No request was answered in the time of a measurement, though none failed."""


def require_wrk() -> None:
    """Raise SystemExit with a sentence where wrk is not installed."""
    if shutil.which("wrk") is None:
        raise SystemExit(
            "This benchmark drives its load with wrk, which is not on the PATH: install the "
            "package wrk (Debian, Ubuntu, Fedora, Homebrew) and run it again."
        )


def http(
    port: int, posts: Sequence[Post], connections: int, seconds: float, pause_ms: float = 0.0
) -> Load:
    """Send these requests in turn over so many connections; raises RuntimeError on any failure.

    A connection waits `pause_ms` on average after each answer.
    """
    with tempfile.NamedTemporaryFile() as file:
        for post in posts:
            raw = post.raw()
            file.write(b"%d\n%b" % (len(raw), raw))
        file.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{_whole(seconds)}s", "--timeout", "30s"]
        command += ["-s", str(_SCRIPT), f"http://127.0.0.1:{port}", "--", file.name, str(pause_ms)]
        return _read(_run(command))


def grpc(port: int, message: bytes, connections: int, seconds: float) -> Load:
    """Send this message to ModelInfer over so many connections; raises RuntimeError on failure."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(message)
        file.flush()
        command = [sys.executable, "-m", "benchmarks.serving_grpc", str(port), file.name]
        return _read(_run([*command, str(connections), str(seconds)]))


def _run(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - wrk, or a module of this package
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _read(figures: dict[str, float]) -> Load:
    if figures["refused"] or figures["broken"]:
        raise RuntimeError(
            f"of {figures['requests']:.0f} requests {figures['refused']:.0f} were refused and "
            f"{figures['broken']:.0f} broken"
        )
    if not figures["requests"]:
        raise TooSlowError("no request was answered in time")
    per_second = figures["requests"] / figures["seconds"]
    return Load(per_second, figures["p50_ms"], figures["p99_ms"])


def _whole(seconds: float) -> int:
    """Return seconds as wrk takes them."""
    return max(1, round(seconds))
