"""The stack of docker-compose.yaml as a team runs it, from a clean copy of the project."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import polars as pl

from demo.airflow_api import Airflow
from demo.follow import Followed, Started, follow
from demo.specs import PULSARS
from tests.containers.abandoned import own_name, remove_abandoned
from tests.containers.engine import Docker

KILL = "kill -9 $(cat /proc/1/task/1/children)"
"""For a shell in a container, whose first process only watches over the one that works."""
_VARIABLES = ("AIRFLOW", "MLFLOW", "SERVING", "GRPC")
_PATIENCE_SECONDS = 300.0


class Patient(httpx.HTTPTransport):
    """Asks again while a server is away, as a person reloads a page."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the first answer that is not of a server in trouble."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                answer = super().handle_request(request)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            else:
                if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                    return answer
                if time.monotonic() > deadline:
                    return answer
                answer.read()
            time.sleep(0.5)


@dataclass
class Composed:
    """A composed stack, and what people and tests ask of it."""

    docker: Docker
    folder: Path
    """A copy of the project, with secrets of its own."""
    variables: Mapping[str, str]
    secret: Mapping[str, str] = field(repr=False)
    """What `make secrets` drew, by what it is for."""
    clients: dict[str, Airflow] = field(default_factory=dict, repr=False)

    @property
    def project(self) -> str:
        """The name that everything of this stack is labelled with."""
        return self.variables["COMPOSE_PROJECT_NAME"]

    def url(self, service: str) -> str:
        """Return the address that a service is published at: AIRFLOW, MLFLOW, SERVING, GRPC."""
        return f"http://127.0.0.1:{self.variables[f'RATCHET_{service}_PORT']}"

    def __call__(self, *arguments: str, given: bytes | None = None) -> str:
        """Run `docker compose` and return what it prints; what it says of a failure is shown."""
        ended = self.ended(*arguments, given=given)
        told = ended.stdout.decode()
        assert ended.returncode == 0, f"{arguments}: {told[-2000:]}{ended.stderr.decode()[-4000:]}"
        return told.strip()

    def ended(
        self, *arguments: str, given: bytes | None = None
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run `docker compose` to its end."""
        return subprocess.run(
            ["docker", "compose", *arguments],
            cwd=self.folder,
            env={**os.environ, **self.variables},
            input=given,
            capture_output=True,
            timeout=900,
            check=False,
        )

    def up(self, *options: str) -> float:
        """Start what is not running and return the seconds until all of it is healthy."""
        began = time.monotonic()
        self("up", "--wait", "--detach", *options)
        return time.monotonic() - began

    def inside(self, service: str, *command: str) -> str:
        """Run a command in a service's container and return what it prints."""
        return self("exec", "-T", service, *command)

    def kill(self, service: str, index: int = 1) -> None:
        """End the working process of a container as the kernel does when memory is short.

        Returns once the engine has started the container again.
        """
        name = f"{self.project}-{service}-{index}"
        before = self.docker.inspected(name)["RestartCount"]
        self.ended("exec", "-T", "--index", str(index), service, "sh", "-c", KILL)
        until(lambda: self.docker.inspected(name)["RestartCount"] > before, f"{name} is back")

    def containers(self, service: str) -> list[str]:
        """Return the ids of the containers of a service."""
        return self("ps", "--all", "--quiet", service).split()

    def airflow(self, name: str = "admin") -> Airflow:
        """Return a client of Airflow's API, logged in."""
        if name not in self.clients:
            account = (name, self.secret[f"airflow {name}"])
            self.clients[name] = Airflow(self.url("AIRFLOW"), account, Patient())
        return self.clients[name]

    def mlflow(self, name: str, path: str, *, method: str = "GET", **options: Any) -> Any:
        """Ask MLflow's REST API as one of its accounts and return the answer."""
        account = (name, self.secret[f"mlflow {name}"])
        with httpx.Client(transport=Patient(), auth=account, timeout=30) as client:
            return client.request(method, f"{self.url('MLFLOW')}/api/2.0/mlflow{path}", **options)

    def champion(self, model: str) -> str | None:
        """Return the version that the champion alias names."""
        asked = {"name": model, "alias": "champion"}
        answer = self.mlflow("viewer", "/registered-models/alias", params=asked)
        return str(answer.json()["model_version"]["version"]) if answer.is_success else None

    def ratchet(self, *arguments: str, given: bytes | None = None) -> str:
        """Run one of the commands of `./ratchet` and return what it prints."""
        return self("run", "--rm", "-T", "ratchet", *arguments, given=given)

    def drop(self, spec: str, name: str, rows: pl.DataFrame) -> float:
        """Put a file into the landing bucket; return when, in seconds since the epoch."""
        self.ratchet("drop", spec, "-", "--name", name, given=rows.write_csv().encode())
        return time.time()

    def deliver(self, spec: str, name: str, rows: pl.DataFrame) -> Followed:
        """Put a file into the landing bucket and follow the run that it starts."""
        return self.begin(spec, name, rows).end()

    def begin(self, spec: str, name: str, rows: pl.DataFrame) -> "Begun":
        """Put a file into the landing bucket and return once its run has begun."""
        airflow = self.airflow()
        known = airflow.run_ids(spec)
        since = self.drop(spec, name, rows)
        run = airflow.await_new_run(spec, known, patience_seconds=180)
        return Begun(Started(airflow, spec, run, since))

    def press(self, spec: str, **form: object) -> Followed:
        """Press the trigger button with a form and follow the run."""
        airflow = self.airflow()
        return follow(Started(airflow, spec, airflow.trigger(spec, **form), time.time()))

    def ask(self, model: str, rows: Sequence[Sequence[float]]) -> httpx.Response:
        """Ask the endpoint as a caller with a key does."""
        key = {"authorization": f"Bearer {self.secret['api key of callers']}"}
        path = f"{self.url('SERVING')}/v2/models/{model}/infer"
        return httpx.post(path, json={"rows": rows}, headers=key, timeout=30, trust_env=False)

    def rows_in_the_lake(self, spec: str) -> dict[str, int]:
        """Return how many rows the table has in each partition, asked of the table itself."""
        counted = self("run", "--rm", "-T", "--entrypoint", "python", "ratchet", "-c", COUNT, spec)
        found: dict[str, int] = json.loads(counted)
        return found


@dataclass(frozen=True)
class Begun:
    """A run that goes on."""

    started: Started

    def await_task(self, name: str, state: str = "running", seconds: float = 300) -> None:
        """Wait until a task of the run, or one of its instances, is in a state."""
        run = self.started

        def found() -> bool:
            tasks = run.airflow.tasks(run.dag_id, run.run_id)
            return any(task.name == name and task.state == state for task in tasks)

        until(found, f"{name} of {run.run_id} is {state}", seconds)

    def end(self) -> Followed:
        """Follow it to its end."""
        return follow(self.started)


COUNT = """
import json, sys
import polars as pl
from include.settings import read_settings
settings = read_settings()
table = pl.scan_delta(f"{settings.lake_url}/{sys.argv[1]}/rows", storage_options=dict(settings.s3))
keys = table.select("side", "label", "key_high", "key_low").collect()
assert keys.select("key_high", "key_low").is_duplicated().sum() == 0, "a row is there twice"
counts = keys.group_by("side", "label").len().rows()
print(json.dumps({f"{side} {label}": number for side, label, number in sorted(counts)}))
"""


def until(holds: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not so: {what}"
        time.sleep(0.5)


@contextmanager
def composed(docker: Docker, folder: Path, **variables: str) -> Iterator[Composed]:
    """Build the images of a copy and give its stack, not started; nothing of it is left after.

    What a run that was killed has left is removed first.
    """
    remove_abandoned(docker)
    specs = folder / "specs"
    specs.mkdir(exist_ok=True)
    (specs / "pulsars.toml").write_text(PULSARS)
    subprocess.run([sys.executable, "-m", "deploy.secret_files"], cwd=folder, check=True)
    drawn = json.loads((folder / ".secrets" / "drawn.json").read_text())
    with own_name() as project:
        given = {
            "COMPOSE_PROJECT_NAME": project,
            "RATCHET_SPECS": str(specs),
            "RATCHET_VERSION": "test",
            **_free_ports(),
            **variables,
        }
        stack = Composed(docker, folder, given, drawn)
        try:
            stack("build", "--quiet")
            yield stack
        finally:
            _take_down(stack)


def _take_down(stack: Composed) -> None:
    """End a stack, with all that it holds; fails where anything of it is left."""
    for client in stack.clients.values():
        client.close()
    stack("--profile", "*", "down", "--volumes", "--remove-orphans")
    label = f"label=com.docker.compose.project={stack.project}"
    for kind in ("ps --all", "volume ls", "network ls"):
        left = stack.docker(*kind.split(), "--quiet", "--filter", label)
        assert not left, f"docker {kind} still lists {left}"


def _free_ports() -> dict[str, str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in _VARIABLES]
    ports = [str(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return {f"RATCHET_{name}_PORT": port for name, port in zip(_VARIABLES, ports, strict=True)}
