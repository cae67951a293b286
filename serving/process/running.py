"""Runs uvicorn, with a shutdown that loses no request."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from serving.configuration.settings import Settings
from serving.connections.clients import Clients
from serving.connections.limits import connection_limits
from serving.connections.open_connections import Connections
from serving.observing.logs import log_config
from serving.rest.bounded_http import BoundedProtocol
from serving.traffic.drain import LONGEST_SECONDS, Drain, is_impatient, stop_signals

if TYPE_CHECKING:
    from starlette.types import ASGIApp
_LOOK_SECONDS = 0.25


def run(application: "ASGIApp", listener: socket.socket, drain: Drain, settings: Settings) -> None:
    """Serve until a signal to stop, then answer the requests in flight and return."""
    clients = Clients(settings.connections.trusted_proxies)
    connections = Connections(connection_limits(settings.connections), clients, time.monotonic)
    config = uvicorn.Config(
        drain.guard(application),
        loop="uvloop",
        http=cast("Any", partial(BoundedProtocol, connections)),
        ws="none",
        lifespan="on",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        log_config=log_config(settings),
        timeout_graceful_shutdown=int(LONGEST_SECONDS),
    )
    _Server(config, drain, connections).run(sockets=[listener])


class _Server(uvicorn.Server):
    """A uvicorn server that listens for a while after the signal to stop, as not ready."""

    def __init__(self, config: uvicorn.Config, drain: Drain, connections: Connections) -> None:
        super().__init__(config)
        self._drain = drain
        self._connections = connections

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle every signal that ends the server; uvicorn handles two of them."""
        before = {one: signal.signal(one, self.handle_exit) for one in stop_signals()}
        try:
            with super().capture_signals():
                yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain at the first signal; end at once at the second."""
        del frame
        if not self._drain.has_begun:
            self._drain.begin()
        elif is_impatient(sig):
            os._exit(128 + sig)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and end overdue connections, until the last connection has closed."""
        looking = asyncio.ensure_future(self._end_overdue())
        try:
            await super().serve(sockets)
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    async def _end_overdue(self) -> None:
        while True:
            self._connections.end_overdue()
            await asyncio.sleep(_LOOK_SECONDS)

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop listening; uvicorn calls this ten times a second."""
        is_due = await super().on_tick(counter)
        return is_due or self._drain.is_over

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer the requests in flight on every port, then close the application."""
        await self._drain.stop_others()
        self.config.timeout_graceful_shutdown = max(1, int(self._drain.left()))
        self._connections.last_call(self._drain.left() / 2)
        await super().shutdown(sockets)
