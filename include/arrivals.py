"""Tells when the writer of a file is done.

A `NAME.done` marker says so. Without one, two looks a poll apart have to see the same file, nobody
on this machine may have it open for writing, and it has to be complete: a text's last line has its
end, or as many fields as the header; compressed data, archives and Parquet have theirs. What stays
incomplete but still for a minute is taken all the same: reading it will tell what is wrong. An
object in a bucket is whole when it is listed. The triggerer imports this module, so it imports
nothing heavy.
"""

import csv
import fcntl
import json
import os
import signal
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from include.store import Entry, Folder, Store

POLL_SECONDS = 1.0
PATIENCE_SECONDS = 60.0
DONE = ".done"
_TEMPORARY = (".part", ".tmp", "~", DONE)
_LONGEST_NAME = 255
"""In bytes: what a disk takes, and every delivery may come to stand on one."""
_WINDOW = 2**20
# A short piece keeps small what a few hostile bytes may unpack to.
_PIECE = 2**9
_MOST_UNPACKED = 2**28
_MOST_EXPANSION = 100
"""A file that unpacks to more than both is read no further for its end: reading will tell."""


class Lookout:
    """Looks at one landing place again and again and remembers what it saw."""

    def __init__(self, store: Store) -> None:
        """`store` need not be there yet."""
        self._store = store
        self._before: dict[str, Entry] = {}
        self._complete: dict[Entry, bool] = {}

    def look(self) -> list[Entry]:
        """Return the deliveries that may be taken: settled, or marked as done; oldest first."""
        seen = self._store.look()
        now = {entry.name: entry for entry in seen if not why_ignored(entry.name)}
        marked = {entry.name.removesuffix(DONE) for entry in seen if entry.name.endswith(DONE)}
        self._complete = {e: known for e, known in self._complete.items() if e in now.values()}
        settled = [
            entry
            for name, entry in now.items()
            if name in marked or (self._before.get(name) == entry and self._is_done(entry))
        ]
        self._before = now
        return sorted(settled, key=lambda entry: (entry.modified, entry.name))

    def seen(self) -> int:
        """Return how many deliveries the last look saw, settled or not."""
        return len(self._before)

    def _is_done(self, entry: Entry) -> bool:
        if not isinstance(self._store, Folder):
            return True
        try:
            with self._store.open(entry.name) as file:
                if _open_for_writing(file.fileno()):
                    return False
                # Either sign: a clock that was set back must not hold a file for ever.
                still = abs(time.time() - entry.modified / 1e9) > PATIENCE_SECONDS
                return still or self._is_complete(entry, file)
        except OSError:  # withdrawn while we looked, or not to be read: that harms no other file
            return False

    def _is_complete(self, entry: Entry, file: BinaryIO) -> bool:
        if entry not in self._complete:
            self._complete[entry] = is_complete(entry.name, file)
        return self._complete[entry]


def why_ignored(name: str) -> str:
    """Say why a name in a landing place is that of no delivery; empty when it is that of one."""
    if name.startswith("."):
        return "names that begin with a dot are hidden"
    ending = next((one for one in _TEMPORARY if name.endswith(one)), None)
    if ending is not None:
        return f"names that end with {ending} are those of files that are still being written"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        return f"names have {_LONGEST_NAME} bytes at most"
    return ""


def is_temporary(name: str) -> bool:
    """Say whether a name is one that writers hide behind, so that nobody misses what bears it."""
    return name.startswith(".") or name.endswith(_TEMPORARY)


def is_complete(name: str, file: BinaryIO) -> bool:
    """Say whether a file's data reach their end, as far as its kind lets one tell."""
    bare, _, packed = name.lower().rpartition(".")
    inflater = _INFLATERS.get(packed)
    if inflater is None:
        return _reaches_its_end(name.lower(), *_ends(file))
    try:
        return _reaches_its_end(bare, *_ends_of(_inflated(file, inflater())))
    except OverflowError:
        return True
    except _broken():
        return False


def _open_for_writing(descriptor: int) -> bool:
    """Say whether a process on this machine may still write to a file; False where none can tell.

    Linux grants a read lease only on a file that nobody has open for writing.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        # Who opens the file while we hold the lease makes the kernel signal us: one that is
        # ignored by default, instead of one that ends the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:  # not our file, or a disk without leases
        return False
    return False


def _reaches_its_end(name: str, head: bytes, tail: bytes) -> bool:
    """Judge a file by its first and its last megabyte."""
    if name.endswith((".parquet", ".pq")):
        return len(head) > len(_PARQUET) and tail.endswith(_PARQUET)
    if head.startswith(_ZIP):
        return _ZIP_END in tail
    if tail.endswith(b"\n"):
        return True
    last = tail.rpartition(b"\n")[2]
    if name.endswith((".jsonl", ".ndjson")):
        return _is_json(last)
    header = head.partition(b"\n")[0]
    separator = max((",", ";", "\t"), key=lambda one: header.count(one.encode()))
    # A header that is all there is says nothing of what should follow.
    return b"\n" in tail and _fields(last, separator) == _fields(header, separator)


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _fields(line: bytes, separator: str) -> int:
    text = line.decode("utf-8-sig", "replace").rstrip("\r")
    try:
        return len(next(csv.reader([text], delimiter=separator, strict=True), []))
    except csv.Error:  # within quotes, or a field beyond all measure
        return 0


def _ends(file: BinaryIO) -> tuple[bytes, bytes]:
    head = file.read(_WINDOW)
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _WINDOW))
    return head, file.read()


def _ends_of(pieces: Iterator[bytes]) -> tuple[bytes, bytes]:
    head, tail = b"", bytearray()
    for piece in pieces:
        if len(head) < _WINDOW:
            head += piece[: _WINDOW - len(head)]
        tail += piece
        if len(tail) > 2 * _WINDOW:
            del tail[:-_WINDOW]
    return head, bytes(tail)


def _inflated(file: BinaryIO, inflater: Callable[[], Any]) -> Iterator[bytes]:
    """Unpack one frame after another; EOFError when the last has no end.

    OverflowError where so much comes out of so little that its end is not worth the time.
    """
    frame, packed, unpacked = inflater(), 0, 0
    while piece := file.read(_PIECE):
        packed += len(piece)
        while piece:
            frame = inflater() if frame.eof else frame
            data = frame.decompress(piece)
            unpacked += len(data)
            yield data
            piece = frame.unused_data if frame.eof else b""
        if unpacked > max(_MOST_UNPACKED, _MOST_EXPANSION * packed):
            raise OverflowError
    if not frame.eof:
        raise EOFError


def _gzip() -> Callable[[], Any]:
    return lambda: zlib.decompressobj(16 + zlib.MAX_WBITS)


def _bzip2() -> Callable[[], Any]:
    import bz2

    return bz2.BZ2Decompressor


def _zstandard() -> Callable[[], Any]:
    import zstandard

    return lambda: zstandard.ZstdDecompressor().decompressobj()


def _broken() -> tuple[type[Exception], ...]:
    import zstandard

    # The last of them is what bzip2 raises.
    return (EOFError, zlib.error, zstandard.ZstdError, OSError)


_INFLATERS: dict[str, Callable[[], Callable[[], Any]]] = {
    "gz": _gzip,
    "bz2": _bzip2,
    "zst": _zstandard,
}
_ZIP, _ZIP_END = b"PK\x03\x04", b"PK\x05\x06"
_PARQUET = b"PAR1"
