"""`docker compose`, as the commands that look after a composed stack ask it from the host.

Nothing but the standard library, for the host need have nothing but Python and Docker. Which stack
is meant is said as everywhere: by the folder, by `.env` and by `COMPOSE_PROJECT_NAME`.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

DATABASES = {"airflow": "airflow", "mlflow": "mlflow", "mlflow_auth": "mlflow"}
"""What has to be kept, in the order to copy it, with the role that owns each."""
STORES = ("postgres", "objects")
ANSWERING = ("serving", "endpoint")
_COPY_BUCKETS = Path(__file__).with_name("copy_buckets.py")


class StackError(Exception):
    """What an operator reads when a command cannot go on."""


@dataclass(frozen=True)
class Stack:
    """The stack of the `docker-compose.yaml` in a folder."""

    folder: Path = Path()

    def __call__(self, *arguments: str) -> str:
        """Run `docker compose` and return what it prints; its complaints are shown as they come."""
        return self._run(arguments, stdout=subprocess.PIPE)

    def into(self, path: Path, *arguments: str) -> None:
        """Run it and keep what it prints in a new file."""
        with path.open("xb") as file:
            self._run(arguments, stdout=file)

    def given(self, path: Path, *arguments: str) -> str:
        """Run it with a file for its input and return what it prints."""
        with path.open("rb") as file:
            return self._run(arguments, stdin=file, stdout=subprocess.PIPE)

    def sql(self, database: str, *statements: str) -> str:
        """Run statements as the database's superuser, each on its own; return what they print."""
        said = [f"--command={one}" for one in statements]
        options = ("--username=postgres", f"--dbname={database}", "-v", "ON_ERROR_STOP=1", "-qtAX")
        return self("exec", "-T", "postgres", "psql", *options, *said)

    def copy_buckets(self, action: str) -> tuple[str, ...]:
        """Return the command that copies buckets, in a container with the owner's account.

        The program is that of this folder: the image may be of a release that had another.
        """
        program = _COPY_BUCKETS.read_text()
        return ("run", "--rm", "-T", "--no-deps", "buckets", "python", "-c", program, action)

    def start_stores(self) -> None:
        """Start the databases and the buckets; those that run are left as they are."""
        self("up", "--wait", "--detach", "--no-recreate", *STORES)

    def start(self) -> None:
        """Start all of it and return when it is healthy, with as many of each as there were.

        What answers callers comes last, so it is away for its own start and no longer.
        """
        many = {name: number for name, number in self.scale().items() if number > 1}
        for names in (self.services_but(*ANSWERING), ANSWERING):
            scale = [f"--scale={name}={many[name]}" for name in names if name in many]
            alone = ("--no-deps",) if names == ANSWERING else ()
            self("up", "--wait", "--detach", *alone, *scale, *names)

    def services_but(self, *others: str) -> tuple[str, ...]:
        """Return the names of the services, without some."""
        return tuple(name for name in self("config", "--services").split() if name not in others)

    def scale(self) -> dict[str, int]:
        """Return how many containers each service has, stopped ones included."""
        numbers: dict[str, int] = {}
        for one in _objects(self("ps", "--all", "--format=json")):
            numbers[one["Service"]] = numbers.get(one["Service"], 0) + 1
        return numbers

    def images(self) -> list[dict[str, str]]:
        """Return the images of the containers: name, id, and the revision that each was made of."""
        listed = _objects(self("images", "--format=json"))
        found = {one["ID"]: f"{one['Repository']}:{one['Tag']}" for one in listed}
        return [
            {"name": found[key], "id": key, "revision": self._revision(key)}
            for key in sorted(found, key=lambda key: found[key])
        ]

    def _revision(self, image: str) -> str:
        label = '{{index .Config.Labels "org.opencontainers.image.revision"}}'
        command = ["docker", "image", "inspect", f"--format={label}", image]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        return ended.stdout.strip()

    def _run(self, arguments: tuple[str, ...], **streams: int | IO[bytes]) -> str:
        command = ["docker", "compose", "--progress=quiet", *arguments]
        options: dict[str, Any] = {"stdin": subprocess.DEVNULL, **streams}
        try:
            ended = subprocess.run(command, cwd=self.folder, check=False, **options)  # noqa: S603
        except FileNotFoundError as error:
            raise StackError(f"{error.filename} is not there: this needs Docker") from error
        if ended.returncode != 0:
            told = " ".join("..." if "\n" in one else one for one in arguments)
            raise StackError(f"`docker compose {told}` ended with {ended.returncode}")
        return (ended.stdout or b"").decode().strip()


def run(command: Callable[[], None]) -> int:
    """Run a command; return its exit code, having said in a sentence why it could not go on."""
    try:
        command()
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return 0


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _objects(text: str) -> list[dict[str, str]]:
    """Return the JSON objects of a list, or of lines: releases of Compose differ."""
    if text.startswith("["):
        listed: list[dict[str, str]] = json.loads(text)
        return listed
    return [json.loads(line) for line in text.splitlines()]
