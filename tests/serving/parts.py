"""A server in the test's own process, with nothing listening but what the test starts."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp

from serving.app import Server, make_app, make_server
from serving.following.shelf import Shelf
from serving.following.watch import Watch
from serving.front import Application
from serving.guard.drain import Drain
from serving.models.holder import Holder
from serving.settings import read_settings
from tests.serving.registries import FakeRegistry


def server_around(holder: Holder, variables: Mapping[str, str] | None = None) -> Server:
    """Return a server around a holder, its settings from these variables, gRPC off."""
    settings = read_settings({"SERVING_GRPC_PORT": "0", **(variables or {})})
    shelf = Shelf(Path(mkdtemp()))
    return make_server(settings, holder, Watch(FakeRegistry(), holder, shelf), Drain(0.0))


def app_around(holder: Holder, variables: Mapping[str, str] | None = None) -> Application:
    """Return the application of such a server, with nothing following a registry."""

    async def nothing() -> None:
        return

    return make_app(server_around(holder, variables), nothing)
