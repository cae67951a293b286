"""Claims the files of a landing place: each goes to `.claimed` by one rename, and gets an owner."""

import errno
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from include.adapters.landing.claimed_files import ClaimedFiles
from include.adapters.landing.delivery import Delivery
from include.adapters.landing.left_alone import FilesLeftAlone
from include.formats.completeness import CLAIMED, DONE, POLL_SECONDS, CompletenessWatch
from include.store import Entry, Store
from include.text.showable import showable_name

log = logging.getLogger("ratchet")
_TAKING_ONE = frozenset({errno.EBUSY, errno.EIO, errno.EPERM})
"""Error numbers that concern one file only, so that the other files are still processed."""


def never_left_to_a_person(_run: str) -> bool:
    """Return False: for callers that do not know of runs that a person stopped."""
    return False


class Claims:
    """Moves complete files of a landing place into its folder of claimed files."""

    def __init__(self, place: Store, claimed: ClaimedFiles, left_alone: FilesLeftAlone) -> None:
        """`place` is the landing place; a file that cannot be moved is noted in `left_alone`."""
        self._place = place
        self._claimed = claimed
        self._left_alone = left_alone

    def claim(self, run: str, is_stopped: Callable[[str], bool]) -> list[Delivery]:
        """Claim every complete file, and those that a dead run had claimed, oldest first.

        See `Landing.claim`.
        """
        lookout = CompletenessWatch(self._place)
        settled = lookout.look()
        if len(settled) < lookout.number_seen():
            time.sleep(POLL_SECONDS)
            settled = lookout.look()
        self._left_alone.forget_failures()
        if settled:
            self._make_room()
        for entry in settled:
            with self._left_alone.noting(entry.name, _TAKING_ONE):
                self._take(entry)
        if run:
            self._sign(run)
        return self._of_the_living(self._claimed.deliveries(), run, is_stopped)

    def _make_room(self) -> None:
        """Rename whatever has the name of the claims' folder but is a file or a link."""
        if self._place.local is None:
            return
        odd = next((one for one in self._place.left_alone() if one.name == CLAIMED), None)
        if (odd and not odd.is_folder) or self._place.entry(CLAIMED):
            aside = f"{CLAIMED}-{time.time_ns()}"
            self._place.move(CLAIMED, aside)
            log.warning("%s/%s was no folder: it is %s now", self._place.url, CLAIMED, aside)

    def _take(self, entry: Entry) -> None:
        # Without its marker the file has to prove that it is settled, should this run die here.
        self._place.delete(entry.name + DONE)
        # In a bucket a repeated copy has to meet the one before; in a folder two deliveries may
        # bear the same name, and a rename is never repeated.
        unique = entry.tag or str(time.time_ns())
        claimed = f"{max(0, entry.modified):020d}-{unique}/{entry.name}"
        with suppress(FileNotFoundError):  # another run was faster
            self._place.move(entry.name, f"{CLAIMED}/{claimed}", entry)
            if self._place.local is not None and not self._claimed.has(claimed):
                # Something else was put in the file's place after it was looked at.
                self._place.move(f"{CLAIMED}/{claimed}", entry.name)

    def _sign(self, run: str) -> None:
        """Record the owner of new claims, before hashing, which takes long for large files."""
        for claim in self._claimed.claims():
            if not self._claimed.owner(claim):
                self._claimed.set_owner(claim, run)

    def _of_the_living(
        self, deliveries: list[Delivery], run: str, is_stopped: Callable[[str], bool]
    ) -> list[Delivery]:
        """Return the deliveries without those of stopped runs, and sign them for this run."""
        taken: list[Delivery] = []
        stopped: dict[str, bool] = {run: False, "": False}
        for delivery in deliveries:
            owner = self._claimed.owner(delivery.claim)
            if owner not in stopped:
                stopped[owner] = is_stopped(owner)
            if stopped[owner]:
                log.warning(
                    "%s waits, because the run %s that had taken it was stopped or deleted by a "
                    "person: trigger the Dag by hand to take it in, or drop the file again",
                    showable_name(delivery.name),
                    showable_name(owner),
                )
                continue
            if owner != run:
                self._claimed.set_owner(delivery.claim, run)
            taken.append(delivery)
        return taken
