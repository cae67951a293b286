"""Tells whether the writer of a file has finished it.

A `NAME.done` marker says so. Without one, two looks one poll apart have to see the same file, no
process on this machine may have it open for writing, and it has to be complete: the last line of a
text has a line end, or as many fields as the header; compressed data, archives and Parquet have
their end. A file that stays incomplete but unchanged for a minute is taken all the same: reading it
will say what is wrong. An object in a bucket is complete when it is listed. The triggerer imports
this module, so it imports nothing heavy.
"""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from typing import BinaryIO

from include.errors import FileRefusedError
from include.formats.known_formats import format_of
from include.formats.packed import TooMuchInsideError, content_pieces, has_bzip2_end
from include.formats.suffixes import Packing, packing
from include.formats.zipped import has_end as has_zip_end
from include.store import Entry, Store
from include.store.units import MIB

POLL_SECONDS = 1.0
PATIENCE_SECONDS = 60.0
DONE = ".done"
NOTES = "refused"
"""The folder of a landing place in which senders read what was refused."""
CLAIMED = ".claimed"
"""The folder of a landing place that holds the files of the run in progress."""
_TEMPORARY = (".part", ".tmp", "~", DONE)
"""How names of files end that are not deliveries yet."""
_LONGEST_NAME = 255
"""Bytes of a name that a file system accepts; any delivery may be written to one."""
_WINDOW = MIB
"""Bytes of the start and of the end of a file that are looked at."""


class CompletenessWatch:
    """Looks at one landing place repeatedly and remembers the previous look."""

    def __init__(self, store: Store) -> None:
        """Watch the place of `store`, which need not exist yet."""
        self._store = store
        self._before: dict[str, Entry] = {}
        self._complete: dict[Entry, bool] = {}

    def look(self) -> list[Entry]:
        """Return the deliveries that may be taken, complete or marked as done, the oldest first."""
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

    def number_seen(self) -> int:
        """Return how many deliveries the last look saw, complete or not."""
        return len(self._before)

    def _is_done(self, entry: Entry) -> bool:
        if self._store.local is None:
            return True
        try:
            with self._store.local.open(entry.name) as file:
                if _open_for_writing(file.fileno()):
                    return False
                # Absolute, so that a clock that was set back does not hold a file for ever.
                still = abs(time.time() - entry.modified / 1e9) > PATIENCE_SECONDS
                return still or self._is_complete(entry, file)
        except OSError:  # withdrawn while we looked, or not to be read: that harms no other file
            return False

    def _is_complete(self, entry: Entry, file: BinaryIO) -> bool:
        if entry not in self._complete:
            self._complete[entry] = is_complete(entry.name, file)
        return self._complete[entry]


def why_ignored(name: str) -> str:
    """Say why a name in a landing place is not that of a delivery; empty when it is."""
    if name.startswith("."):
        return "names that begin with a dot are hidden"
    ending = next((suffix for suffix in _TEMPORARY if name.endswith(suffix)), None)
    if ending is not None:
        return f"names that end with {ending} are those of files that are still being written"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        return f"names have {_LONGEST_NAME} bytes at most"
    return ""


def is_temporary(name: str) -> bool:
    """Say whether a name marks a file that is still being written."""
    return name.startswith(".") or name.endswith(_TEMPORARY)


def is_complete(name: str, file: BinaryIO) -> bool:
    """Say whether a file's data reach their end, as far as its format shows."""
    packed, file_format = packing(name), format_of(name)
    if packed is Packing.ZIP:
        return has_zip_end(_ends(file)[1])
    if packed is Packing.BZ2:
        return has_bzip2_end(_ends(file)[1])
    if not packed:
        return file_format.reaches_its_end(*_ends(file))
    try:
        return file_format.reaches_its_end(*_ends_of(content_pieces(file, packed, _WINDOW)))
    except TooMuchInsideError:  # reading it will tell
        return True
    except FileRefusedError:
        return False


def _open_for_writing(descriptor: int) -> bool:
    """Say whether a process on this machine may still write to a file; False where unknown.

    Linux grants a read lease only on a file that nobody has open for writing.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        # A process that opens the file while the lease is held makes the kernel signal this one:
        # with SIGURG, which is ignored by default, instead of SIGIO, which ends the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:  # not our file, or a disk without leases
        return False
    return False


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
