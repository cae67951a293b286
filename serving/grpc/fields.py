"""Header fields of HTTP/2 (RFC 7541): read within a limit, written without any state.

The table of a connection is 4 KiB, and a block of fields no more than the limit after it is
unpacked, so what a caller who shows no key can make the server hold is known.
"""

from collections import deque
from collections.abc import Sequence

from hpack.exceptions import HPACKDecodingError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from serving.grpc.frames import COMPRESSION_ERROR, ENHANCE_YOUR_CALM, ConnectionFault

Field = tuple[bytes, bytes]
_STATIC: tuple[Field, ...] = HeaderTable.STATIC_TABLE
_ENTRY_BYTES = 32
"""Bytes that RFC 7541 counts for a field in addition to its name and value."""
_TABLE_BYTES = 4096
_LONGEST_INTEGER = 28


class FieldReader:
    """The fields of one connection's requests, in the order in which they come."""

    def __init__(self, most_bytes: int) -> None:
        """Accept at most `most_bytes` bytes of fields, uncompressed, for a request."""
        self._most = most_bytes
        self._table: deque[Field] = deque()
        self._size = 0
        self._limit = _TABLE_BYTES
        self.size = 0
        """Of the last block when it is unpacked, as the standard counts it."""
        self._last: tuple[bytes, Sequence[Field]] = (b"", ())

    def read(self, block: bytes) -> Sequence[Field]:
        """Return the names and values of a block of fields; raises ConnectionFault."""
        # Callers send the same fields with every call; such a block changes no table and is read
        # once.
        if block == self._last[0]:
            return self._last[1]
        self._last = (b"", ())
        try:
            fields, is_settled = self._read(block)
        except (IndexError, HPACKDecodingError) as error:
            raise ConnectionFault(COMPRESSION_ERROR, "the header fields cannot be read") from error
        if is_settled:
            self._last = (block, fields)
        return fields

    def _read(self, block: bytes) -> tuple[Sequence[Field], bool]:
        """Return the fields, and whether the same block would be the same fields once more."""
        fields = []
        at, self.size, is_settled = 0, 0, True
        while at < len(block):
            first = block[at]
            if first & 0x80:
                place, at = _integer(block, at, 7)
                field = self._entry(place)
            elif first & 0xE0 == 0x20:  # noqa: PLR2004 - the standard's pattern for a new table size
                limit, at = _integer(block, at, 5)
                self._resize(limit)
                is_settled = False
                continue
            else:
                is_kept = bool(first & 0x40)
                field, at = self._literal(block, at, 6 if is_kept else 4)
                if is_kept:
                    self._keep(field)
                    is_settled = False
            self.size += _weight(field)
            if self.size > self._most:
                raise ConnectionFault(ENHANCE_YOUR_CALM, "the header fields are too large")
            fields.append(field)
        return tuple(fields), is_settled

    def _literal(self, block: bytes, index: int, bits: int) -> tuple[Field, int]:
        place, index = _integer(block, index, bits)
        if place:
            name = self._entry(place)[0]
        else:
            name, index = _text(block, index)
        value, index = _text(block, index)
        return (name, value), index

    def _entry(self, place: int) -> Field:
        if place <= len(_STATIC):
            if not place:
                raise IndexError
            return _STATIC[place - 1]
        return self._table[place - len(_STATIC) - 1]

    def _keep(self, field: Field) -> None:
        self._table.appendleft(field)
        self._size += _weight(field)
        self._shrink()

    def _resize(self, limit: int) -> None:
        if limit > _TABLE_BYTES:
            raise ConnectionFault(COMPRESSION_ERROR, "the table of header fields is too large")
        self._limit = limit
        self._shrink()

    def _shrink(self) -> None:
        while self._size > self._limit:
            self._size -= _weight(self._table.pop())


def untraced_block(fields: Sequence[Field]) -> bytes:
    """Return a block of these fields that leaves no trace in the reader's table."""
    return b"".join(
        b"\0" + _length(len(name)) + name + _length(len(value)) + value for name, value in fields
    )


def _length(size: int) -> bytes:
    # The top bit, which would mean Huffman coding, stays 0.
    if size < 127:  # noqa: PLR2004 - what the seven bits of its first byte hold
        return bytes((size,))
    packed, size = bytearray((127,)), size - 127
    while size > 127:  # noqa: PLR2004
        packed.append(size & 127 | 128)
        size >>= 7
    packed.append(size)
    return bytes(packed)


def _weight(field: Field) -> int:
    return len(field[0]) + len(field[1]) + _ENTRY_BYTES


def _text(block: bytes, index: int) -> tuple[bytes, int]:
    is_packed = block[index] & 0x80
    size, index = _integer(block, index, 7)
    end = index + size
    if end > len(block):
        raise IndexError
    text = block[index:end]
    return (bytes(decode_huffman(text)) if is_packed else text), end


def _integer(block: bytes, index: int, bits: int) -> tuple[int, int]:
    """Return the number whose first byte has so many bits of it, and where it ends."""
    most = (1 << bits) - 1
    value = block[index] & most
    index += 1
    if value < most:
        return value, index
    shift = 0
    while shift <= _LONGEST_INTEGER:
        byte = block[index]
        index += 1
        value += (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004 - its last byte
            return value, index
        shift += 7
    raise IndexError
