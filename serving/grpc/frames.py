"""Frames of HTTP/2 (RFC 9113) as far as a gRPC server needs them."""

import struct
from typing import NamedTuple

from serving.values.units import KIB

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
MOST_FRAME_BYTES = 16 * KIB
"""Of what follows a frame's head: the standard's default, which this server leaves as it is."""
FIRST_WINDOW = 2**16 - 1
MOST_WINDOW = 2**31 - 1

DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS = 4
PADDED = 8
WITH_PRIORITY = 32

NO_ERROR = 0
PROTOCOL_ERROR = 1
FLOW_CONTROL_ERROR = 3
FRAME_SIZE_ERROR = 6
REFUSED_STREAM = 7
CANCEL = 8
COMPRESSION_ERROR = 9
ENHANCE_YOUR_CALM = 11

INITIAL_WINDOW_SETTING = 4
_STREAMS_SETTING = 3
_FIELDS_SETTING = 6
PING_BYTES = 8
_PRIORITY_BYTES = 5
_SETTING_BYTES = 6


class ConnectionFault(Exception):  # noqa: N818 - the standard speaks of connection errors by code
    """An error that ends the connection; `code` is an error code of RFC 9113, section 7."""

    def __init__(self, code: int, sentence: str) -> None:
        """Keep the code; the sentence goes to the other side."""
        super().__init__(sentence)
        self.code = code


class Frame(NamedTuple):
    """One frame as it came."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frame_at(data: bytes, place: int) -> Frame | None:
    """Return the frame that begins at a place; None when it is not whole."""
    payload = place + HEAD_BYTES
    if len(data) < payload:
        return None
    size = int.from_bytes(data[place : place + 3])
    if size > MOST_FRAME_BYTES:
        raise ConnectionFault(FRAME_SIZE_ERROR, "a frame is too large")
    if len(data) < payload + size:
        return None
    # The highest bit is reserved: whatever it says, it is no part of the number.
    stream = int.from_bytes(data[place + 5 : payload]) & MOST_WINDOW
    return Frame(data[place + 3], data[place + 4], stream, data[payload : payload + size])


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame's bytes."""
    head = struct.pack(">IBI", len(payload) << 8 | kind, flags, stream)
    return head + payload


def server_greeting(streams: int, field_bytes: int, window: int) -> bytes:
    """Return what a server begins with: its settings, and the connection's window."""
    settings = struct.pack(">HIHI", _STREAMS_SETTING, streams, _FIELDS_SETTING, field_bytes)
    return frame(SETTINGS, 0, 0, settings) + more_window(0, window - FIRST_WINDOW)


def more_window(stream: int, size: int) -> bytes:
    """Return the frame that lets the other side send so many bytes more."""
    return frame(WINDOW, 0, stream, struct.pack(">I", size))


def reset_frame(stream: int, code: int) -> bytes:
    """Return the frame that ends a stream."""
    return frame(RESET, 0, stream, struct.pack(">I", code))


def goaway_frame(last_stream: int, code: int, sentence: str = "") -> bytes:
    """Return the frame after which no stream beyond the last one is answered."""
    return frame(GOAWAY, 0, 0, struct.pack(">II", last_stream, code) + sentence.encode())


def unpadded(frame: Frame) -> bytes:
    """Return what a DATA or HEADERS frame holds besides padding and priority."""
    kind, flags, _, payload = frame
    start, end = 0, len(payload)
    if flags & PADDED:
        if not payload:
            raise ConnectionFault(FRAME_SIZE_ERROR, "a padded frame is empty")
        start, end = 1, end - payload[0]
    if kind == HEADERS and flags & WITH_PRIORITY:
        start += _PRIORITY_BYTES
    if start > end:
        raise ConnectionFault(PROTOCOL_ERROR, "the padding is longer than its frame")
    return payload[start:end]


def settings_in(frame: Frame) -> dict[int, int]:
    """Return the settings that a frame holds, by their numbers; what is said last counts."""
    if len(frame.payload) % _SETTING_BYTES:
        raise ConnectionFault(FRAME_SIZE_ERROR, "a SETTINGS frame is cut off")
    return dict(struct.iter_unpack(">HI", frame.payload))


def number_in(frame: Frame) -> int:
    """Return the one number that a WINDOW_UPDATE or RST_STREAM frame holds."""
    if len(frame.payload) != 4:  # noqa: PLR2004 - its bytes
        raise ConnectionFault(FRAME_SIZE_ERROR, "a frame of one number has another length")
    return int.from_bytes(frame.payload) & MOST_WINDOW
