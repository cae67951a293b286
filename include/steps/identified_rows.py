"""Compares batches whose rows have ids with the table, and gives their rows a side."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import polars as pl

from include.context.intake_context import IntakeContext
from include.errors import SuspiciousDeliveryError
from include.records.data import Batch
from include.records.row_changes import RowChanges
from include.records.row_columns import ARRIVED_AT, ID, KEYS, LINE, SIDE, Side
from include.stages import dedup_by_id as by_id_stage
from include.stages import split as split_stage
from include.steps import suspicious_deliveries
from include.steps.lost_batches import KeptSides, also_decided
from include.steps.staged_rows import (
    CHANGED_IDS,
    MOVED,
    REPLACED,
    UNSEEN,
    staged_keys,
)
from include.steps.standing_counts import StandingCounts

_IDENTITY = [ID, *KEYS]
_NOTHING = pl.DataFrame(schema={ID: pl.String, KEYS[0]: pl.Int64, KEYS[1]: pl.Int64})


@dataclass(frozen=True)
class TableComparison:
    """What one version of the table knows of the rows of some batches."""

    version: int | None
    _context: IntakeContext
    _known: pl.DataFrame
    _kept: KeptSides

    @classmethod
    def of(
        cls, context: IntakeContext, batches: Sequence[Batch], version: int | None
    ) -> "TableComparison":
        """Look for the ids and keys of the batches in a version of the table."""
        asked = pl.concat(
            [_NOTHING, *(staged_keys(context, batch).select(_IDENTITY) for batch in batches)]
        )
        known = context.lake.keys.identified(asked, version)
        return cls(version, context, known, KeptSides(context))

    def compared(self, batch: Batch) -> by_id_stage.IdentifiedRows:
        """Compare the rows of a batch with the table, by id.

        A batch that was in the table before says nothing of ids that a later batch has corrected.
        """
        rows = staged_keys(self._context, batch)
        known = self._known.join(rows, on=ID, how="semi")
        others = self._known.join(known, on=_IDENTITY, how="anti", nulls_equal=True)
        known = pl.concat([known, others.join(rows, on=KEYS, how="semi")])
        corrected = self._corrected_since(batch.digest, known)
        current = rows.join(corrected, on=ID, how="anti", maintain_order="left")
        lost = self._kept.of(batch.digest).filter(pl.col(SIDE) == Side.TRAIN).select(KEYS)
        trained = pl.concat([self._context.lake.sides.trained.among(current), lost])
        found = by_id_stage.dedup_by_id(current, known, trained)
        return replace(found, duplicates=found.duplicates + rows.height - current.height)

    def staged(self, batch: Batch) -> Batch:
        """Store what `split` commits of a batch; return it with its counts.

        That is its rows, those of the table that go or move, and how many ids change features.
        """
        rows = self.compared(batch)
        twin = pl.col(SIDE).is_not_null().alias("twin")
        for name, frame in (
            (UNSEEN, rows.frame.with_columns(twin)),
            (REPLACED, rows.replaced),
            (MOVED, rows.moved),
            (CHANGED_IDS, pl.DataFrame([asdict(rows.ids)])),
        ):
            self._context.lake.stage(batch.digest, name, frame)
        return replace(
            batch,
            duplicates=rows.duplicates,
            new=rows.new,
            corrections=rows.corrections,
            rewritten=rows.replaced.height,
            looked_at=self.version,
        )

    def _corrected_since(self, digest: str, known: pl.DataFrame) -> pl.DataFrame:
        """Return the ids whose rows are of batches that came after one which comes again."""
        arrived = self._context.lake.sides.arrived_at(digest)
        if arrived is None:
            return known.clear().select(ID)
        return known.filter(pl.col(ARRIVED_AT) > arrived, pl.col(ID).is_not_null()).select(ID)


@dataclass
class IdentifiedCommit:
    """The batches of one commit whose rows have ids.

    A batch that touches an id or a key of one before it is left to the next commit, and so is every
    batch behind it: it has to be compared with what that one changes.
    """

    context: IntakeContext
    new: dict[str, tuple[Batch, pl.DataFrame]] = field(default_factory=dict)
    """Each batch with rows to write by its digest, and these rows with their sides."""

    def __post_init__(self) -> None:
        """Start without a batch."""
        self._contract = self.context.lake.require_contract()
        self._kept = KeptSides(self.context)
        self._standing = StandingCounts.of(self.context.lake.dataset())
        self._touched: list[pl.DataFrame] = []
        self._changes: list[RowChanges] = []
        self._is_closed = False

    @property
    def changes(self) -> RowChanges | None:
        """The rows of the table that go or move; None when all stay as they are."""
        if not self._changes:
            return None
        return RowChanges(
            pl.concat(one.replaced for one in self._changes),
            pl.concat(one.moved for one in self._changes),
        )

    def add(self, batch: Batch) -> Batch:
        """Give the rows of a batch their sides, unless it has to wait for the next commit.

        Only now it is known what came before it: one that is suspicious is returned as refused.
        """
        delivery = self.context.landing.delivery(batch.digest)
        if delivery is None:  # another run was faster
            return suspicious_deliveries.ended_elsewhere(self.context, batch)
        read = self.context.lake.read_staged
        unseen = read(batch.digest, UNSEEN)
        changes = RowChanges(read(batch.digest, REPLACED), read(batch.digest, MOVED))
        touched = pl.concat(
            frame.select(_IDENTITY) for frame in (unseen, changes.replaced, changes.moved)
        )
        self._is_closed = self._is_closed or self._meets(touched)
        if self._is_closed:
            return batch
        ids = by_id_stage.ChangedIds(**read(batch.digest, CHANGED_IDS).row(0, named=True))
        try:
            suspicious_deliveries.require_trusted(self.context, batch, ids)
        except SuspiciousDeliveryError as error:
            return suspicious_deliveries.set_aside(self.context, batch, delivery, error)
        self._touched.append(touched)
        self._changes.append(changes)
        trained = changes.replaced.filter(pl.col(SIDE) == Side.TRAIN)
        self.context.lake.sides.trained.keep(batch.digest, trained)
        self._standing = self._standing.without(changes)
        rows = self._sided(batch, unseen)
        self.new[batch.digest] = (batch, rows)
        self._standing = self._standing.plus(rows)
        return batch

    def _meets(self, touched: pl.DataFrame) -> bool:
        columns = ([ID], [*KEYS])
        return any(
            touched.join(earlier, on=names, how="semi").height
            for earlier in self._touched
            for names in columns
        )

    def _sided(self, batch: Batch, unseen: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of a batch by line, with the column `side`."""
        forced = unseen.filter("twin").select(*KEYS, SIDE).unique()
        kept = self._kept.of(batch.digest).join(forced, on=KEYS, how="anti")
        return split_stage.split(
            also_decided(unseen.drop(SIDE), kept),
            self._standing.by_label,
            pl.concat([forced, kept]),
            self._contract.holdout,
            self._contract.salt,
        ).sort(LINE)
