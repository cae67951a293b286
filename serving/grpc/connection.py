"""One HTTP/2 connection of gRPC callers (RFC 9113), from its greeting to its end.

Guarantees that what is kept for a connection has a size and an end: one frame, one block of
header fields, and what its calls with a key were granted. Reading stops while the other side does
not read, and takes turns with the other connections.
"""

import asyncio
import contextlib
from typing import cast

from serving.connections.open_connections import OpenConnection as Place
from serving.connections.open_connections import Phase
from serving.grpc import frames
from serving.grpc.frame_handlers import WINDOW_BYTES, FrameHandlers
from serving.grpc.frames import ConnectionFault
from serving.grpc.shared import SharedParts
from serving.grpc.streams import MOST_STREAMS, Streams
from serving.refusals import RequestRefusedError
from serving.values.units import KIB, MIB

_MOST_IN_A_TURN = 64
"""Frames that are read before other connections have their turn."""
_MOST_STRIKES = MIB
_STRIKES_A_SECOND = 128 * KIB
_FRAME_STRIKES = 64
"""A frame that carries no call, or a refused call besides its fields, counts as 64 bytes of fields
do, unpacked: 200 refused calls a second are borne, and 1,500 at once."""


class Connection(asyncio.Protocol):
    """A connection from its greeting to its end."""

    def __init__(self, shared: SharedParts, everyone: "set[Connection]") -> None:
        """Take part in what all connections share, and in the set of them while it is open."""
        self._shared = shared
        self._everyone = everyone
        self._loop = asyncio.get_running_loop()
        self.ended = self._loop.create_future()
        """Done when the connection is gone."""
        self._transport: asyncio.Transport | None = None
        self._place = Place("", 0.0, is_proxy=False)
        self._streams = Streams(shared, self)
        self._frames = FrameHandlers(shared.limits.head_bytes, self._streams, self)
        self._received = b""
        self._is_greeted = False
        self._whole_since = self._loop.time()
        self._strikes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the server's settings, or close when there are too many connections."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        try:
            self._place = self._shared.connections.open(self, str(peer[0]) if peer else "")
        except RequestRefusedError:  # who is told so in words needs a connection first
            self._place.phase = Phase.LEAVING
            self.drop()
        else:
            self._everyone.add(self)
            head_bytes = self._shared.limits.head_bytes
            self.write(frames.server_greeting(MOST_STREAMS, head_bytes, WINDOW_BYTES))

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the calls in flight, whose answers nobody can receive."""
        del exc
        self._transport = None
        self._received = b""
        self._streams.give_up_all()
        self._shared.connections.close(self._place)
        self._everyone.discard(self)
        if not self.ended.done():
            self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Read the frames in the received bytes."""
        if self._is_closing:
            return
        if not self._received:
            self._whole_since = self._loop.time()
        self._received += data
        self._read()

    def eof_received(self) -> bool:
        """Close: a gRPC caller that has stopped sending does not read answers either."""
        return False

    def pause_writing(self) -> None:
        """Stop reading while the other side does not read."""
        self._place.blocked_since = self._shared.connections.clock()
        self._pause()

    def resume_writing(self) -> None:
        """Read again."""
        self._place.blocked_since = None
        self._streams.push_all()
        self._go_on()

    @property
    def is_idle(self) -> bool:
        """Whether no call is in flight."""
        return not len(self._streams)

    @property
    def is_blocked(self) -> bool:
        """Whether the other side does not read what was sent."""
        return self._place.blocked_since is not None

    @property
    def is_proven(self) -> bool:
        """Whether somebody has shown a key."""
        return self._place.is_proven

    def write(self, data: bytes) -> None:
        """Send frames."""
        if self._transport is not None and not self._is_closing:
            self._transport.write(data)

    def prove(self) -> None:
        """Note that somebody has shown a key."""
        if not self._place.is_proven:
            self._shared.connections.prove(self._place)
        self._strikes = 0

    def bear(self, strikes: int) -> None:
        """Count the cost of a frame; ConnectionFault when the total is above the limit."""
        self._strikes += strikes + _FRAME_STRIKES
        if self._strikes > _MOST_STRIKES:
            raise ConnectionFault(frames.ENHANCE_YOUR_CALM, "too many frames and refused calls")

    def work(self) -> None:
        """Note that a call is in flight."""
        if not self._is_closing:
            self._place.phase = Phase.ANSWER

    def rest(self) -> None:
        """Note that no call is left; close if the connection is leaving."""
        if self._is_closing:
            return
        self._await(Phase.IDLE)
        if self._streams.is_leaving:
            self._close()

    def leave(self) -> None:
        """Accept no new calls, and close after the last one."""
        self._streams.is_leaving = True
        self.write(frames.goaway_frame(self._streams.last, frames.NO_ERROR))
        if self.is_idle:
            self._close()

    def drop(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def give_way(self) -> None:
        """Close at once, to make room for another connection."""
        self.drop()

    def expire(self) -> None:
        """End, because nothing came or nothing was taken for too long."""
        if self.is_blocked or self._is_closing:
            self.drop()
        else:
            self.leave()

    def look(self, now: float) -> None:
        """End what takes too long within a call or a frame; `now` is the loop's time."""
        self._strikes = max(0, self._strikes - _STRIKES_A_SECOND)
        self._streams.look(now)
        if self._received and not self._is_closing and not self.is_blocked and self._is_stuck(now):
            self.drop()

    def _is_stuck(self, now: float) -> bool:
        """Whether a frame, or a block of fields, is too long on its way."""
        limits = self._shared.limits
        is_message = not (self._frames.is_within_fields or self.is_idle)
        patience = limits.body_seconds if is_message else limits.head_seconds
        return now - self._whole_since > patience

    @property
    def _is_closing(self) -> bool:
        return self._place.phase is Phase.LEAVING

    def _await(self, phase: Phase) -> None:
        self._place.phase = phase
        self._place.since = self._shared.connections.clock()

    def _read(self) -> None:
        data, place = self._received, 0
        try:
            if not self._is_greeted:
                if not self._is_greeting(data):
                    return
                place = len(frames.PREFACE)
            for _ in range(_MOST_IN_A_TURN):
                frame = frames.frame_at(data, place)
                if frame is None:
                    break
                self._frames.handle(frame)
                place += frames.HEAD_BYTES + len(frame.payload)
            else:
                self._pause()
                self._loop.call_soon(self._go_on)
        except ConnectionFault as fault:
            self._fail(fault)
            return
        if place:
            self._received = data[place:]
            if not self._frames.is_within_fields:
                self._whole_since = self._loop.time()

    def _go_on(self) -> None:
        self._resume()
        if self._transport is not None and not self._is_closing and not self.is_blocked:
            self._read()

    def _is_greeting(self, data: bytes) -> bool:
        whole = frames.PREFACE
        if data[: len(whole)] != whole[: len(data)]:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "this port speaks gRPC over HTTP/2")
        self._is_greeted = len(data) >= len(whole)
        return self._is_greeted

    def _pause(self) -> None:
        if self._transport is not None and not self._is_closing:
            with contextlib.suppress(RuntimeError):  # paused already
                self._transport.pause_reading()

    def _resume(self) -> None:
        if self._transport is None or self._is_closing:
            return
        if not self.is_blocked:
            self._transport.resume_reading()

    def _fail(self, fault: ConnectionFault) -> None:
        self._received = b""
        self._streams.is_leaving = True
        self.write(frames.goaway_frame(self._streams.last, fault.code, str(fault)))
        self._close()
        self._streams.give_up_all()

    def _close(self) -> None:
        """Close this side, and let the other one: an answer on its way is not lost by that."""
        if self._transport is not None and not self._is_closing:
            self._await(Phase.LEAVING)
            try:
                self._transport.write_eof()
            except OSError:  # the other side is gone already
                self._transport.abort()
