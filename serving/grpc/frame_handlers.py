"""What each kind of frame does on a connection (RFC 9113, section 6).

Guarantees that no more is kept than one block of header fields, and that a frame which no call
pays for is borne by the connection.
"""

from collections.abc import Callable
from typing import Protocol

from serving.grpc import frames
from serving.grpc.fields import FieldReader
from serving.grpc.frames import ConnectionFault, Frame
from serving.grpc.stream import StreamConnection
from serving.grpc.streams import Streams
from serving.values.units import MIB

WINDOW_BYTES = 4 * MIB
"""Flow-control window of all calls together; each call's own window bounds its memory."""
_MOST_CONTINUATIONS = 16
_PUSH_STRIKES = 16
"""For each open call, where a frame has all of them looked at."""


class FrameConnection(StreamConnection, Protocol):
    """The connection, as the frames on it use it."""

    @property
    def is_proven(self) -> bool:
        """Whether somebody has shown a key."""


class FrameHandlers:
    """Takes the frames of one connection, in their order."""

    def __init__(self, head_bytes: int, streams: Streams, link: FrameConnection) -> None:
        """`head_bytes` is the most that the header fields of a call may take."""
        self._head_bytes = head_bytes
        self._streams = streams
        self._link = link
        self._fields = FieldReader(head_bytes)
        self._block: tuple[Frame, bytearray, int] | None = None
        """The first frame of header fields that are not whole, they, and how often they went on."""
        self._owed = 0
        """Bytes of messages since the window of all calls was last widened."""
        self._kinds: dict[int, Callable[[Frame], None]] = {
            frames.DATA: self._on_data,
            frames.HEADERS: self._on_headers,
            frames.CONTINUATION: self._on_continuation,
            frames.RESET: self._on_reset,
            frames.SETTINGS: self._on_settings,
            frames.PING: self._on_ping,
            frames.WINDOW: self._on_window,
            frames.PUSH: self._on_push,
        }

    @property
    def is_within_fields(self) -> bool:
        """Whether a block of header fields has begun and not ended."""
        return self._block is not None

    def handle(self, frame: Frame) -> None:
        """Do what a frame asks for; raises ConnectionFault where it ends the connection."""
        # The fields are compressed with what came before: they cannot be read out of their order.
        if self._block is not None and frame.kind != frames.CONTINUATION:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a block of header fields is cut off")
        reads = self._kinds.get(frame.kind)
        if reads is None:
            self._link.bear(0)
        else:
            reads(frame)

    def _on_data(self, frame: Frame) -> None:
        size = len(frame.payload)
        if not size:
            self._link.bear(0)
        # Half a window at a time: the sender need not wait, and few frames tell it so.
        self._owed += size
        if self._owed > WINDOW_BYTES // 2:
            self._link.write(frames.more_window(0, self._owed))
            self._owed = 0
        piece = frames.unpadded(frame)
        is_ended = bool(frame.flags & frames.END_STREAM)
        self._streams.take(frame.stream, piece, size, is_ended=is_ended)

    def _on_headers(self, frame: Frame) -> None:
        block = bytearray(frames.unpadded(frame))
        if frame.flags & frames.END_HEADERS:
            self._end_block(frame, block)
        else:
            self._block = (frame, block, 0)

    def _on_continuation(self, frame: Frame) -> None:
        if self._block is None or frame.stream != self._block[0].stream:
            raise ConnectionFault(frames.PROTOCOL_ERROR, "a continuation of nothing")
        first, block, count = self._block
        block += frame.payload
        if count >= _MOST_CONTINUATIONS or len(block) > self._head_bytes:
            raise ConnectionFault(frames.ENHANCE_YOUR_CALM, "the header fields are too large")
        self._block = (first, block, count + 1)
        if frame.flags & frames.END_HEADERS:
            self._block = None
            self._end_block(first, block)

    def _end_block(self, frame: Frame, block: bytearray) -> None:
        fields = self._fields.read(bytes(block))
        is_ended = bool(frame.flags & frames.END_STREAM)
        self._streams.begin(frame.stream, fields, is_ended=is_ended, size=self._fields.size)

    def _on_reset(self, frame: Frame) -> None:
        frames.number_in(frame)
        self._link.bear(0)
        self._streams.give_up(frame.stream)

    def _on_settings(self, frame: Frame) -> None:
        self._link.bear(len(frame.payload) + self._push_strikes)
        if frame.flags & frames.ACK:
            return
        first_window = frames.settings_in(frame).get(frames.INITIAL_WINDOW_SETTING)
        if first_window is not None:
            self._streams.first_window(first_window)
        self._link.write(frames.frame(frames.SETTINGS, frames.ACK, 0))

    def _on_ping(self, frame: Frame) -> None:
        self._link.bear(0)
        if len(frame.payload) != frames.PING_BYTES:
            raise ConnectionFault(frames.FRAME_SIZE_ERROR, "a PING has another length")
        if not frame.flags & frames.ACK:
            self._link.write(frames.frame(frames.PING, frames.ACK, 0, frame.payload))

    @property
    def _push_strikes(self) -> int:
        """What it costs to look which answers may go on."""
        return _PUSH_STRIKES * len(self._streams)

    def _on_window(self, frame: Frame) -> None:
        if not self._link.is_proven:  # who is sent long answers sends many of these
            self._link.bear(self._push_strikes)
        self._streams.widen(frame.stream, frames.number_in(frame))

    def _on_push(self, frame: Frame) -> None:
        raise ConnectionFault(frames.PROTOCOL_ERROR, f"a caller pushes on {frame.stream}")
