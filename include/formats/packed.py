"""Unpacks a delivery as its bytes are needed, because a small file may unpack to a huge one.

The output is bounded relative to the input, so a decompression bomb costs a second and no memory.
The triggerer imports this module.
"""

import bz2
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import zstandard

from include.errors import FileRefusedError
from include.formats.suffixes import Packing
from include.formats.zipped import DamagedZipError, only_member
from include.store.units import MIB

FREE_BYTES = 128 << 20
"""Bytes that any packed file may unpack to."""
MOST_EXPANDED = 200
"""Beyond FREE_BYTES, bytes that may come out for each that went in. Tables reach 5 to 50, nearly
constant ones 100."""
FREE_LINES = 1 << 22
"""Lines that any packed file may unpack to."""
MOST_LINES = 16
"""Beyond FREE_LINES, lines that may come out for each byte that went in: a line costs time however
short it is."""
_LARGEST_WINDOW = 128 * MIB
_MAGIC_BYTES = 4
_PIECE_BYTES = MIB
_BZIP2_END, _BZIP2_END_BYTES = 0x177245385090, 11


@dataclass(frozen=True)
class _Unpacker:
    """A stream of members, each with an end of its own, unpacked one after another."""

    member: Callable[[], Any]
    """Makes the decompressor of a member, which has `eof` and `unused_data`."""
    pieces: Callable[[Any, bytes], Iterator[bytes]]
    """Decompresses some bytes of a member into pieces of at most 16 MiB, mostly far less."""
    starts: Callable[[bytes], bool]
    """Says whether a member starts with these bytes."""
    sip: int
    """Bytes that are decompressed at a time."""


class TooMuchInsideError(FileRefusedError):
    """A file unpacks to more than a table ever does."""


def content_pieces(file: BinaryIO, packing: Packing | None, size: int) -> Iterator[bytes]:
    """Yield the content of a file in pieces of about `size` bytes or more.

    `packing` is what `suffixes.packing` returns. Raises FileRefusedError when the packed data are
    damaged, truncated or expand to more than a table ever does.
    """
    if not packing:
        return _plain(file, size)
    return _refusing(_gathered(_bounded(file, _contents(file, packing)), size), packing)


def has_bzip2_end(tail: bytes) -> bool:
    """Say whether a bzip2 file with these last bytes was written to its end."""
    # bzip2 is a stream of bits: its end mark and a 32-bit checksum may begin at any bit of a byte.
    bits = int.from_bytes(tail[-_BZIP2_END_BYTES:], "big")
    return any(bits >> 32 + shift & 0xFFFFFFFFFFFF == _BZIP2_END for shift in range(8))


def _plain(file: BinaryIO, size: int) -> Iterator[bytes]:
    while piece := file.read(size):
        yield piece


def _contents(file: BinaryIO, packing: Packing) -> Iterator[bytes]:
    if packing is Packing.ZIP:
        yield from only_member(file).pieces()
    else:
        yield from _members(file, _UNPACKERS[packing])


def _members(file: BinaryIO, packing: _Unpacker) -> Iterator[bytes]:
    """Unpack member by member: the libraries' own readers accept a truncated member as whole."""
    member, at_start = packing.member(), True
    while sip := file.read(packing.sip):
        while sip:
            if member is None:
                # Tapes and disks pad their last block with zeros.
                sip = sip.lstrip(b"\0")
                sip += file.read(_MAGIC_BYTES) if 0 < len(sip) < _MAGIC_BYTES else b""
                if not sip:
                    break
                if not packing.starts(sip):
                    raise FileRefusedError(
                        "behind the end of what is packed the file goes on with something else: "
                        "it was damaged on its way, or put together from two; send it again"
                    )
                member = packing.member()
            at_start = False
            yield from packing.pieces(member, sip)
            sip, member = (member.unused_data, None) if member.eof else (b"", member)
    if member is not None and not at_start:
        raise EOFError


def _bounded(file: BinaryIO, pieces: Iterator[bytes]) -> Iterator[bytes]:
    came_out = lines = 0
    for piece in pieces:
        came_out, went_in = came_out + len(piece), file.tell()
        lines += piece.count(b"\n") + piece.count(b"\r")
        if came_out > max(FREE_BYTES, MOST_EXPANDED * went_in):
            raise TooMuchInsideError(
                f"it unpacks to more than {FREE_BYTES // MIB} MB and to more than {MOST_EXPANDED} "
                "times its size, as no table does: if it is one, send it unpacked or as Parquet"
            )
        if lines > max(FREE_LINES, MOST_LINES * went_in):
            raise TooMuchInsideError(
                f"it unpacks to more than {FREE_LINES} lines, and to more than {MOST_LINES} for "
                "each of its bytes, as no table does: if it is one, send it unpacked or as Parquet"
            )
        yield piece


def _gathered(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) >= size:
            yield bytes(held)
            held.clear()
    yield bytes(held)


def _refusing(pieces: Iterator[bytes], packing: Packing) -> Iterator[bytes]:
    """Turn the errors that the libraries raise for a damaged file into a refusal."""
    try:
        yield from pieces
    except EOFError as error:
        raise FileRefusedError(
            f"the {packing} file ends too soon: it was cut off on its way; send it again"
        ) from error
    except (zlib.error, zstandard.ZstdError, DamagedZipError, _DamagedBzip2Error) as error:
        raise FileRefusedError(f"no {packing} file, or a damaged one: send it again") from error


class _DamagedBzip2Error(Exception):
    """Bzip2 data are damaged; told apart from OSError, which a broken disk raises too."""


def _at_once(member: Any, sip: bytes) -> Iterator[bytes]:
    yield member.decompress(sip)


def _bzip2_pieces(member: bz2.BZ2Decompressor, sip: bytes) -> Iterator[bytes]:
    try:
        yield member.decompress(sip, _PIECE_BYTES)
        # 45 bytes can stand for 46 MB.
        while not member.eof and not member.needs_input:
            yield member.decompress(b"", _PIECE_BYTES)
    except OSError as error:
        raise _DamagedBzip2Error(str(error)) from error


def _zstd_pieces(member: Any, sip: bytes) -> Iterator[bytes]:
    try:
        yield member.decompress(sip)
    except zstandard.ZstdError as error:
        if _window(sip) > _LARGEST_WINDOW:
            raise FileRefusedError(
                f"unpacking the zst file takes a window of more than {_LARGEST_WINDOW // MIB} MB: "
                "pack it without --long, or with at most --long=27"
            ) from error
        raise


def _window(frame: bytes) -> int:
    """Return the window of a zstd frame in bytes: how far back it refers; 0 when unknown."""
    try:
        window: int = zstandard.get_frame_parameters(frame).window_size
    except zstandard.ZstdError:
        return 0
    return window


def _is_zstd(data: bytes) -> bool:
    # The second magic number is that of a skippable frame, which holds no data.
    return data.startswith(b"\x28\xb5\x2f\xfd") or data[1:4] == b"\x2a\x4d\x18"


_UNPACKERS = {
    Packing.GZ: _Unpacker(
        lambda: zlib.decompressobj(16 + zlib.MAX_WBITS),
        _at_once,
        lambda data: data.startswith(b"\x1f\x8b"),
        1 << 12,
    ),
    Packing.BZ2: _Unpacker(
        bz2.BZ2Decompressor, _bzip2_pieces, lambda data: data.startswith(b"BZh"), 1 << 12
    ),
    # 4 bytes can stand for 128 KiB.
    Packing.ZST: _Unpacker(
        lambda: zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj(),
        _zstd_pieces,
        _is_zstd,
        1 << 9,
    ),
}
