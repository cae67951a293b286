"""The server as it is started: processes of its own, and ways to look at them."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil

from serving.registry.local_copies import LocalCopies, LocalCopy
from tests.serving.registries import environment

PROJECT = Path(__file__).parents[2]


class Server:
    """One started server, whose log can be read while it runs."""

    def __init__(
        self, port: int, folder: Path, *arguments: str, files: str = "", **said: str
    ) -> None:
        """Start it with its home in a folder and with these variables.

        `files` is how many it may have open; empty: as many as this process.
        """
        self.url = f"http://127.0.0.1:{port}"
        self.home = folder / "serving"
        self._log = folder / f"server-{port}.log"
        variables = {
            "SERVING_GRPC_PORT": "0",
            "SERVING_REGISTRY_URL": "http://127.0.0.1:1",
            "SERVING_HOME": str(self.home),
            "SERVING_POLL_SECONDS": "0.1",
            "SERVING_DRAIN_SECONDS": "0",
            "PYTHONPATH": str(PROJECT),
        }
        if not arguments:
            variables["SERVING_PORT"] = str(port)
        command = [sys.executable, "-m", "serving", *arguments]
        if files:
            command = ["sh", "-c", f'ulimit -n {files} && exec "$@"', "sh", *command]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                env=environment() | variables | said,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def log(self) -> str:
        """Return what it has said so far."""
        return self._log.read_text()

    def workers(self) -> dict[int, psutil.Process]:
        """Return the live worker processes by their number."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                found[int(child.environ()["SERVING_WORKER"])] = child
            except (psutil.Error, KeyError):
                continue  # it has just ended, or is not yet the program that it will be
        return found

    def status(self, path: str) -> int:
        """Return the status of a GET on a connection of its own; 0 when nobody answers."""
        try:
            return httpx.get(f"{self.url}{path}", timeout=5).status_code
        except httpx.HTTPError:
            return 0

    def kill(self) -> None:
        """End it and what it started, as fixtures do."""
        left = [psutil.Process(self.process.pid).children()] if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        psutil.wait_procs([one for group in left for one in group], timeout=12)


def stock(home: Path, folder: Path, digest: str, name: str = "boxes") -> None:
    """Leave a copy as a server does that served this bundle before."""
    shelf, copy = LocalCopies(home), LocalCopy(name, "1", digest)

    async def leave() -> None:
        async with shelf.writing(name):
            download = shutil.copytree(folder, shelf.begin(copy), dirs_exist_ok=True)
            shelf.keep(Path(download), copy)
            shelf.record(copy)

    asyncio.run(leave())


def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something holds; fail when it does not come to."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
