"""The way out: not ready first, then everything in flight answered, then the end, inside 10 s."""

import signal
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_SECONDS = 6.5
"""From the first signal to the end of what may still be answered; closing takes up to 3 more."""
READY_PATH = "/v2/health/ready"
_NOT_READY = b'{"ready":false,"error":"the server is stopping: send requests elsewhere"}'
_CLOSE = (b"connection", b"close")
_OF_A_TERMINAL = (signal.SIGHUP, signal.SIGQUIT)

Stop = Callable[[float], Awaitable[object]]
"""Takes no more work and returns when the work in hand is done, or after so many seconds."""


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that end the server in order, a closed terminal's among them.

    What a terminal sends and whoever started this process has it ignore, as `nohup` does, stays
    ignored.
    """
    heard = (one for one in _OF_A_TERMINAL if signal.getsignal(one) is not signal.SIG_IGN)
    return signal.SIGTERM, signal.SIGINT, *heard


def is_impatient(number: int) -> bool:
    """Say whether this signal, when it is not the first, asks for the end at once.

    A closed terminal is told of twice: by the system, and by the shell to all of its jobs.
    """
    return number != signal.SIGHUP


class Drain:
    """Whether the server has been told to stop, and how long it still has."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Listen for `seconds` more once told to stop; `clock` gives seconds."""
        self.has_begun = False
        self._seconds = seconds
        self._clock = clock
        self._started = 0.0
        self._stops: list[Stop] = []

    def begin(self) -> None:
        """Be not ready from now on."""
        self.has_begun = True
        self._started = self._clock()

    @property
    def is_over(self) -> bool:
        """Whether balancers have had their time to look away."""
        return self.has_begun and self._clock() - self._started >= self._seconds

    def left(self) -> float:
        """Return the seconds that what is in flight may still take."""
        return max(0.0, LONGEST_SECONDS - (self._clock() - self._started))

    def on_stop(self, stop: Stop) -> None:
        """Have this called when listening ends: the `stop` of a gRPC server."""
        self._stops.append(stop)

    async def stop_others(self) -> None:
        """Stop what is not the HTTP server; leave that half of the time."""
        for stop in self._stops:
            await stop(self.left() / 2)

    def guard(self, application: "ASGIApp") -> "ASGIApp":
        """Return the application, with another readiness and no kept connections while it drains.

        A client that is told to close its connection does not send on it when it is closed.
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
