"""The folder `.claimed` of a landing place: claimed files, their digests and their owners.

Each claim is a folder with the file and, beside it, records whose names begin with a dot: the
digest of its bytes, which takes long for large files, and the run that claimed it.
"""

import errno
import json
import logging
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from include.adapters.landing.delivery import DIGEST, Delivery, sha256
from include.adapters.landing.kept_files import visible
from include.adapters.landing.left_alone import FilesLeftAlone
from include.formats.completeness import CLAIMED
from include.store import Entry, Store, move_between_stores
from include.text.showable import showable_name

log = logging.getLogger("ratchet")
_MARKER = ".digest"
_OWNER = ".run"
# A claimed file: the time of its last change, what keeps it apart from others, and its name.
_CLAIM = re.compile(r"\d{20}-[^/]+/[^/]+", re.DOTALL)
_READING_ONE = frozenset({errno.EACCES, errno.EIO, errno.EPERM})
"""Error numbers that concern one file only, so that the other files are still processed."""


class ClaimedFiles:
    """The claimed files of a landing place."""

    def __init__(self, place: Store, scratch: Path, left_alone: FilesLeftAlone) -> None:
        """`place` is the landing place.

        `scratch` is a local folder for a bucket's deliveries; a file that cannot be read is noted
        in `left_alone`.
        """
        self._place = place
        self._store = place.at(CLAIMED)
        self._scratch = scratch
        self._left_alone = left_alone
        self._seen: dict[str, set[str]] = {}
        """Claimed files, as CLAIM/NAME, by the digest that they had when they were listed."""

    def count(self) -> int:
        """Return how many files are claimed; lists only."""
        return len(visible(self._store.walk()))

    def has(self, name: str) -> bool:
        """Return whether a claimed file CLAIM/NAME is there, as a regular file."""
        return self._store.entry(name) is not None

    def claims(self) -> list[str]:
        """Return the folders of all claims, in the order of their arrival."""
        return [entry.name.partition("/")[0] for entry in self._files()]

    def deliveries(self) -> list[Delivery]:
        """Return the claimed files with their digests, in the order of their arrival.

        Files that a writer is still changing go back to the landing place.
        """
        deliveries: list[Delivery] = []
        for entry in self._files():
            with self._left_alone.noting(entry.name.partition("/")[2], _READING_ONE):
                delivery = self._delivery(entry)
                deliveries += [delivery] if delivery else []
        return deliveries

    def find(self, digest: str) -> Delivery | None:
        """Return a claimed file of this digest; None when there is none.

        One that was listed before is looked at directly: a listing of many files for each of them
        would cost more than all else.
        """
        for file in sorted(self._seen.get(digest, ())):
            entry, (claim, _, name) = self._store.entry(file), file.partition("/")
            if entry is not None and self._recorded_digest(claim, entry) == digest:
                return Delivery(name, digest, claim)
        return next((one for one in self.deliveries() if one.digest == digest), None)

    def owner(self, claim: str) -> str:
        """Return the run that claimed a file, empty where none is recorded."""
        try:
            return self._store.read(f"{claim}/{_OWNER}").decode()
        except (FileNotFoundError, UnicodeDecodeError):
            return ""

    def set_owner(self, claim: str, run: str) -> None:
        """Record the run that claimed a file."""
        self._store.write(f"{claim}/{_OWNER}", run.encode())

    def open(self, delivery: Delivery) -> BinaryIO:
        """Open a claimed file, seekable and local; FileNotFoundError when it has moved on."""
        name = f"{delivery.claim}/{delivery.name}"
        if self._store.local is not None:
            return self._store.local.open(name)
        path = self._scratch / delivery.digest
        if not path.exists():
            entry = self._store.entry(name)
            if entry is None:
                raise FileNotFoundError(f"{self._store.url}/{name}")
            digest = self._download(entry)
            if digest != delivery.digest:
                raise OSError(f"{self._store.url}/{name} is not {delivery.digest} but {digest}")
        return path.open("rb")

    def move_out(self, delivery: Delivery, target: Store, to: str) -> None:
        """Move a claimed file into another store, as `to`, and delete the records of its claim."""
        # A repeated call finds the file at its end already.
        with suppress(FileNotFoundError):
            move_between_stores(self._store, f"{delivery.claim}/{delivery.name}", target, to)
        if target.entry(to) is None:
            raise FileNotFoundError(f"{delivery.name} is neither claimed nor at {target.url}/{to}")
        self._delete_records(delivery.claim)
        (self._scratch / delivery.digest).unlink(missing_ok=True)

    def _files(self) -> list[Entry]:
        """Return the claimed files as CLAIM/NAME, in the order of their arrival."""
        entries = [entry for entry in self._store.walk() if _CLAIM.fullmatch(entry.name)]
        files = visible(entries)
        claims = {entry.name.partition("/")[0] for entry in files}
        for entry in entries:
            # The file has moved on and a run that died left what was beside it.
            if entry.name.partition("/")[0] not in claims:
                self._store.delete(entry.name)
        return sorted(files, key=_arrival)

    def _delivery(self, entry: Entry) -> Delivery | None:
        """Return a claimed file with its digest; None when a writer is still changing it."""
        claim, _, name = entry.name.partition("/")
        try:
            digest = self._recorded_digest(claim, entry) or self._new_digest(claim, entry)
        except FileNotFoundError:  # another run archived it
            return None
        if digest is None:
            shown = showable_name(name)
            log.warning("%s changed after it was claimed: it waits until its writer is done", shown)
            self._put_back(entry)
            return None
        self._seen.setdefault(digest, set()).add(entry.name)
        return Delivery(name, digest, claim)

    def _recorded_digest(self, claim: str, entry: Entry) -> str | None:
        try:
            marker = json.loads(self._store.read(f"{claim}/{_MARKER}"))
            digest, of = marker["digest"], marker["of"]
        # None yet, or none of ours: who may write to the place may write there, too.
        except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
            return None
        known = of == _fingerprint(entry) and isinstance(digest, str) and DIGEST.fullmatch(digest)
        return digest if known else None

    def _new_digest(self, claim: str, entry: Entry) -> str | None:
        """Hash a claimed file and record the digest; None when it has changed since the claim."""
        if self._store.local is not None:
            with self._store.local.open(entry.name) as file:
                digest = sha256(file)
            # The folder of a claim begins with the time of the change that its writer ended with.
            unchanged = int(claim.partition("-")[0]) == max(0, entry.modified)
            if not unchanged or self._store.entry(entry.name) != entry:
                return None
        else:
            digest = self._download(entry)
        marker = json.dumps({"digest": digest, "of": _fingerprint(entry)})
        self._store.write(f"{claim}/{_MARKER}", marker.encode())
        return digest

    def _download(self, entry: Entry) -> str:
        """Download a claimed object under its digest, and return that."""
        # The number of the process keeps two runs apart; a name that repeats leaves no litter.
        partial = self._scratch / f".{entry.modified}-{entry.tag}-{os.getpid()}"
        self._store.fetch(entry.name, partial)
        with partial.open("rb") as file:
            digest = sha256(file)
        partial.replace(self._scratch / digest)
        return digest

    def _put_back(self, entry: Entry) -> None:
        claim, _, name = entry.name.partition("/")
        self._delete_records(claim)
        if self._place.entry(name) is None:
            with suppress(FileNotFoundError):
                move_between_stores(self._store, entry.name, self._place, name)

    def _delete_records(self, claim: str) -> None:
        """Delete the records of a claim whose file has moved to archive or quarantine."""
        for name in (_MARKER, _OWNER):
            self._store.delete(f"{claim}/{name}")


def _arrival(entry: Entry) -> tuple[str, str, str]:
    claim, _, name = entry.name.partition("/")
    return claim.partition("-")[0], name, claim


def _fingerprint(entry: Entry) -> list[str]:
    return [str(entry.size), str(entry.modified), entry.tag]
