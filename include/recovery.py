"""Batches that the table had and lost: taken in again from their files, as they were before."""

import logging
import math
from collections.abc import Collection, Iterator, Sequence

import polars as pl

from include.adapters.landing import Delivery, sha256
from include.dock import Dock
from include.errors import DataFileError

log = logging.getLogger("ratchet")
_KEYS = ["key_high", "key_low"]
_DONE = {True: "brought", False: "to be brought"}
_SHOWN, _MOST = 12, 5
# A disk takes names of 255 bytes; the end of a name tells the format.
_NAME_END = 50


def in_order(at: Dock, deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Return deliveries as they are to be taken in, and make room for those that come again.

    Batches that were in the table before go first, in the order of their commits, so that of equal
    rows the same one stays. A data file that is lost or changed is taken out of the table once
    every batch of its rows has landed again.
    """
    landed = {one.digest for one in deliveries}
    _warn_of_lost(at, at.lake.lost() - landed)
    kept = at.lake.sides.digests()
    again = {one.digest for one in deliveries if one.digest in kept and _is_lacking(at, one)}
    if again:
        _take_out_damaged(at, again)
    order = {digest: at.lake.sides.version(digest) for digest in again}
    return sorted(deliveries, key=lambda one: order.get(one.digest, math.inf))


def recover(at: Dock, *, yes: bool, give_up: bool = False) -> Iterator[str]:
    """Bring back what the table lost, as far as that can be done without a person; say each step.

    Damaged data files are taken out of the table, and the files of the batches that it lacks go
    from the archive to the landing place, where the next run takes them in. Without `yes` nothing
    is changed. A batch without a file in the archive keeps a data file in the table, unless its
    rows are to be given up.
    """
    damaged, lost = at.lake.damaged(), at.lake.lost()
    files = _Archived(at)
    for path, batches in damaged.items():
        gone = [digest for digest in sorted(batches) if files.problem(digest)]
        if (gone or not batches) and not give_up:
            yield (
                f"left in the table: the data file {path} is gone or was changed, and batch "
                f"{_listed(gone) or 'unknown'} cannot come again: put the data file back from a "
                "backup, or give up its rows with --give-up"
            )
            continue
        yield f"{_DONE[yes]} out of the table: the data file {path}, which is gone or was changed"
        lost |= batches
        if yes:
            at.lake.take_out([path])
    for digest in sorted(lost):
        yield files.problem(digest) or f"{_DONE[yes]} to {at.landing.url}: {files.name(digest)}"
        if yes and not files.problem(digest):
            files.land(digest)
    if not damaged and not lost:
        yield "the table lacks nothing that was ingested"
    elif not yes:
        yield f"nothing was changed yet: ./ratchet recover {at.spec.name} --yes does it"


class _Archived:
    """The archived files of batches; each is read once to see that it is what was delivered."""

    def __init__(self, at: Dock) -> None:
        self._at = at
        self._names: dict[str, str] = {}
        self._problems: dict[str, str] = {}

    def problem(self, digest: str) -> str:
        """Return why a batch cannot come again, empty when it can."""
        if digest not in self._problems:
            self._problems[digest] = self._looked_at(digest)
        return self._problems[digest]

    def name(self, digest: str) -> str:
        """Return under which name it lands: its own, unless another batch lands under that."""
        name = self._names[digest]
        alone = list(self._names.values()).count(name) == 1
        return name if alone else f"{digest[:_SHOWN]}-{name[-_NAME_END:]}"

    def land(self, digest: str) -> None:
        with self._at.landing.open_archived(digest) as (_, file):
            self._at.landing.drop(self.name(digest), file)

    def _looked_at(self, digest: str) -> str:
        try:
            with self._at.landing.open_archived(digest) as (name, file):
                self._names[digest] = name
                actual = sha256(file)
        except FileNotFoundError:
            return f"batch {digest} has no file in the archive: drop the file that was delivered"
        if actual == digest:
            return ""
        return (
            f"the archived file of batch {digest} is not what was delivered, its digest is {actual}"
            ": drop the file that was delivered"
        )


def _listed(digests: Collection[str]) -> str:
    shown = [digest[:_SHOWN] for digest in sorted(digests)[:_MOST]]
    rest = len(digests) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")


def _is_lacking(at: Dock, delivery: Delivery) -> bool:
    try:
        return not at.lake.holds(delivery.digest)
    except DataFileError:
        return True


def _warn_of_lost(at: Dock, lost: Collection[str]) -> None:
    if lost:
        log.warning(
            "the table %s/rows lacks %d batches that were ingested before, %s: bring their files "
            "back from the archive: ./ratchet recover %s --yes",
            at.lake.url,
            len(lost),
            _listed(lost),
            at.spec.name,
        )


def _take_out_damaged(at: Dock, landed: Collection[str]) -> None:
    for path, batches in at.lake.damaged().items():
        if batches and batches.issubset(landed):
            log.warning(
                "%s/rows/%s is gone or was changed: it is taken out of the table, and the batches "
                "of its rows are taken in again: %s",
                at.lake.url,
                path,
                ", ".join(sorted(batches)),
            )
            at.lake.take_out([path])


def kept_sides(at: Dock, digest: str) -> pl.DataFrame:
    """Return keys and sides of rows that the table once had and may have lost.

    `digest` is the batch that asks: where it was in the table before, all that is known counts.
    """
    kept = at.lake.sides.digests()
    return at.lake.sides.read(kept if digest in kept else at.lake.lost())


def also_decided(unseen: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """Mark the rows whose side is kept as twins: where they stand is known."""
    known = unseen.with_row_index("row").join(kept, on=_KEYS, how="semi")["row"]
    rows = pl.int_range(unseen.height, eager=True)
    return unseen.with_columns(twin=pl.col("twin") | rows.is_in(known.implode()))
