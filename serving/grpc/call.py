"""The interface of a gRPC call: it is found by its path, and maps request to response bytes."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from serving.refusals import RequestRefusedError
from serving.traffic.memory_budget import Reservation

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A received message with its headers."""

    message: bytes | bytearray
    headers: Headers
    request_id: str
    reservation: Reservation
    """The memory that the call holds; what its answer takes besides the message is added to it."""


@dataclass(frozen=True, slots=True)
class Call:
    """One method of the service."""

    answer: Callable[[ReceivedMessage], Awaitable[bytes]]
    """Raises RequestRefusedError."""
    most_bytes: int
    """Most bytes of its message, compressed and decompressed."""
    is_open: bool
    """Whether no key is needed; then its message is not read."""


class CallFinder(Protocol):
    """Finds calls by their paths."""

    def find(self, path: bytes, headers: Headers) -> Call:
        """Return the call of a path that these headers may make.

        Raises RequestRefusedError: 401 without a key, 501 where there is no such call.
        """

    def note_refused(self, request_id: str, refused: RequestRefusedError) -> None:
        """Count a call that was refused before its message was read."""


_CODES = {
    400: 3,  # INVALID_ARGUMENT
    401: 16,  # UNAUTHENTICATED
    403: 7,  # PERMISSION_DENIED
    404: 5,  # NOT_FOUND
    408: 4,  # DEADLINE_EXCEEDED
    413: 8,  # RESOURCE_EXHAUSTED
    422: 3,
    429: 8,
    501: 12,  # UNIMPLEMENTED
    503: 14,  # UNAVAILABLE
    504: 4,
}
_INTERNAL = 13


def grpc_status(refused: RequestRefusedError) -> int:
    """Return gRPC's status code for a refusal."""
    return _CODES.get(refused.status, _INTERNAL)
