"""Two registries that a test can write to: one in memory and MLflow itself.

Both are driven through the same doors, so that what holds for the fake holds for the real one.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

import joblib

from serving.bundle.registered import DIGEST_TAG, SPEC_TAG, Role
from serving.registry.interface import (
    AliasedVersions,
    Registry,
    RegistryError,
    UnprovenError,
    VersionGoneError,
    VersionIdentity,
)
from serving.registry.registry import MlflowRegistry


class Publisher(Protocol):
    """What the pipeline does to a registry."""

    registry: Registry

    def register(self, name: str, *, is_ours: bool = True) -> None:
        """Create a registered model, with the tag that makes the server follow it."""

    def publish(self, name: str, folder: Path, digest: str | None) -> str:
        """Add a version made of a bundle's folder and return it; None leaves the digest out."""

    def crown(self, name: str, version: str | None, role: Role = Role.CHAMPION) -> None:
        """Point an alias at a version, or remove it."""

    def delete(self, name: str, version: str | None = None) -> None:
        """Delete a version and the aliases on it, or the model with all of them."""


class FakeRegistry:
    """A registry in memory: publisher and registry in one."""

    def __init__(self) -> None:
        """Start empty; a `problem` makes it unreachable."""
        self.registry: Registry = self
        self.problem: str | None = None
        self.fetched: list[tuple[str, str]] = []
        self._ours: dict[str, dict[Role, str]] = {}
        self._versions: dict[tuple[str, str], tuple[Path, str | None]] = {}
        self._changes: Counter[str] = Counter()

    def register(self, name: str, *, is_ours: bool = True) -> None:
        """Create a registered model."""
        self._changes[name] += 1
        if is_ours:
            self._ours[name] = {}

    def publish(self, name: str, folder: Path, digest: str | None) -> str:
        """Add a version; the bundle is copied when it is fetched."""
        self._changes[name] += 1
        version = str(1 + max((int(v) for known, v in self._versions if known == name), default=0))
        self._versions[name, version] = (folder, digest)
        return version

    def crown(self, name: str, version: str | None, role: Role = Role.CHAMPION) -> None:
        """Move or remove the alias."""
        if version is None:
            self._ours[name].pop(role, None)
        else:
            self._ours[name][role] = version

    def replace(self, name: str, version: str, folder: Path, digest: str) -> None:
        """Put another bundle under a number, with its digest: no stamp tells of it."""
        self._versions[name, version] = (folder, digest)

    def delete(self, name: str, version: str | None = None) -> None:
        """Delete a version and the aliases on it, or the model with all of them."""
        self._changes[name] += 1
        for key in [key for key in self._versions if key[0] == name and version in (None, key[1])]:
            del self._versions[key]
        left = {role: one for role, one in self._ours.pop(name).items() if one != version}
        if version is not None:
            self._ours[name] = left

    async def named(self) -> dict[str, AliasedVersions | RegistryError]:
        """Return the aliases."""
        self._require_up()
        return {
            name: AliasedVersions(dict(versions), str(self._changes[name]))
            for name, versions in self._ours.items()
        }

    async def identity(self, name: str, version: str) -> VersionIdentity:
        """Return the digest as it was published, and the folder."""
        folder, digest = self._version(name, version)
        if digest is None:
            raise UnprovenError(f"version {version} of {name} has no tag {DIGEST_TAG}")
        return VersionIdentity(digest, str(folder))

    async def fetch(self, name: str, version: str, folder: Path) -> None:
        """Copy the files as they are now."""
        self.fetched.append((name, version))
        source = self._version(name, version)[0]
        for file in source.iterdir():
            shutil.copy(file, folder)

    async def close(self) -> None:
        """Hold nothing open."""

    def _version(self, name: str, version: str) -> tuple[Path, str | None]:
        self._require_up()
        if (name, version) not in self._versions:
            raise VersionGoneError(f"there is no version {version} of {name}")
        return self._versions[name, version]

    def _require_up(self) -> None:
        if self.problem is not None:
            raise RegistryError(self.problem)


class MlflowServer:
    """A real tracking server on a free loopback port, with its artifacts behind its own proxy."""

    def __init__(self, home: Path, *options: str, **variables: str) -> None:
        """Start it, with these options and variables too, and return once it answers."""
        self.url = f"http://127.0.0.1:{free_port()}"
        self._log = (home / "mlflow.log").open("wb")
        self.home = home
        self._options, self._variables = options, variables
        self._process = self._start()

    def stop(self) -> None:
        """End the server and its workers."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        port = self.url.rpartition(":")[2]
        command = f"-m mlflow server --workers 1 --host 127.0.0.1 --port {port}".split()
        stores = ["--backend-store-uri", f"sqlite:///{self.home}/mlflow.db"]
        stores += ["--artifacts-destination", str(self.home / "artifacts")]
        small = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        small |= {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
        # Deliver webhooks to a neighbour, and soon after one is made.
        small |= {"MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http", "MLFLOW_WEBHOOK_CACHE_TTL": "1"}
        small |= {"MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true"}
        process = subprocess.Popen(
            [sys.executable, *command, *stores, *self._options],
            env=environment() | small | self._variables,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            wait_for(f"{self.url}/health")
        except OSError:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        return process


class MlflowPublisher:
    """Registers models in a real tracking server just as the pipeline does."""

    def __init__(self, url: str) -> None:
        """Log to an experiment of its own."""
        self.registry: Registry = MlflowRegistry(url)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mlflow

            self._mlflow: Any = mlflow
            mlflow.set_tracking_uri(url)
            mlflow.set_experiment("serving-tests")
            self._client = mlflow.MlflowClient(url)

    def register(self, name: str, *, is_ours: bool = True) -> None:
        """Create a registered model."""
        self._client.create_registered_model(name, tags={SPEC_TAG: name} if is_ours else {})

    def publish(self, name: str, folder: Path, digest: str | None) -> str:
        """Log the model and its bundle, then register it."""
        model_id, run_id = self._log(folder)
        created = self._client.create_model_version(
            name, source=f"models:/{model_id}", run_id=run_id, model_id=model_id
        )
        if digest is not None:
            self._client.set_model_version_tag(name, created.version, DIGEST_TAG, digest)
        return str(created.version)

    def crown(self, name: str, version: str | None, role: Role = Role.CHAMPION) -> None:
        """Move or remove the alias."""
        if version is None:
            self._client.delete_registered_model_alias(name, role.value)
        else:
            self._client.set_registered_model_alias(name, role.value, version)

    def delete(self, name: str, version: str | None = None) -> None:
        """Delete a version and the aliases on it, or the model with all of them."""
        if version is None:
            self._client.delete_registered_model(name)
        else:
            self._client.delete_model_version(name, version)

    def _log(self, folder: Path) -> tuple[str, str]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = joblib.load(folder / "model.joblib")
            with self._mlflow.start_run() as run:
                logged = self._mlflow.sklearn.log_model(
                    model, name="model", pip_requirements=["scikit-learn"]
                )
            for file in folder.iterdir():
                self._client.log_model_artifact(logged.model_id, str(file))
        return logged.model_id, run.info.run_id


def free_port() -> int:
    """Return a loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment() -> dict[str, str]:
    """Return this process's environment without what slows every import down."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def wait_for(url: str, seconds: float = 150.0) -> None:
    """Return once the address answers 200."""
    deadline = time.monotonic() + seconds
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            direct.open(url, timeout=2).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def damage(folder: Path, **changes: object) -> None:
    """Change fields of a saved manifest, as a tampering or a broken disk would."""
    path = folder / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
