"""uvicorn's HTTP protocol with limits on the time and memory that a caller can use.

uvicorn accepts any number of connections, waits for ever for a request to be complete, stores any
length of a request's head, counts trailers as headers, parses everything that was read at once
however many requests it holds, and logs a line for each invalid request. Here a head is limited in
bytes, fields and seconds, a body in seconds and pieces; no more is parsed than can be answered; an
answer is sent before the rest of a body that it does not depend on; and `Connections` decides which
connection is closed when there are too many.
"""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from serving.connections.open_connections import Connections, OpenConnection, Phase
from serving.refusals import RequestRefusedError
from serving.rest.counted_http import CountedProtocol
from serving.rest.held_flow import HeldFlow
from serving.rest.unreadable import head_without_upgrade, late, refusal_bytes, refusal_of
from serving.values.units import KIB

_PIECE = 4 * KIB
"""Bytes that are parsed at once; all requests in such a piece are started together."""
_PIECE_OF_A_BODY = 64 * KIB
_NOTHING = memoryview(b"")
_MOST_FIELDS = 128
_MOST_BODY_PIECES = 2**16
_LEFT_UNREAD_BYTES = 256 * KIB
"""Bytes that are read and dropped after the last answer: many clients read no answer before they
have sent everything, and closing the connection earlier makes their system lose the answer."""
# Looked up for every request.
_IDLE, _HEAD, _BODY, _ANSWER, _LEAVING = Phase


class BoundedProtocol(CountedProtocol):
    """One HTTP connection."""

    flow: HeldFlow

    def __init__(self, connections: Connections, **given: Any) -> None:
        """Register with `connections` when connected; other arguments are uvicorn's."""
        super().__init__(connections, **given)
        self._unparsed = _NOTHING
        self._bytes_in_vain = 0
        """Bytes received since the last complete head or piece of a body."""
        self._body_pieces = 0
        self._left_unread = 0
        self._asks_for_upgrade = False
        self._keeps_alive = True
        """Whether the connection stays open after the answer, if the request is complete."""
        self._refusal: RequestRefusedError | None = None
        """An invalid request's refusal, which is sent after the answers to earlier requests."""

    # What the event loop calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, or refuse it with a sentence."""
        super().connection_made(transport)
        self.flow = HeldFlow(self.transport)
        host = self.client[0] if self.client else ""
        try:
            self._connection = self._connections.open(self, host)
        except RequestRefusedError as refused:
            self._connection = OpenConnection(host, self._connections.clock(), is_proxy=False)
            self._write_refusal(refused)
            self._await(_LEAVING)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection from the open ones."""
        self._connections.close(self._connection)
        self._connection.phase = _LEAVING
        self._unparsed = _NOTHING
        self._extensions.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes, as far as their requests can be answered now."""
        if self._connection.phase is _LEAVING:
            self._drop(data)
        elif self._unparsed or len(data) > _PIECE:
            self._unparsed = memoryview(b"".join((self._unparsed, data)))
            self._parse_on()
        else:
            self._parse(data)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Wait for the rest of a head."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions
        self._await(_HEAD)

    def on_headers_complete(self) -> None:
        """Start to answer, and wait for the body."""
        if self.parser.should_upgrade():
            self._asks_for_upgrade = True
            return  # parsed again as what it is without that: see `_parse`
        if len(self.headers) > _MOST_FIELDS:
            raise RequestRefusedError(431, f"the request has over {_MOST_FIELDS} header fields")
        if self._connection.is_proxy:
            self._connections.ask_for(self._connection, self.headers)
        super().on_headers_complete()
        self.headers = []  # what comes after the body is no header of the request
        # An answer that is complete before the body is leaves the rest of it unread.
        self._keeps_alive, self.cycle.keep_alive = self.cycle.keep_alive, False
        self._bytes_in_vain = self._body_pieces = 0
        self._await(_BODY)

    def on_body(self, body: bytes) -> None:
        """Add a piece of a body."""
        self._bytes_in_vain = 0
        self._body_pieces += 1
        if self._body_pieces > _MOST_BODY_PIECES:
            raise RequestRefusedError(
                413, f"the body comes in over {_MOST_BODY_PIECES} pieces: send larger chunks"
            )
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.body += body
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Wait for the application's answer."""
        cycle = self.cycle
        if self._asks_for_upgrade or cycle.response_complete:
            return
        self._bytes_in_vain = 0
        cycle.keep_alive = self._keeps_alive
        cycle.more_body = False
        cycle.message_event.set()
        self._connection.phase = _ANSWER

    # What the answering of a request calls.

    def on_response_complete(self) -> None:
        """Begin the next request, or wait for it; unlike uvicorn without a timer each time."""
        self.server_state.total_requests += 1
        if self._connection.is_proxy:
            self._connections.asks_no_more(self._connection)
        if self.transport.is_closing():
            self._hear_no_more()
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._refusal is not None:
            self._write_refusal(self._refusal)
            self._leave()
        elif self._connection.phase is _ANSWER:
            self._await(_IDLE)
        else:
            self._connection.since = self._connections.now  # of a head that waited until now
        if self._unparsed:
            self.loop.call_soon(self._parse_on)

    def shutdown(self) -> None:
        """Answer the requests in flight and close; uvicorn calls this at shutdown."""
        self._keeps_alive = False
        if not self._is_answering:
            self._hear_no_more()
        super().shutdown()

    @property
    def is_heard_out(self) -> bool:
        """Whether nothing more is coming of a request whose answer was given."""
        return self._connection.phase not in {_HEAD, _BODY}

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    # What the registry calls.

    def expire(self) -> None:
        """Close the connection because it is overdue, with a refusal where one can be sent."""
        connection, limits = self._connection, self._connections.limits
        if connection.blocked_since is not None:
            self._connections.ended.count("closed with an answer that was not taken")
            self.transport.abort()
        elif connection.phase is _LEAVING:
            is_read = not self.transport.get_write_buffer_size()
            if is_read or self._connections.clock() - connection.since > limits.body_seconds:
                self.transport.abort()
        elif connection.phase is _HEAD:
            self._refuse(late("head"))
        elif connection.phase is _BODY:
            self._refuse(late("body"))
        else:
            if not connection.is_proven:
                self._connections.ended.count("closed because nothing came")
            self._leave()

    # What is done with bytes.

    def _parse_on(self) -> None:
        """Parse buffered bytes piece by piece, until a request has begun or has to wait."""
        connection = self._connection
        while self._unparsed and not self.pipeline and connection.phase is not _LEAVING:
            cycle = self.cycle
            size = _PIECE_OF_A_BODY if connection.phase is _BODY else _PIECE
            piece, self._unparsed = self._unparsed[:size], self._unparsed[size:]
            self._parse(piece)
            if self.cycle is not cycle and self._unparsed:
                # The request first: it may be refused for what its head says.
                self.loop.call_soon(self._parse_on)
                break
        if self._unparsed:
            self.flow.hold()
        elif self.flow.is_held:
            self.flow.let_go()

    def _parse(self, piece: bytes | memoryview) -> None:
        self._bytes_in_vain += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            self._parse_without_upgrade(piece[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(refusal_of(error))
        if self._bytes_in_vain > self._connections.limits.head_bytes:
            self._refuse(RequestRefusedError(431, "the head of the request is too long"))

    def _parse_without_upgrade(self, rest: bytes | memoryview) -> None:
        """Treat a request that asks for a protocol upgrade as a normal request.

        The parser would take the bytes after such a head for the other protocol; here it is a body.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(RequestRefusedError(400, "this server is no proxy"))
            return
        head = head_without_upgrade(method, self.url, self.headers)
        self.parser = httptools.HttpRequestParser(self)
        self._bytes_in_vain = 0
        self._asks_for_upgrade = False
        self._unparsed = memoryview(b"".join([head, rest, self._unparsed]))
        self.loop.call_soon(self._parse_on)

    def _refuse(self, refused: RequestRefusedError) -> None:
        """Answer an invalid request after the requests before it, and read no more."""
        cycle = self.cycle
        if self._connection.phase is _LEAVING or self._refusal is not None:
            return
        if self._connection.phase is _BODY:
            cycle.disconnected = True  # for what reads the body
            cycle.message_event.set()
            is_answering = bool(self.pipeline)
            if is_answering:
                self.pipeline.popleft()
            elif cycle.response_started:
                self.transport.abort()
                return
        else:
            is_answering = self._is_answering
        if is_answering:
            self._refusal = refused
            self._unparsed = _NOTHING
            self._await(_ANSWER)
            self.flow.hold()
        else:
            self._write_refusal(refused)
            self._leave()

    def _write_refusal(self, refused: RequestRefusedError) -> None:
        self._connections.ended.count(f"refused with {refused.status}")
        self.transport.write(refusal_bytes(refused, self.server_state.default_headers))

    def _leave(self) -> None:
        self.gathering.linger()
        self._hear_no_more()

    def _hear_no_more(self) -> None:
        self._await(_LEAVING)
        self._unparsed = _NOTHING
        self.flow.let_go()

    def _drop(self, data: bytes) -> None:
        self._left_unread += len(data)
        if self._left_unread > _LEFT_UNREAD_BYTES:
            self.transport.abort()
