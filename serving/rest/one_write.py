"""HTTP connections that hand the operating system a whole answer at once.

uvicorn writes the head of an answer and its body one after the other, each a system call, and a
system call is among the longest things that happen to a request for one row. What is written in one
turn of the event loop goes out together here.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class OneWriteProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol on a transport that gathers what is written."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection."""
        self.gathering = Gathering(transport, self)
        super().connection_made(self.gathering)

    @property
    def is_heard_out(self) -> bool:
        """Whether nothing more is coming of a request whose answer was given."""
        return True


class Gathering(asyncio.Transport):
    """A transport that writes at the end of the turn; all else is the real one's doing."""

    def __init__(self, transport: asyncio.Transport, protocol: OneWriteProtocol) -> None:
        """Write for a protocol."""
        super().__init__()
        self._transport = transport
        self._protocol = protocol
        self._loop = protocol.loop
        self._parts: list[bytes] = []
        # Asked for each request, so without a call in between.
        self.get_extra_info = transport.get_extra_info  # type: ignore[method-assign]
        self.is_closing = transport.is_closing  # type: ignore[method-assign]
        self.pause_reading = transport.pause_reading  # type: ignore[method-assign]
        self.resume_reading = transport.resume_reading  # type: ignore[method-assign]

    def write(self, data: Any) -> None:
        """Write at the end of the turn."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        """Close when all is written; where the client still sends, let it close."""
        if self._protocol.is_heard_out:
            self._flush()
            self._transport.close()
        else:
            self.linger()

    def linger(self) -> None:
        """Say that nothing more is written; whoever says so must close in the end.

        A connection that is closed while its client sends makes the client's system forget what it
        has not yet read of the answer.
        """
        self._flush()
        if not self._transport.is_closing():
            self._transport.write_eof()
            self.is_closing = lambda: True  # type: ignore[method-assign]

    def abort(self) -> None:
        """Close and forget what is not written."""
        self._parts.clear()
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be written."""
        return self._transport.get_write_buffer_size() + sum(map(len, self._parts))

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand over to another protocol."""
        self._flush()
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who is told."""
        return self._transport.get_protocol()

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self.is_closing():
            self._transport.write(b"".join(parts))
