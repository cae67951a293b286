"""uvicorn, with a way out that loses no request."""

import os
import socket
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn

from serving.guard.drain import LONGEST_SECONDS, Drain
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

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the drain; at the second signal, end."""
        del frame
        if self._drain.has_begun:
            os._exit(128 + sig)
        self._drain.begin()

    async def on_tick(self, counter: int) -> bool:
        """Say whether to stop listening; asked ten times a second."""
        is_due = await super().on_tick(counter)
        return is_due or self._drain.is_over

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is in flight on every port, then let the application close."""
        await self._drain.stop_others()
        self.config.timeout_graceful_shutdown = max(1, int(self._drain.left()))
        await super().shutdown(sockets)
