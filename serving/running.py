"""uvicorn, with a way out that loses no request."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn

from serving.guard.drain import LONGEST_SECONDS, Drain, is_impatient, stop_signals
from serving.one_write import OneWriteProtocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def run(
    application: "ASGIApp", listener: socket.socket, drain: Drain, log_config: dict[str, Any]
) -> None:
    """Serve until a signal, then drain."""
    config = uvicorn.Config(
        drain.guard(application),
        loop="uvloop",
        http=OneWriteProtocol,
        lifespan="on",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        log_config=log_config,
        timeout_graceful_shutdown=int(LONGEST_SECONDS),
    )
    _Server(config, drain).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Goes on listening for a while after it was told to stop, not ready."""

    def __init__(self, config: uvicorn.Config, drain: Drain) -> None:
        super().__init__(config)
        self._drain = drain

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Hear every signal that ends the server; uvicorn knows two of them."""
        before = {one: signal.signal(one, self.handle_exit) for one in stop_signals()}
        try:
            with super().capture_signals():
                yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the drain; at the second signal, end."""
        del frame
        if not self._drain.has_begun:
            self._drain.begin()
        elif is_impatient(sig):
            os._exit(128 + sig)

    async def on_tick(self, counter: int) -> bool:
        """Say whether to stop listening; asked ten times a second."""
        is_due = await super().on_tick(counter)
        return is_due or self._drain.is_over

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is in flight on every port, then let the application close."""
        await self._drain.stop_others()
        self.config.timeout_graceful_shutdown = max(1, int(self._drain.left()))
        await super().shutdown(sockets)
