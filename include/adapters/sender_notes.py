"""Writes notes to the senders of files: what was refused, why, and what to do.

Notes are text files in a subfolder of the landing place, from which nothing is ingested. No file
there that is not a note is overwritten or deleted.
"""

import errno
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from include.formats.completeness import NOTES
from include.records.refusal_reasons import Refusal
from include.store import open_store
from include.store.units import KIB

MOST_NOTES = 100
_LONGEST_NAME = 180
"""Bytes of the original file's name in a note's name; a file name may have 255 with additions."""
_SUFFIX = ".txt"
_OWN = re.compile(r"\ARatchet .*^Batch: ([0-9a-f]{64})$", re.DOTALL | re.MULTILINE)
_LONGEST_NOTE = 64 * KIB


class SenderNotes:
    """The notes in one landing place."""

    def __init__(self, landing_url: str, options: Mapping[str, str]) -> None:
        """`options` are what `open_store` needs."""
        self._store = open_store(landing_url, options).at(NOTES)

    def write(self, refusal: Refusal, text: str) -> str:
        """Write the note of a refusal, over its own older one; return the path or URL.

        When there are more than MOST_NOTES notes, the oldest are deleted. Raises PermissionError
        when a bucket's policy forbids it.
        """
        name = next(one for one in _names(refusal) if self._owner(one) in {None, refusal.digest})
        with _as_of_a_disk():
            self._store.write(name, f"Ratchet {text}\n\nBatch: {refusal.digest}\n".encode())
            self._make_room()
        return f"{self._store.url}/{name}"

    def delete(self, refusal: Refusal) -> None:
        """Remove the note of a refusal."""
        for number, name in enumerate(_names(refusal)):
            owner = self._owner(name)
            if owner == refusal.digest:
                with _as_of_a_disk():
                    self._store.delete(name)
            # The note of an earlier file of this name may have gone before.
            if owner is None and number:
                return

    def _owner(self, name: str) -> str | None:
        """Return the digest in a note; empty for a file that is no note, None for no file."""
        entry = self._store.entry(name)
        if entry is None:
            # What is no file, such as a folder or a link, is in the way all the same.
            return "" if name in self._in_the_way() else None
        if entry.size > _LONGEST_NOTE:
            return ""
        found = _OWN.search(self._store.read(name).decode(errors="replace"))
        return found[1] if found else ""

    def _in_the_way(self) -> set[str]:
        if self._store.local is None:
            return set()
        return {one.name for one in self._store.left_alone()}

    def _make_room(self) -> None:
        notes = [one for one in self._store.look() if one.name.endswith(_SUFFIX)]
        if len(notes) <= MOST_NOTES:
            return
        own = [one for one in notes if self._owner(one.name)]
        for entry in sorted(own, key=lambda item: (item.modified, item.name))[:-MOST_NOTES]:
            self._store.delete(entry.name)


@contextmanager
def _as_of_a_disk() -> Iterator[None]:
    """Raise PermissionError for an operation that a bucket's policy forbids."""
    from obstore.exceptions import PermissionDeniedError

    try:
        yield
    except PermissionDeniedError as error:
        raise PermissionError(errno.EACCES, "the bucket does not allow it") from error


def _names(refusal: Refusal) -> Iterator[str]:
    """Yield possible names of a note, in the order to try: others' files may have the first."""
    name = os.fsdecode(os.fsencode(refusal.name)[:_LONGEST_NAME])
    yield f"{name}{_SUFFIX}"
    yield f"{name}.{refusal.digest[:12]}{_SUFFIX}"
    number = 2
    while True:
        yield f"{name}.{refusal.digest[:12]}-{number}{_SUFFIX}"
        number += 1
