"""The landing place: where deliveries wait, are claimed, and end in archive or quarantine.

The place is a folder or a bucket. What waits is read from it alone; the trigger that starts a run
hands no list of files on. A file is claimed by one rename (in a bucket: a copy under a name that is
derived from the object, then a delete) and is never deleted. Every method may be killed at any
instruction and called again, with the same final state.
"""

import errno
import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from include.formats.completeness import (
    CLAIMED,
    DONE,
    NOTES,
    POLL_SECONDS,
    CompletenessWatch,
    is_temporary,
    why_ignored,
)
from include.records.ledger_state import LandingReading
from include.store import PIECE, Entry, Folder, LeftAlone, Store, move_between_stores, open_store
from include.text.showable import showable_name

log = logging.getLogger("ratchet")
_MARKER = ".digest"
_OWNER = ".run"
_REASON = "reason.txt"
_ROWS = "rows.csv"
_SET_ASIDE = "delivered-"
# A claimed file: the time of its last change, what keeps it apart from others, and its name.
_CLAIM = re.compile(r"\d{20}-[^/]+/[^/]+", re.DOTALL)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TAKING_ONE = frozenset({errno.EBUSY, errno.EIO, errno.EPERM})
_READING_ONE = frozenset({errno.EACCES, errno.EIO, errno.EPERM})
"""Error numbers that concern one file only, so that the other files are still processed."""


@dataclass(frozen=True)
class Delivery:
    """A claimed file and the digest of its bytes."""

    name: str
    """Its file name in the landing place."""
    digest: str
    """SHA-256, in hexadecimal digits."""
    claim: str
    """The folder in `.claimed` that holds it; folder names sort by the files' arrival."""


@dataclass(frozen=True)
class Quarantine:
    """What quarantine holds of one delivery: refused rows, or the whole file with a reason."""

    rows: bytes | None
    """The refused rows as CSV in UTF-8; None when there are none."""
    reason: str | None
    """Why the file was refused whole; None when it was not."""
    name: str | None
    """The name of the file that was refused whole, for `open_refused`; None when it was not."""


def never_left_to_a_person(_run: str) -> bool:
    """Return False: for callers that do not know of runs that a person stopped."""
    return False


class Landing:
    """One spec's landing place, and the archive and quarantine beside its table."""

    def __init__(self, url: str, lake_url: str, options: Mapping[str, str], scratch: Path) -> None:
        """`url` is where people drop files, `lake_url` the spec's place in the lake.

        Both are paths or s3:// URLs, `options` what `open_store` needs for the latter. `scratch` is
        a local folder that holds a bucket's deliveries while they are worked on.
        """
        self.url = url
        self._place = open_store(url, options)
        self._claimed = self._place.at(CLAIMED)
        self._archive = open_store(f"{lake_url}/archive", options)
        self._quarantine = open_store(f"{lake_url}/quarantine", options)
        self._scratch = scratch
        self._in_the_way: dict[str, str] = {}

    def claim(
        self, run: str = "", is_stopped: Callable[[str], bool] = never_left_to_a_person
    ) -> list[Delivery]:
        """Claim every completely written file, and those that a dead run had claimed, oldest first.

        `run` is the id of the claiming run. Files claimed by a run for which `is_stopped` is true,
        because a person stopped it, are left with that run.
        """
        lookout = CompletenessWatch(self._place)
        settled = lookout.look()
        if len(settled) < lookout.seen():
            time.sleep(POLL_SECONDS)
            settled = lookout.look()
        self._in_the_way.clear()
        if settled:
            self._make_room()
        for entry in settled:
            with self._noted(entry.name, _TAKING_ONE):
                self._take(entry)
        if run:
            self._sign(run)
        return self._of_the_living(self._deliveries(), run, is_stopped)

    def left_alone(self) -> list[LeftAlone]:
        """Return the entries of the landing place that are not claimed, each with the reason.

        These are folders and links, unreadable files, files that the last `claim` could not move,
        and names that no delivery may have. Hidden and temporary names are not among them, because
        writers use them for files in progress.
        """
        ignored = [
            LeftAlone(one.name, why) for one in self._place.look() if (why := why_ignored(one.name))
        ]
        failed = [LeftAlone(name, why) for name, why in self._in_the_way.items()]
        other = [one for one in self._place.left_alone() if one.name != NOTES or not one.is_folder]
        found = {one.name: one for one in [*ignored, *other, *failed, *self._among_notes()]}
        return [found[name] for name in sorted(found) if not is_temporary(name)]

    def _among_notes(self) -> list[LeftAlone]:
        """Return files that somebody put into the folder of notes, one level too deep."""
        why = "in the folder of notes: only files directly in the landing place are taken"
        names = (one.name for one in self._place.at(NOTES).look())
        return [
            LeftAlone(f"{NOTES}/{name}", why)
            for name in names
            if name and not name.endswith(".txt") and not why_ignored(name)
        ]

    def delivery(self, digest: str) -> Delivery | None:
        """Return a claimed delivery of this digest; None when all are archived or refused."""
        return next((one for one in self._deliveries() if one.digest == digest), None)

    @contextmanager
    def opened(self, delivery: Delivery) -> Iterator[BinaryIO]:
        """Open a delivery as a seekable local file; a bucket's object is downloaded first.

        A delivery that another run has archived meanwhile is read from the archive.
        """
        try:
            file = self._local(delivery)
        except FileNotFoundError:
            with self.open_archived(delivery.digest) as (_, archived):
                yield archived
            return
        with file:
            yield file

    def archived(self, digest: str) -> bool:
        """Return whether a delivery of this digest is in the archive."""
        return bool(_visible(self._archive.at(digest).look()))

    def archived_digests(self) -> list[str]:
        """Return the digests of all deliveries in the archive, sorted."""
        names = (entry.name.partition("/")[0] for entry in _visible(self._archive.walk()))
        return sorted({name for name in names if _DIGEST.fullmatch(name)})

    def archive(self, delivery: Delivery) -> str:
        """Move a committed delivery to the archive, under its digest; return its place there."""
        to = f"{delivery.digest}/{delivery.name}"
        # These bytes may have been refused before the spec or the contract was changed.
        self._withdraw(delivery.digest, {_ROWS})
        self._carry(delivery, self._archive, to)
        return f"{self._archive.url}/{to}"

    def refuse(self, delivery: Delivery, reason: str, rows: Iterable[bytes] | None = None) -> str:
        """Move a delivery that is refused whole to quarantine, with the reason; return its place.

        `rows` are its bad rows as CSV (UTF-8) in pieces, when they are the reason.
        """
        keep = {_REASON, *([] if rows is None else [self._write_rows(delivery.digest, rows)])}
        self._quarantine.write(f"{delivery.digest}/{_REASON}", (reason + "\n").encode())
        taken = delivery.name in {_REASON, _ROWS}
        name = f"{_SET_ASIDE * taken}{delivery.name}"
        to = f"{delivery.digest}/{name}"
        self._carry(delivery, self._quarantine, to)
        self._withdraw(delivery.digest, {*keep, name})
        return f"{self._quarantine.url}/{to}"

    def write_quarantine(self, digest: str, parts: Iterable[bytes]) -> str:
        """Write a batch's refused rows (CSV in pieces) to quarantine, atomically; return where."""
        return f"{self._quarantine.url}/{digest}/{self._write_rows(digest, parts)}"

    def read_quarantine(self, digest: str) -> Quarantine:
        """Return what quarantine holds of a delivery; every field is None when it has nothing."""
        store = self._quarantine.at(digest)
        names = {entry.name for entry in _visible(store.look())}
        return Quarantine(
            store.read(_ROWS) if _ROWS in names else None,
            store.read(_REASON).decode().strip() if _REASON in names else None,
            min(names - {_ROWS, _REASON}, default=None),
        )

    def quarantine_url(self, digest: str) -> str:
        """Return the folder of a batch in quarantine, a path or URL."""
        return f"{self._quarantine.url}/{digest}"

    def quarantined_at(self) -> dict[str, int]:
        """Return the time of each entry of quarantine, in nanoseconds since 1970, by digest."""
        when: dict[str, int] = {}
        for entry in _visible(self._quarantine.walk()):
            digest, _, name = entry.name.partition("/")
            if name in {_ROWS, _REASON}:
                when[digest] = max(when.get(digest, 0), entry.modified)
        return when

    def archived_name(self, digest: str) -> str:
        """Return the original name of an archived file; empty when it is not in the archive."""
        return min((one.name for one in _visible(self._archive.at(digest).look())), default="")

    def quarantined(self) -> list[str]:
        """Return the digests of all deliveries that have an entry in quarantine, sorted."""
        return sorted({entry.name.partition("/")[0] for entry in self._quarantine.walk()})

    def look(self, settled: Collection[str] = ()) -> LandingReading:
        """Return counts of what waits and what is in quarantine; lists only and changes nothing.

        `settled` are digests whose refusals are settled; they are not counted.
        """
        waiting = [entry for entry in self._place.look() if not why_ignored(entry.name)]
        kept = _visible(self._quarantine.walk())
        rows = {one.name.partition("/")[0] for one in kept if one.name.endswith(f"/{_ROWS}")}
        whole = {one.name.partition("/")[0] for one in kept if one.name.endswith(f"/{_REASON}")}
        return LandingReading(
            waiting=len(waiting),
            claimed=len(_visible(self._claimed.walk())),
            oldest=min((entry.modified / 1e9 for entry in waiting), default=None),
            refused_files=len(whole.difference(settled)),
            refused_rows=len((rows - whole).difference(settled)),
            quarantine_bytes=sum(entry.size for entry in kept),
        )

    def open_archived(self, digest: str) -> AbstractContextManager[tuple[str, BinaryIO]]:
        """Open an archived file, seekable and local; yields its original name and the file.

        Raises FileNotFoundError when it is not in the archive.
        """
        return self._open_kept(self._archive.at(digest))

    def open_refused(self, digest: str) -> AbstractContextManager[tuple[str, BinaryIO]]:
        """Open a file that was refused whole, as `open_archived` does."""
        return self._open_kept(self._quarantine.at(digest))

    def drop(self, name: str, content: Path | bytes | BinaryIO) -> None:
        """Write a file into the landing place, atomically, to be claimed by the next run."""
        if isinstance(content, bytes):
            self._place.write(name, content)
        else:
            self._place.put(name, content)

    def _write_rows(self, digest: str, parts: Iterable[bytes]) -> str:
        self._quarantine.write(f"{digest}/{_ROWS}", parts)
        return _ROWS

    @contextmanager
    def _open_kept(self, store: Store) -> Iterator[tuple[str, BinaryIO]]:
        names = {entry.name for entry in _visible(store.look())} - {_REASON, _ROWS}
        if not names:
            raise FileNotFoundError(f"{store.url}: no delivery of this digest is kept here")
        name = min(names)
        with ExitStack() as stack:
            if isinstance(store, Folder):
                file = store.open(name)
            else:
                self._scratch.mkdir(parents=True, exist_ok=True)
                path = Path(stack.enter_context(TemporaryDirectory(dir=self._scratch)), "file")
                store.fetch(name, path)
                file = path.open("rb")
            yield name.removeprefix(_SET_ASIDE), stack.enter_context(file)

    def _make_room(self) -> None:
        """Rename whatever has the name of the claims' folder but is a file or a link."""
        if not isinstance(self._place, Folder):
            return
        odd = next((one for one in self._place.left_alone() if one.name == CLAIMED), None)
        if (odd and not odd.is_folder) or self._place.entry(CLAIMED):
            aside = f"{CLAIMED}-{time.time_ns()}"
            self._place.move(CLAIMED, aside)
            log.warning("%s/%s was no folder: it is %s now", self.url, CLAIMED, aside)

    def _of_the_living(
        self, deliveries: list[Delivery], run: str, is_stopped: Callable[[str], bool]
    ) -> list[Delivery]:
        """Return the deliveries without those of stopped runs, and sign them for this run."""
        taken: list[Delivery] = []
        stopped: dict[str, bool] = {run: False, "": False}
        for delivery in deliveries:
            owner = self._owner(delivery.claim)
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
                self._claimed.write(f"{delivery.claim}/{_OWNER}", run.encode())
            taken.append(delivery)
        return taken

    def _sign(self, run: str) -> None:
        """Record the owner of new claims, before hashing, which takes long for large files."""
        for entry in self._taken():
            claim = entry.name.partition("/")[0]
            if not self._owner(claim):
                self._claimed.write(f"{claim}/{_OWNER}", run.encode())

    def _owner(self, claim: str) -> str:
        """Return the run that claimed a file, empty where none is recorded."""
        try:
            return self._claimed.read(f"{claim}/{_OWNER}").decode()
        except (FileNotFoundError, UnicodeDecodeError):
            return ""

    def _take(self, entry: Entry) -> None:
        # Without its marker the file has to prove that it is settled, should this run die here.
        self._place.delete(entry.name + DONE)
        # In a bucket a repeated copy has to meet the one before; in a folder two deliveries may
        # bear the same name, and a rename is never repeated.
        unique = entry.tag or str(time.time_ns())
        claimed = f"{max(0, entry.modified):020d}-{unique}/{entry.name}"
        with suppress(FileNotFoundError):  # another run was faster
            self._place.move(entry.name, f"{CLAIMED}/{claimed}", entry)
            if isinstance(self._place, Folder) and self._claimed.entry(claimed) is None:
                # Something else was put in the file's place after it was looked at.
                self._place.move(f"{CLAIMED}/{claimed}", entry.name)

    @contextmanager
    def _noted(self, name: str, of_one_file: Collection[int]) -> Iterator[None]:
        """Record an error that concerns one file for `left_alone`, instead of raising it."""
        try:
            yield
        except OSError as error:
            if error.errno not in of_one_file:
                raise
            self._in_the_way[name] = f"it cannot be taken: {error.strerror}"
            log.warning("%s cannot be taken: %s", showable_name(name), error.strerror)

    def _deliveries(self) -> list[Delivery]:
        found: list[Delivery] = []
        for entry in self._taken():
            with self._noted(entry.name.partition("/")[2], _READING_ONE):
                delivery = self._delivery(entry)
                found += [delivery] if delivery else []
        return found

    def _taken(self) -> list[Entry]:
        """Return the claimed files as CLAIM/NAME, in the order of their arrival."""
        found = [one for one in self._claimed.walk() if _CLAIM.fullmatch(one.name)]
        taken = _visible(found)
        claims = {entry.name.partition("/")[0] for entry in taken}
        for entry in found:
            # The file has moved on and a run that died left what was beside it.
            if entry.name.partition("/")[0] not in claims:
                self._claimed.delete(entry.name)
        return sorted(taken, key=_arrival)

    def _delivery(self, entry: Entry) -> Delivery | None:
        """Return a claimed file with its digest; None when a writer is still changing it."""
        claim, _, name = entry.name.partition("/")
        try:
            digest = self._known_digest(claim, entry) or self._new_digest(claim, entry)
        except FileNotFoundError:  # another run archived it
            return None
        if digest is None:
            shown = showable_name(name)
            log.warning("%s changed after it was claimed: it waits until its writer is done", shown)
            self._put_back(entry)
            return None
        return Delivery(name, digest, claim)

    def _known_digest(self, claim: str, entry: Entry) -> str | None:
        try:
            marker = json.loads(self._claimed.read(f"{claim}/{_MARKER}"))
            digest, of = marker["digest"], marker["of"]
        # None yet, or none of ours: who may write to the place may write there, too.
        except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
            return None
        known = of == _fingerprint(entry) and isinstance(digest, str) and _DIGEST.fullmatch(digest)
        return digest if known else None

    def _new_digest(self, claim: str, entry: Entry) -> str | None:
        """Hash a claimed file and record the digest; None when it has changed since the claim."""
        if isinstance(self._claimed, Folder):
            with self._claimed.open(entry.name) as file:
                digest = sha256(file)
            # The folder of a claim begins with the time of the change that its writer ended with.
            unchanged = int(claim.partition("-")[0]) == max(0, entry.modified)
            if not unchanged or self._claimed.entry(entry.name) != entry:
                return None
        else:
            digest = self._spooled(entry)
        marker = json.dumps({"digest": digest, "of": _fingerprint(entry)})
        self._claimed.write(f"{claim}/{_MARKER}", marker.encode())
        return digest

    def _put_back(self, entry: Entry) -> None:
        claim, _, name = entry.name.partition("/")
        self._forget(claim)
        if self._place.entry(name) is None:
            with suppress(FileNotFoundError):
                move_between_stores(self._claimed, entry.name, self._place, name)

    def _forget(self, claim: str) -> None:
        """Delete the records of a claim whose file has moved to archive or quarantine."""
        for name in (_MARKER, _OWNER):
            self._claimed.delete(f"{claim}/{name}")

    def _local(self, delivery: Delivery) -> BinaryIO:
        name = f"{delivery.claim}/{delivery.name}"
        if isinstance(self._claimed, Folder):
            return self._claimed.open(name)
        path = self._scratch / delivery.digest
        if not path.exists():
            found = self._claimed.entry(name)
            if found is None:
                raise FileNotFoundError(f"{self._claimed.url}/{name}")
            digest = self._spooled(found)
            if digest != delivery.digest:
                raise OSError(f"{self._claimed.url}/{name} is not {delivery.digest} but {digest}")
        return path.open("rb")

    def _spooled(self, entry: Entry) -> str:
        """Download a claimed object under its digest, and return that."""
        # The number of the process keeps two runs apart; a name that repeats leaves no litter.
        partial = self._scratch / f".{entry.modified}-{entry.tag}-{os.getpid()}"
        self._claimed.fetch(entry.name, partial)
        with partial.open("rb") as file:
            digest = sha256(file)
        partial.replace(self._scratch / digest)
        return digest

    def _withdraw(self, digest: str, keep: Collection[str]) -> None:
        """Delete what quarantine holds of a delivery that was archived, or refused differently."""
        store = self._quarantine.at(digest)
        # A store may list a name otherwise than it was given: in a bucket one too long for a key.
        listed = {entry.name for name in keep if (entry := store.entry(name))}
        for entry in _visible(store.look()):
            if entry.name not in listed:
                self._quarantine.delete(f"{digest}/{entry.name}")

    def _carry(self, delivery: Delivery, target: Store, to: str) -> None:
        # A repeated call finds the file at its end already.
        with suppress(FileNotFoundError):
            move_between_stores(self._claimed, f"{delivery.claim}/{delivery.name}", target, to)
        if target.entry(to) is None:
            raise FileNotFoundError(f"{delivery.name} is neither claimed nor at {target.url}/{to}")
        self._forget(delivery.claim)
        (self._scratch / delivery.digest).unlink(missing_ok=True)


def _visible(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if not entry.name.rpartition("/")[2].startswith(".")]


def _arrival(entry: Entry) -> tuple[str, str, str]:
    claim, _, name = entry.name.partition("/")
    return claim.partition("-")[0], name, claim


def _fingerprint(entry: Entry) -> list[str]:
    return [str(entry.size), str(entry.modified), entry.tag]


def sha256(file: BinaryIO) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal digits: the digest of a delivery."""
    digest = hashlib.sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()
