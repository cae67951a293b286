"""Shutdown within 10 s: report not ready, answer the requests in flight, then end."""

import signal
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_SECONDS = 6.5
"""Seconds from the first signal in which requests are answered; closing takes up to 3 more."""
READY_PATH = "/v2/health/ready"
_NOT_READY = b'{"ready":false,"error":"the server is stopping: send requests elsewhere"}'
_CLOSE = (b"connection", b"close")
_OF_A_TERMINAL = (signal.SIGHUP, signal.SIGQUIT)

Stop = Callable[[float], Awaitable[object]]
"""Stops taking new work; returns when the present work is done, or after so many seconds."""


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that end the server in an orderly way, with that of a closed terminal.

    A terminal's signal that the parent process has set to be ignored, as `nohup` does, stays
    ignored.
    """
    heard = (one for one in _OF_A_TERMINAL if signal.getsignal(one) is not signal.SIG_IGN)
    return signal.SIGTERM, signal.SIGINT, *heard


def is_impatient(number: int) -> bool:
    """Return whether a signal that is not the first one ends the server at once.

    SIGHUP does not: when a terminal is closed it comes twice, from the system and from the shell.
    """
    return number != signal.SIGHUP


class Drain:
    """The state of the shutdown: whether it has begun, and how much time is left."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep listening for `seconds` after the signal to stop; `clock` returns seconds."""
        self.has_begun = False
        self._seconds = seconds
        self._clock = clock
        self._started = 0.0
        self._stops: list[Stop] = []

    def begin(self) -> None:
        """Begin the shutdown: the server is not ready from now on."""
        self.has_begun = True
        self._started = self._clock()

    @property
    def is_over(self) -> bool:
        """Whether load balancers have had enough time to notice that it is not ready."""
        return self.has_begun and self._clock() - self._started >= self._seconds

    def left(self) -> float:
        """Return the seconds that requests in flight may still take, after `begin`."""
        return max(0.0, LONGEST_SECONDS - (self._clock() - self._started))

    def on_stop(self, stop: Stop) -> None:
        """Register a function to call when listening ends, such as the gRPC server's `stop`."""
        self._stops.append(stop)

    async def stop_others(self) -> None:
        """Await the functions that `on_stop` registered, one after another.

        Each is given half of the seconds that are left when it begins, so that some are left for
        the HTTP requests in flight.
        """
        for stop in self._stops:
            await stop(self.left() / 2)

    def guard(self, application: "ASGIApp") -> "ASGIApp":
        """Wrap an application: while draining it is not ready and closes connections after answers.

        A client that is told to close its connection does not send another request on it.
        """

        async def guarded(scope: "Scope", receive: "Receive", send: "Send") -> None:
            if not self.has_begun or scope["type"] != "http":
                await application(scope, receive, send)
            elif scope["path"] == READY_PATH:
                await _say_not_ready(send)
            else:
                await application(scope, receive, _last_answer(send))

        return guarded


def _last_answer(send: "Send") -> "Send":
    async def sending(message: "Message") -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
        await send(message)

    return sending


async def _say_not_ready(send: "Send") -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(_NOT_READY)).encode()),
        _CLOSE,
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": _NOT_READY})
