"""Reads the body of a request within memory limits.

The size of one body is limited, and so is that of all bodies together, from their first byte until
they are answered: a thousand callers with bodies of the allowed size would fill any memory.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from serving.refusals import RequestRefusedError
from serving.traffic.memory_budget import MemoryBudget, Reservation
from serving.values.units import KIB, MIB

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ClientGoneError(RequestRefusedError):
    """The caller disconnected before the body was complete, so nobody reads an answer."""

    def __init__(self) -> None:
        """Use a client error's status, because the caller ended the request."""
        super().__init__(400, "the caller hung up before the body was complete")


class Bodies:
    """Reads bodies within a limit for each body and a limit for all together."""

    def __init__(self, limit_bytes: int, memory: MemoryBudget) -> None:
        """`limit_bytes` is the limit of one body, `memory` that of all together."""
        self.limit = limit_bytes
        self._memory = memory

    def reservation(self) -> Reservation:
        """Return the memory reservation of a request; release it after the answer."""
        return Reservation(self._memory)

    async def read(
        self,
        receive: Receive,
        headers: Iterable[tuple[bytes, bytes]],
        reservation: Reservation,
    ) -> bytes:
        """Return the body; stops reading as soon as it is known to be over a limit.

        Raises RequestRefusedError 413 or 429, ClientGoneError.
        """
        self._require_announced(headers)
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")  # whole at once, as nearly always
            self._require_within(len(body))
            reservation.grow(len(body))
            return body
        return await self._rest(receive, message, reservation)

    async def _rest(
        self, receive: Receive, message: MutableMapping[str, Any], reservation: Reservation
    ) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            chunk = message.get("body", b"")
            size += len(chunk)
            self._require_within(size)
            reservation.grow(len(chunk))
            chunks.append(chunk)
            if not message.get("more_body"):
                return b"".join(chunks)
            message = await receive()

    def _require_announced(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        for name, value in headers:
            if name == b"content-length" and value.isdigit():
                self._require_within(int(value))

    def _require_within(self, size: int) -> None:
        if size > self.limit:
            raise RequestRefusedError(
                413,
                f"the body is over {_size(self.limit)}; send the rows in several requests",
            )


def _size(count: int) -> str:
    return f"{count // MIB} MiB" if count >= MIB else f"{count // KIB} KiB"
