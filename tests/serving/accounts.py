"""A real MLflow server behind its own basic authentication, with accounts that may only read."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.serving.registries import MlflowPublisher, MlflowServer

CONFIGURATION = """
[mlflow]
default_permission = {default}
database_uri = sqlite:///{folder}/accounts.db
admin_username = admin
# A password is hashed slowly on purpose; checked once a minute and not at every request.
auth_cache_ttl_seconds = 60
"""


@dataclass(frozen=True)
class Account:
    """Somebody whom the registry knows, or would."""

    name: str
    password: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    def variables(self) -> dict[str, str]:
        """Return what a process is told that asks as this account."""
        return {
            "MLFLOW_TRACKING_USERNAME": self.name,
            "MLFLOW_TRACKING_PASSWORD": self.password,
        }


class GuardedMlflow:
    """MLflow with `--app-name basic-auth`; whoever has an account may do what `default` says."""

    def __init__(self, home: Path, default: str = "READ") -> None:
        """Start it and return once it answers."""
        configuration = home / "basic_auth.ini"
        configuration.write_text(CONFIGURATION.format(folder=home, default=default))
        self.admin = Account("admin")
        self._server = MlflowServer(
            home,
            *("--app-name", "basic-auth"),
            MLFLOW_AUTH_CONFIG_PATH=str(configuration),
            MLFLOW_AUTH_ADMIN_PASSWORD=self.admin.password,
            MLFLOW_FLASK_SERVER_SECRET_KEY=secrets.token_hex(),
        )
        self.url = self._server.url

    def stop(self) -> None:
        """End it."""
        self._server.stop()

    def reader(self, name: str) -> Account:
        """Make an account that nobody gave any permission."""
        account = Account(name)
        made = {"username": account.name, "password": account.password}
        self.asked(self.admin, "POST", "2.0/mlflow/users/create", json=made).raise_for_status()
        return account

    def deny(self, account: Account, experiment: str) -> None:
        """Take from an account what an experiment holds: its runs, its models, their files."""
        place = {"experiment_name": experiment}
        found = self.asked(self.admin, "GET", "2.0/mlflow/experiments/get-by-name", params=place)
        denied = {
            "username": account.name,
            "resource_type": "experiment",
            "resource_id": found.json()["experiment"]["experiment_id"],
            "permission": "DENY",
        }
        path = "3.0/mlflow/users/permissions/grant"
        self.asked(self.admin, "POST", path, json=denied).raise_for_status()

    def asked(self, account: Account, method: str, path: str, **rest: object) -> httpx.Response:
        """Return what MLflow answers an account at a path below /api/."""
        return httpx.request(
            method,
            f"{self.url}/api/{path}",
            auth=(account.name, account.password),
            timeout=30,
            **rest,  # type: ignore[arg-type]
        )

    @contextmanager
    def publishing(self) -> Iterator[MlflowPublisher]:
        """Return the pipeline's own hand, which may write."""
        before = dict(os.environ)
        os.environ.update(self.admin.variables())
        try:
            yield MlflowPublisher(self.url)
        finally:
            for name in self.admin.variables():
                os.environ.pop(name)
                os.environ.update({name: before[name]} if name in before else {})
