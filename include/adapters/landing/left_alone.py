"""The entries of a landing place that are not claimed, each with the reason."""

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from include.formats.completeness import NOTES, is_temporary, why_ignored
from include.store import LeftAlone, Store
from include.text.showable import showable_name

log = logging.getLogger("ratchet")


class FilesLeftAlone:
    """What a landing place holds besides files that can be claimed."""

    def __init__(self, place: Store) -> None:
        """`place` is the landing place."""
        self._place = place
        self._failures: dict[str, str] = {}

    def forget_failures(self) -> None:
        """Forget the files that could not be moved or read: they are tried again."""
        self._failures.clear()

    @contextmanager
    def noting(self, name: str, of_one_file: Collection[int]) -> Iterator[None]:
        """Record an error that concerns one file for `entries`, instead of raising it.

        `of_one_file` are the error numbers that concern one file only.
        """
        try:
            yield
        except OSError as error:
            if error.errno not in of_one_file:
                raise
            self._failures[name] = f"it cannot be taken: {error.strerror}"
            log.warning("%s cannot be taken: %s", showable_name(name), error.strerror)

    def entries(self) -> list[LeftAlone]:
        """Return the entries that are not claimed, sorted by name, see `Landing.left_alone`."""
        ignored = [
            LeftAlone(entry.name, why)
            for entry in self._place.look()
            if (why := why_ignored(entry.name))
        ]
        failed = [LeftAlone(name, why) for name, why in self._failures.items()]
        other = [one for one in self._place.left_alone() if one.name != NOTES or not one.is_folder]
        by_name = {one.name: one for one in [*ignored, *other, *failed, *self._among_notes()]}
        return [by_name[name] for name in sorted(by_name) if not is_temporary(name)]

    def _among_notes(self) -> list[LeftAlone]:
        """Return files that somebody put into the folder of notes, one level too deep."""
        why = "in the folder of notes: only files directly in the landing place are taken"
        names = (entry.name for entry in self._place.at(NOTES).look())
        return [
            LeftAlone(f"{NOTES}/{name}", why)
            for name in names
            if name and not name.endswith(".txt") and not why_ignored(name)
        ]
