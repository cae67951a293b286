"""The quarantine of a spec: refused rows, and files that were refused whole, by digest."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from include.adapters.landing.claimed_files import ClaimedFiles
from include.adapters.landing.delivery import Delivery
from include.adapters.landing.kept_files import open_kept, visible
from include.store import Store

_REASON = "reason.txt"
_ROWS = "rows.csv"
_SET_ASIDE = "delivered-"


@dataclass(frozen=True)
class Quarantine:
    """What quarantine holds of one delivery: refused rows, or the whole file with a reason."""

    rows: bytes | None
    """The refused rows as CSV in UTF-8; None when there are none."""
    reason: str | None
    """Why the file was refused whole; None when it was not."""
    name: str | None
    """The name of the file that was refused whole, for `open_refused`; None when it was not."""


@dataclass(frozen=True)
class QuarantineCounts:
    """How much quarantine holds."""

    files: int
    """Files that were refused whole."""
    rows: int
    """Deliveries of which only some rows were refused."""
    size: int
    """Bytes of all that is in quarantine."""


class QuarantinePlace:
    """Everything of a spec that was refused."""

    def __init__(self, store: Store, scratch: Path) -> None:
        """`scratch` is a local folder that holds a bucket's files while they are open."""
        self._store = store
        self._scratch = scratch

    def refuse(
        self,
        delivery: Delivery,
        claimed: ClaimedFiles,
        reason: str,
        rows: Iterable[bytes] | None,
    ) -> str:
        """Move a claimed file here, with the reason and its bad rows; return its place."""
        keep = {_REASON, *([] if rows is None else [self._write_rows(delivery.digest, rows)])}
        self._store.write(f"{delivery.digest}/{_REASON}", (reason + "\n").encode())
        is_reserved = delivery.name in {_REASON, _ROWS}
        name = f"{_SET_ASIDE * is_reserved}{delivery.name}"
        to = f"{delivery.digest}/{name}"
        claimed.move_out(delivery, self._store, to)
        self._delete_all_but(delivery.digest, {*keep, name})
        return f"{self._store.url}/{to}"

    def forget_refusal(self, digest: str) -> None:
        """Delete all that is here of a delivery but its refused rows."""
        self._delete_all_but(digest, {_ROWS})

    def write(self, digest: str, parts: Iterable[bytes]) -> str:
        """Write a batch's refused rows (CSV in pieces) atomically; return where."""
        return f"{self._store.url}/{digest}/{self._write_rows(digest, parts)}"

    def read(self, digest: str) -> Quarantine:
        """Return what is here of a delivery; every field is None when there is nothing."""
        store = self._store.at(digest)
        names = {entry.name for entry in visible(store.look())}
        return Quarantine(
            store.read(_ROWS) if _ROWS in names else None,
            store.read(_REASON).decode().strip() if _REASON in names else None,
            min(names - {_ROWS, _REASON}, default=None),
        )

    def url(self, digest: str) -> str:
        """Return the folder of a batch, a path or URL."""
        return f"{self._store.url}/{digest}"

    def times(self) -> dict[str, int]:
        """Return the time of each entry, in nanoseconds since 1970, by digest."""
        times: dict[str, int] = {}
        for entry in visible(self._store.walk()):
            digest, _, name = entry.name.partition("/")
            if name in {_ROWS, _REASON}:
                times[digest] = max(times.get(digest, 0), entry.modified)
        return times

    def digests(self) -> list[str]:
        """Return the digests of all deliveries that have an entry here, sorted."""
        return sorted({entry.name.partition("/")[0] for entry in self._store.walk()})

    def counts(self, settled: Collection[str]) -> QuarantineCounts:
        """Return how much is here, without the files and rows of `settled` digests; lists only."""
        entries = visible(self._store.walk())
        rows = {one.name.partition("/")[0] for one in entries if one.name.endswith(f"/{_ROWS}")}
        files = {one.name.partition("/")[0] for one in entries if one.name.endswith(f"/{_REASON}")}
        return QuarantineCounts(
            files=len(files.difference(settled)),
            rows=len((rows - files).difference(settled)),
            size=sum(entry.size for entry in entries),
        )

    @contextmanager
    def open(self, digest: str) -> Iterator[tuple[str, BinaryIO]]:
        """Open a file that was refused whole, as `open_kept` does, under its original name."""
        with open_kept(self._store.at(digest), self._scratch, {_REASON, _ROWS}) as (name, file):
            yield name.removeprefix(_SET_ASIDE), file

    def _write_rows(self, digest: str, parts: Iterable[bytes]) -> str:
        self._store.write(f"{digest}/{_ROWS}", parts)
        return _ROWS

    def _delete_all_but(self, digest: str, keep: Collection[str]) -> None:
        """Delete what is here of a delivery that was archived, or refused differently."""
        store = self._store.at(digest)
        # A store may list a name otherwise than it was given: in a bucket one too long for a key.
        listed = {entry.name for name in keep if (entry := store.entry(name))}
        for entry in visible(store.look()):
            if entry.name not in listed:
                self._store.delete(f"{digest}/{entry.name}")
