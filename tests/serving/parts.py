"""A server in the test's own process, with nothing listening but what the test starts."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import uvicorn

from serving.app import Server, make_app, make_server
from serving.configuration.settings import read_settings
from serving.models.holder import Holder
from serving.registry.local_copies import LocalCopies
from serving.registry.watch import Watch
from serving.rest.front import Application
from serving.traffic.drain import Drain
from tests.serving.registries import FakeRegistry


@contextmanager
def on_a_port(app: Application) -> Iterator[str]:
    """Run an application in a thread on a free port of loopback and give its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def server_around(holder: Holder, variables: Mapping[str, str] | None = None) -> Server:
    """Return a server around a holder, its settings from these variables, gRPC off."""
    settings = read_settings({"SERVING_GRPC_PORT": "0", **(variables or {})})
    shelf = LocalCopies(Path(mkdtemp()))
    return make_server(settings, holder, Watch(FakeRegistry(), holder, shelf), Drain(0.0))


def app_around(holder: Holder, variables: Mapping[str, str] | None = None) -> Application:
    """Return the application of such a server, with nothing following a registry."""

    async def nothing() -> None:
        return

    return make_app(server_around(holder, variables), nothing)
