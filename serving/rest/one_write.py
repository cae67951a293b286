"""HTTP connections that send a whole answer with one system call.

uvicorn writes the head and the body of an answer with one system call each, which is a large part
of the time of a request for one row. Here everything that is written in one turn of the event loop
is sent together.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class OneWriteProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol on a transport that collects writes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection."""
        self.gathering = GatheringTransport(transport, self)
        super().connection_made(self.gathering)

    @property
    def is_heard_out(self) -> bool:
        """Whether nothing more is coming of a request whose answer was given."""
        return True


class GatheringTransport(asyncio.Transport):
    """A transport that writes at the end of the event loop's turn, and else forwards all calls."""

    def __init__(self, transport: asyncio.Transport, protocol: OneWriteProtocol) -> None:
        """Forward to `transport`; `protocol` is the one that writes."""
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
        """Collect data, to be written at the end of the event loop's turn."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        """Close when all is written; if the client is still sending, wait until it closes."""
        if self._protocol.is_heard_out:
            self._flush()
            self._transport.close()
        else:
            self.linger()

    def linger(self) -> None:
        """Shut down the sending side only; the caller must close the connection later.

        Closing while the client is sending makes its system discard the unread part of the answer.
        """
        self._flush()
        if not self._transport.is_closing():
            self._transport.write_eof()
            self.is_closing = lambda: True  # type: ignore[method-assign]

    def abort(self) -> None:
        """Close at once and discard unwritten data."""
        self._parts.clear()
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be written."""
        return self._transport.get_write_buffer_size() + sum(map(len, self._parts))

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Set the protocol that receives the transport's events."""
        self._flush()
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol that receives the transport's events."""
        return self._transport.get_protocol()

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self.is_closing():
            self._transport.write(b"".join(parts))
