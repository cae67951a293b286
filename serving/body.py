"""A request's body, never more of it in memory than was allowed for.

One body is bounded, and so are all bodies that are being read together: a thousand callers that
each send what one may send would fill any memory.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from serving.refusals import RequestRefusedError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_TOGETHER = 8
"""Bodies of the largest size that may be read at the same time."""


class ClientGoneError(Exception):
    """The caller hung up before the body was complete; nobody reads an answer."""


class Bodies:
    """Reads bodies within a limit for each and one for all."""

    def __init__(self, limit_bytes: int) -> None:
        """`limit_bytes` is for one body."""
        self.limit = limit_bytes
        self._reading = 0

    async def read(self, receive: Receive, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Return the body, giving up as soon as it is known to be over a limit.

        Raises RequestRefusedError 413 or 429, ClientGoneError.
        """
        self._require_announced(headers)
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")  # whole at once, as nearly always
            self._require_within(len(body))
            return body
        return await self._rest(receive, message)

    async def _rest(self, receive: Receive, message: MutableMapping[str, Any]) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            while True:
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                chunk = message.get("body", b"")
                size += len(chunk)
                self._reading += len(chunk)
                self._require_within(size)
                chunks.append(chunk)
                if not message.get("more_body"):
                    return b"".join(chunks)
                message = await receive()
        finally:
            self._reading -= size

    def _require_announced(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        for name, value in headers:
            if name == b"content-length" and value.isdigit():
                self._require_within(int(value))

    def _require_within(self, size: int) -> None:
        if size > self.limit:
            raise RequestRefusedError(
                413,
                f"the body is over {self.limit // 2**20} MiB; send the rows in several requests",
            )
        if self._reading > _TOGETHER * self.limit:
            raise RequestRefusedError(
                429, "too many large bodies are coming in at once; ask again in a second"
            )
