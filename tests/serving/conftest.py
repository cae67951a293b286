"""Real bundles of small models, an application around them, and the two registries."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import pytest_asyncio
from grpc import aio
from sklearn.dummy import DummyClassifier

from serving.bundle import Bundle, Layout, Manifest, load, save
from serving.grpc.server import GrpcServer, start_grpc
from serving.models.holder import Holder, LoadedVersion
from tests.serving.grpc_asked import AT, Ask, Shelf, call
from tests.serving.parts import app_around, server_around
from tests.serving.registries import FakeRegistry, MlflowPublisher, MlflowServer, Publisher

FEATURES = ("height", "width", "depth")
EXAMPLE = ((1.5, 2.5, 3.5), (-1.0, 0.0, 1.0))

Save = Callable[..., tuple[Path, str]]
Open = Callable[..., Bundle]


def constant(probability: float) -> DummyClassifier:
    """Return a model that gives this probability to any row, so an answer shows who spoke."""
    model = DummyClassifier(strategy="prior")
    sides = np.array([0, 1])
    weights = np.array([1 - probability, probability])
    return model.fit(np.zeros((2, len(FEATURES))), sides, sample_weight=weights)


@pytest.fixture
def save_bundle(tmp_path_factory: pytest.TempPathFactory) -> Save:
    """Return a function that saves a bundle and returns its folder and digest."""

    def saved(model: Any = None, **changes: Any) -> tuple[Path, str]:
        folder = tmp_path_factory.mktemp("bundle")
        fields: dict[str, Any] = {
            "name": "boxes",
            "family": "constant",
            "layout": Layout(FEATURES),
            "threshold": 0.4,
            "labels": ("0", "1"),
            "data_version": 7,
            "example": EXAMPLE,
        }
        manifest = Manifest(**fields | changes)
        return folder, save(folder, constant(0.7) if model is None else model, manifest)

    return saved


@pytest.fixture
def open_bundle(save_bundle: Save) -> Open:
    """Return a function that saves a bundle and opens it again."""
    return lambda *args, **changes: load(*save_bundle(*args, **changes))


@pytest.fixture
def holder() -> Holder:
    """Return a holder whose registry answers."""
    return Holder(registry_problem=None)


@pytest_asyncio.fixture
async def client(holder: Holder) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of an application around the holder, with nothing following a registry."""
    transport = httpx.ASGITransport(app=app_around(holder), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as talking:
        yield talking


@pytest.fixture
def boxes(holder: Holder, open_bundle: Open) -> LoadedVersion:
    """Return version 3 of the model "boxes", held."""
    held = LoadedVersion("boxes", "3", open_bundle())
    holder.hold(held)
    return held


@pytest.fixture
def shelf() -> Shelf:
    """Return a repository."""
    return Shelf()


@pytest_asyncio.fixture
async def server(holder: Holder, boxes: LoadedVersion, shelf: Shelf) -> AsyncIterator[GrpcServer]:
    """Return a server that holds "boxes" on a free port."""
    del boxes
    around = server_around(holder)
    started = await start_grpc(around.service, shelf, AT, around.guard.keys, around.memory)
    yield started
    await started.stop(0)
    around.batcher.close()


@pytest_asyncio.fixture
async def ask(server: GrpcServer) -> AsyncIterator[Ask]:
    """Return a function that makes a call and returns its answer."""
    async with aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield lambda *args, **rest: call(channel, *args, **rest)


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a real tracking server that lives as long as the tests."""
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    yield server.url
    server.stop()


@pytest.fixture(params=["fake", "mlflow"])
def publisher(request: pytest.FixtureRequest) -> Publisher:
    """Return each registry in turn: what a test says holds for both."""
    if request.param == "fake":
        return FakeRegistry()
    return MlflowPublisher(request.getfixturevalue("mlflow_url"))
