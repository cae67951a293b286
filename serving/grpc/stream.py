"""The state of one call on a connection: what was received, and what is left to send."""

import asyncio
from typing import Protocol

from serving.grpc import frames
from serving.grpc.call import Call, Headers
from serving.grpc.message import IncomingMessage
from serving.observing.logs import request_id

_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_MOST_DIGITS = 8


class Stream:
    """One call."""

    __slots__ = (
        "allowed",
        "call",
        "headers",
        "incoming",
        "is_ended",
        "number",
        "pending",
        "request_id",
        "since",
        "task",
        "timer",
        "window",
    )

    def __init__(
        self, number: int, call: Call, headers: Headers, incoming: IncomingMessage
    ) -> None:
        """Begin with nothing received and nothing to send."""
        self.number = number
        self.call = call
        self.headers = headers
        self.incoming = incoming
        self.request_id = request_id(headers)
        self.is_ended = False
        """Whether the caller has finished sending."""
        self.since = 0.0
        """Time at which its header fields arrived, or its answer was ready."""
        self.allowed = frames.FIRST_WINDOW
        """Bytes that the caller may still send (its flow-control window)."""
        self.window = frames.FIRST_WINDOW
        """Bytes that may still be sent to the caller."""
        self.pending: memoryview | None = None
        """The rest of the answer that is not sent yet."""
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None


def seconds_in(timeout: bytes) -> float | None:
    """Return the seconds that a `grpc-timeout` says; None where it says none."""
    digits, unit = timeout[:-1], _UNITS.get(timeout[-1:])
    if unit is None or not digits.isdigit() or len(digits) > _MOST_DIGITS:
        return None
    return int(digits) * unit


class StreamConnection(Protocol):
    """The connection, as the streams on it use it."""

    @property
    def is_blocked(self) -> bool:
        """Whether the other side does not read what was sent."""

    def write(self, data: bytes) -> None:
        """Send frames."""

    def prove(self) -> None:
        """Note that somebody has shown a key."""

    def bear(self, strikes: int) -> None:
        """Count what a caller costs who shows no key; raises ConnectionFault when it is much."""

    def work(self) -> None:
        """Note that a call is in flight."""

    def rest(self) -> None:
        """Note that no call is left."""
