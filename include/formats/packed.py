"""The bytes of a delivery, unpacked as they are needed: a small file may hold a huge one."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

import zstandard

from include.errors import FileRefusedError

_BIGGEST_WINDOW = 1 << 27
# 4 bytes of zstd can stand for 128 KiB, so this much of it is unpacked to 16 MiB at most.
_ZSTD_SIP = 512


def unpacked(file: BinaryIO, name: str, size: int) -> Iterator[bytes]:
    """Yield the content of a file by its name's ending, in pieces of about `size` bytes or more.

    Raises FileRefusedError when the packing is damaged or ends too soon.
    """
    ending = name.lower().rpartition(".")[2]
    try:
        yield from _UNPACKERS.get(ending, _plain)(file, size)
    except EOFError as error:
        raise FileRefusedError(
            f"the {ending} file ends too soon: it was cut off on its way; send it again"
        ) from error
    except (zlib.error, zstandard.ZstdError, gzip.BadGzipFile) as error:
        raise FileRefusedError(f"no {ending} file, or a damaged one: {error}") from error


def bare(name: str) -> str:
    """Return a file's name without the ending of its packing, in lower case."""
    lower = name.lower()
    return next(
        (lower.removesuffix(f".{end}") for end in _UNPACKERS if lower.endswith(f".{end}")), lower
    )


def _plain(file: BinaryIO, size: int) -> Iterator[bytes]:
    while piece := file.read(size):
        yield piece


def _gzip(file: BinaryIO, size: int) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file) as content:
        while piece := content.read(size):
            yield piece


def _zstd(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Unpack frame after frame: the library's own reader takes a cut-off frame for a whole one."""
    reader = zstandard.ZstdDecompressor(max_window_size=_BIGGEST_WINDOW)
    frame, held, at_border = reader.decompressobj(), bytearray(), True
    while sip := file.read(_ZSTD_SIP):
        while sip:
            held += frame.decompress(sip)
            at_border = frame.eof
            sip = frame.unused_data if at_border else b""
            if at_border:
                frame = reader.decompressobj()
        if len(held) >= size:
            yield bytes(held)
            held.clear()
    if not at_border:
        raise EOFError
    yield bytes(held)


_UNPACKERS: dict[str, Callable[[BinaryIO, int], Iterator[bytes]]] = {"gz": _gzip, "zst": _zstd}
