"""One spec's landing place, archive and quarantine, as steps and commands use them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

from include.adapters.landing.archive import Archive
from include.adapters.landing.claimed_files import ClaimedFiles
from include.adapters.landing.claims import Claims, never_left_to_a_person
from include.adapters.landing.delivery import Delivery
from include.adapters.landing.left_alone import FilesLeftAlone
from include.adapters.landing.quarantine import Quarantine, QuarantinePlace
from include.formats.completeness import why_ignored
from include.records.ledger_state import LandingReading
from include.store import LeftAlone, open_store


class Landing:
    """One spec's landing place, and the archive and quarantine beside its table."""

    def __init__(self, url: str, lake_url: str, options: Mapping[str, str], scratch: Path) -> None:
        """`url` is where people drop files, `lake_url` the spec's place in the lake.

        Both are paths or s3:// URLs, `options` what `open_store` needs for the latter. `scratch` is
        a local folder that holds a bucket's deliveries while they are worked on.
        """
        self.url = url
        self._place = open_store(url, options)
        self._left_alone = FilesLeftAlone(self._place)
        self._claimed = ClaimedFiles(self._place, scratch, self._left_alone)
        self._claims = Claims(self._place, self._claimed, self._left_alone)
        self._archive = Archive(open_store(f"{lake_url}/archive", options), scratch)
        self._quarantine = QuarantinePlace(open_store(f"{lake_url}/quarantine", options), scratch)

    def drop(self, name: str, content: Path | bytes | BinaryIO) -> None:
        """Write a file into the landing place, atomically, to be claimed by the next run."""
        if isinstance(content, bytes):
            self._place.write(name, content)
        else:
            self._place.put(name, content)

    def look(self, settled: Collection[str] = ()) -> LandingReading:
        """Return counts of what waits and what is in quarantine; lists only and changes nothing.

        `settled` are digests whose refusals are settled; they are not counted.
        """
        waiting = [entry for entry in self._place.look() if not why_ignored(entry.name)]
        refused = self._quarantine.counts(settled)
        return LandingReading(
            waiting=len(waiting),
            claimed=self._claimed.count(),
            oldest=min((entry.modified / 1e9 for entry in waiting), default=None),
            refused_files=refused.files,
            refused_rows=refused.rows,
            quarantine_bytes=refused.size,
        )

    def claim(
        self, run: str = "", is_stopped: Callable[[str], bool] = never_left_to_a_person
    ) -> list[Delivery]:
        """Claim every completely written file, and those that a dead run had claimed, oldest first.

        `run` is the id of the claiming run. Files claimed by a run for which `is_stopped` is true,
        because a person stopped it, are left with that run.
        """
        return self._claims.claim(run, is_stopped)

    def left_alone(self) -> list[LeftAlone]:
        """Return the entries of the landing place that are not claimed, each with the reason.

        These are folders and links, unreadable files, files that the last `claim` could not move,
        and names that no delivery may have. Hidden and temporary names are not among them, because
        writers use them for files in progress.
        """
        return self._left_alone.entries()

    def delivery(self, digest: str) -> Delivery | None:
        """Return a claimed delivery of this digest; None when all are archived or refused."""
        return self._claimed.find(digest)

    def deliveries(self) -> dict[str, list[Delivery]]:
        """Return all claimed deliveries by their digests: several where bytes came twice."""
        by_digest: dict[str, list[Delivery]] = {}
        for delivery in self._claimed.deliveries():
            by_digest.setdefault(delivery.digest, []).append(delivery)
        return by_digest

    @contextmanager
    def open(self, delivery: Delivery) -> Iterator[BinaryIO]:
        """Open a delivery as a seekable local file; a bucket's object is downloaded first.

        A delivery that another run has archived meanwhile is read from the archive.
        """
        try:
            file = self._claimed.open(delivery)
        except FileNotFoundError:
            with self.open_archived(delivery.digest) as (_, archived):
                yield archived
            return
        with file:
            yield file

    def archive(self, delivery: Delivery) -> str:
        """Move a committed delivery to the archive, under its digest; return its place there."""
        # These bytes may have been refused before the spec or the contract was changed.
        self._quarantine.forget_refusal(delivery.digest)
        return self._archive.take(delivery, self._claimed)

    def is_archived(self, digest: str) -> bool:
        """Return whether a delivery of this digest is in the archive."""
        return self._archive.has(digest)

    def archived_digests(self) -> list[str]:
        """Return the digests of all deliveries in the archive, sorted."""
        return self._archive.digests()

    def archived_name(self, digest: str) -> str:
        """Return the original name of an archived file; empty when it is not in the archive."""
        return self._archive.name(digest)

    def open_archived(self, digest: str) -> AbstractContextManager[tuple[str, BinaryIO]]:
        """Open an archived file, seekable and local; yields its original name and the file.

        Raises FileNotFoundError when it is not in the archive.
        """
        return self._archive.open(digest)

    def refuse(self, delivery: Delivery, reason: str, rows: Iterable[bytes] | None = None) -> str:
        """Move a delivery that is refused whole to quarantine, with the reason; return its place.

        `rows` are its bad rows as CSV (UTF-8) in pieces, when they are the reason.
        """
        return self._quarantine.refuse(delivery, self._claimed, reason, rows)

    def write_quarantine(self, digest: str, parts: Iterable[bytes]) -> str:
        """Write a batch's refused rows (CSV in pieces) to quarantine, atomically; return where."""
        return self._quarantine.write(digest, parts)

    def read_quarantine(self, digest: str) -> Quarantine:
        """Return what quarantine holds of a delivery; every field is None when it has nothing."""
        return self._quarantine.read(digest)

    def quarantine_url(self, digest: str) -> str:
        """Return the folder of a batch in quarantine, a path or URL."""
        return self._quarantine.url(digest)

    def quarantine_times(self) -> dict[str, int]:
        """Return the time of each entry of quarantine, in nanoseconds since 1970, by digest."""
        return self._quarantine.times()

    def quarantined_digests(self) -> list[str]:
        """Return the digests of all deliveries that have an entry in quarantine, sorted."""
        return self._quarantine.digests()

    def open_refused(self, digest: str) -> AbstractContextManager[tuple[str, BinaryIO]]:
        """Open a file that was refused whole, as `open_archived` does."""
        return self._quarantine.open(digest)
