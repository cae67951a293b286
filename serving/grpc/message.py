"""Receives the one message of a call within its size limit and memory budget, and decompresses it.

Its memory is reserved as soon as its length is known, before more than the first flow-control
window is received. The memory of the decompressed message is reserved before decompressing.
"""

import asyncio
import zlib

from serving.refusals import RequestRefusedError
from serving.service import LARGE_BYTES
from serving.traffic.memory_budget import Reservation
from serving.values.units import MIB

_HEAD_BYTES = 5
_MOST_EXPANSION = 1032
"""Most bytes that deflate can expand one byte to."""
_WINDOW_BITS = {b"gzip": 31, b"deflate": 15}
ENCODINGS = b"identity,deflate,gzip"


class IncomingMessage:
    """A message on its way in."""

    __slots__ = ("_bytes", "_head", "_most", "is_packed", "reservation", "size")

    def __init__(self, most_bytes: int, reservation: Reservation) -> None:
        """Take a message of at most so many bytes, packed or unpacked."""
        self.reservation = reservation
        self.size: int | None = None
        """Of the message as it comes, packed or not; None before it is known."""
        self._most = most_bytes
        self._head = b""
        self.is_packed = False
        """Whether the message is compressed."""
        self._bytes = bytearray()

    def take(self, piece: bytes) -> None:
        """Add what came; raises RequestRefusedError: 413, 429, 400 for more than one message."""
        if self.size is None:
            piece = self._head + piece
            if len(piece) < _HEAD_BYTES:
                self._head = piece
                return
            self._begin(piece[0], int.from_bytes(piece[1:_HEAD_BYTES]))
            piece = piece[_HEAD_BYTES:]
        if len(self._bytes) + len(piece) > (self.size or 0):
            raise RequestRefusedError(400, "the call has more than one message")
        self._bytes += piece

    @property
    def is_whole(self) -> bool:
        """Whether all of it is there."""
        return len(self._bytes) == self.size

    @property
    def missing(self) -> int:
        """How many bytes of it are still to come; 0 before its size is known."""
        return 0 if self.size is None else self.size - len(self._bytes)

    async def unpacked(self, encoding: bytes) -> bytes | bytearray:
        """Return the message; `encoding` is what `grpc-encoding` says.

        Raises RequestRefusedError: 413, 429, 400 for what cannot be unpacked, 501 for an encoding
        that is not known.
        """
        packed, self._bytes = self._bytes, bytearray()
        if not self.is_packed:
            return packed
        bits = _WINDOW_BITS.get(encoding)
        if bits is None:
            raise RequestRefusedError(
                501, "the message is compressed in a way that is not known: send gzip or deflate"
            )
        most = min(self._most, len(packed) * _MOST_EXPANSION)
        self.reservation.grow(most)
        if most > LARGE_BYTES:
            message = await asyncio.to_thread(_inflated, packed, bits, most)
        else:
            message = _inflated(packed, bits, most)
        if len(message) > self._most:
            raise _too_large(self._most)
        self.reservation.release(most + len(packed) - len(message))
        return message

    def _begin(self, flag: int, size: int) -> None:
        if flag > 1:
            raise RequestRefusedError(400, "the bytes are no message of gRPC")
        if size > self._most:
            raise _too_large(self._most)
        self.reservation.grow(size)
        self.size = size
        self.is_packed = bool(flag)


def _inflated(packed: bytearray, bits: int, most: int) -> bytes:
    unpacker = zlib.decompressobj(bits)
    try:
        message = unpacker.decompress(packed, most + 1)
    except zlib.error as error:
        raise RequestRefusedError(400, "the message cannot be decompressed") from error
    if len(message) <= most and not unpacker.eof:
        raise RequestRefusedError(400, "the compressed message is cut off")
    return message


def _too_large(most: int) -> RequestRefusedError:
    return RequestRefusedError(
        413, f"the message is over {most // MIB} MiB; send the rows in several requests"
    )
