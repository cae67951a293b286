"""The server's own account at a registry that lets nobody in without one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.configuration.settings import read_settings
from serving.registry.interface import RegistryError
from serving.registry.registry import MlflowRegistry
from tests.serving.accounts import Account, GuardedMlflow
from tests.serving.conftest import Save, constant
from tests.serving.parts import on_a_port
from tests.serving.processes import Server, until
from tests.serving.registries import free_port

Start = Callable[..., Server]
NAME = "guarded boxes"
ROOT = "/v2/models/guarded%20boxes"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedMlflow]:
    """Return MLflow behind basic authentication."""
    server = GuardedMlflow(tmp_path_factory.mktemp("guarded"))
    yield server
    server.stop()


@pytest.fixture
def start(tmp_path: Path, guarded: GuardedMlflow) -> Iterator[Start]:
    """Return a function that starts the server with an account's variables."""
    started = []

    def run(variables: dict[str, str]) -> Server:
        asks = {"SERVING_REGISTRY_URL": guarded.url, **variables}
        started.append(Server(free_port(), tmp_path, **asks))
        return started[-1]

    yield run
    for server in started:
        server.kill()


def test_an_account_that_only_reads_is_all_it_takes(
    guarded: GuardedMlflow, start: Start, save_bundle: Save
) -> None:
    """The champion is found, fetched, opened and answers; the account can change nothing."""
    with guarded.publishing() as publisher:
        publisher.register(NAME)
        version = publisher.publish(NAME, *save_bundle(constant(0.25), name=NAME))
        publisher.crown(NAME, version)
    account = guarded.reader("serving")
    server = start(account.variables())
    until(lambda: server.status(f"{ROOT}/ready") == 200)
    answer = httpx.post(f"{server.url}{ROOT}/infer", json={"rows": [[1.0, 2.0, 3.0]]}, timeout=5)
    assert answer.json()["model_version"] == version
    assert answer.json()["rows"][0]["probability"] == pytest.approx(0.25)
    alias = {"name": NAME, "alias": "champion", "version": version}
    place = {"name": NAME, "version": version}
    at = guarded.asked(account, "GET", "2.0/mlflow/model-versions/get-download-uri", params=place)
    file = (
        f"2.0/mlflow-artifacts/artifacts{at.json()['artifact_uri'].partition(':')[2]}/bundle.json"
    )
    assert guarded.asked(account, "GET", file).status_code == 200
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "2.0/mlflow/registered-models/alias", {"json": alias}),
        ("DELETE", "2.0/mlflow/registered-models/alias", {"params": alias}),
        ("PUT", file, {"content": b"{}"}),
        ("POST", "2.0/mlflow/model-versions/set-tag", {"json": place | {"key": "x", "value": "y"}}),
    ]
    for method, path, body in changes:
        assert (path, guarded.asked(account, method, path, **body).status_code) == (path, 403)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        (Account("serving", "wr0ng-passw0rd").variables(), "does not know this account"),
        ({}, "asks for an account: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
    ],
    ids=["wrong password", "no account"],
)
def test_whom_the_registry_does_not_know_lives_and_says_what_to_set(
    start: Start, variables: dict[str, str], says: str
) -> None:
    """Live, not ready, the reason at the probe and once in the log, the password nowhere."""
    server = start(variables)
    until(lambda: "it answered 401" in _readiness(server).text)
    answer = _readiness(server)
    assert server.status("/v2/health/live") == 200
    assert answer.status_code == 503
    assert says in answer.json()["error"]
    assert says in answer.json()["registry"]["reason"]
    assert server.log().count(says) == 1
    assert "wr0ng" not in answer.text + server.log()


def test_files_that_the_account_may_not_read_refuse_the_version(
    guarded: GuardedMlflow, start: Start, save_bundle: Save
) -> None:
    """A model that is listed and whose files are not handed out says which permission lacks."""
    name = "hidden boxes"
    with guarded.publishing() as publisher:
        publisher.register(name)
        publisher.crown(name, publisher.publish(name, *save_bundle(name=name)))
    account = guarded.reader("half-blind")
    guarded.deny(account, "serving-tests")
    server = start(account.variables())

    def reason() -> str:
        models = _readiness(server).json()["models"]
        return str(models.get(name, {}).get("reason"))

    until(lambda: "bundle.json: it answered 403" in reason())
    assert "give the account the permission READ" in reason()


def test_a_token_is_sent_as_it_is() -> None:
    """MLFLOW_TRACKING_TOKEN is a bearer token, for a registry behind a gateway of that kind."""
    said = {"MLFLOW_TRACKING_TOKEN": "t0k3n"}

    async def gateway(
        scope: MutableMapping[str, Any], _receive: object, send: Callable[[Any], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            return
        is_known = dict(scope["headers"]).get(b"authorization") == b"Bearer t0k3n"
        status = 200 if is_known else 401
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def followed(url: str, authorization: str | None) -> object:
        registry = MlflowRegistry(url, authorization)
        try:
            return await registry.named()
        finally:
            await registry.close()

    with on_a_port(gateway) as url:
        assert asyncio.run(followed(url, read_settings(said).registry_authorization)) == {}
        with pytest.raises(RegistryError, match="set MLFLOW_TRACKING_USERNAME"):
            asyncio.run(followed(url, read_settings({}).registry_authorization))


def _readiness(server: Server) -> httpx.Response:
    until(lambda: server.status("/v2/health/live") == 200)
    return httpx.get(f"{server.url}/v2/health/ready", timeout=5)
