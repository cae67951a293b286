"""Docker's own command line, and containers that end with their test."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.containers.abandoned import own_name

HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")


class Docker:
    """A container engine that answers."""

    def __call__(self, *arguments: str | Path) -> str:
        """Run a command and return what it prints; what it says of a failure is the failure."""
        ended = self.ended(*arguments)
        command = " ".join(str(one) for one in arguments)
        assert ended.returncode == 0, f"docker {command}: {ended.stdout[-2000:]}{ended.stderr}"
        return ended.stdout.strip()

    def ended(self, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run a command and return how it ended."""
        return subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, check=False, timeout=900
        )

    def inspected(self, name: str) -> Any:
        """Return what the engine knows of an image or a container."""
        return json.loads(self("inspect", name))[0]

    @contextmanager
    def running(self, *arguments: str | Path) -> Iterator["Container"]:
        """Give a container started with these options, image and command; end it afterwards."""
        with own_name() as name:
            self("run", "--detach", f"--name={name}", *arguments)
            try:
                yield Container(self, name)
            finally:
                self("rm", "--force", "--volumes", name)


@dataclass(frozen=True)
class Container:
    """A container that was started."""

    docker: Docker
    name: str

    def log(self) -> str:
        """Return what it has said so far, on both streams."""
        ended = self.docker.ended("logs", self.name)
        return ended.stdout + ended.stderr

    def run(self, *command: str) -> str:
        """Run a command inside and return what it prints."""
        return self.docker("exec", self.name, *command)

    def health(self) -> str:
        """Return what its health check says: starting, healthy or unhealthy."""
        return str(self.docker.inspected(self.name)["State"]["Health"]["Status"])

    def stop(self) -> tuple[int, float]:
        """Stop it as the engine does, and return its exit code and the seconds that took."""
        began = time.monotonic()
        self.docker("stop", self.name)
        seconds = time.monotonic() - began
        return int(self.docker.inspected(self.name)["State"]["ExitCode"]), seconds


def problem() -> str | None:
    """Return why no engine can be used here, None where one answers."""
    try:
        asked = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no Docker engine can be asked: {error}"
    return None if asked.returncode == 0 else f"no Docker engine answers: {asked.stderr.strip()}"
