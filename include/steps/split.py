"""Assigns each new row to train or holdout, permanently, and commits the batches.

When killed: batches that are committed together are one atomic commit of the table, so each is
whole or absent. A second attempt finds a commit that was made, and only archives the files.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from include.adapters.landing import Delivery
from include.context.intake_context import IntakeContext
from include.context.step_context import StepContext
from include.records.data import Batch, Fate, Intake
from include.records.row_columns import KEYS, LABEL, LINE, SIDE
from include.reports.delivery_log import log_counts, log_refused_rows
from include.spec.contract import Contract
from include.stages import split as split_stage
from include.steps import settle as settle_step
from include.steps.dedup import compare, dedup_together
from include.steps.identified_rows import IdentifiedCommit
from include.steps.lost_batches import KeptSides, also_decided
from include.steps.staged_rows import UNSEEN, go_together, part_names, staged_keys
from include.steps.standing_counts import StandingCounts

log = logging.getLogger("ratchet")


def split(context: StepContext, batches: Sequence[Batch]) -> Intake:
    """Assign sides, commit, archive the files; return the batches and the data set.

    Batches that wait together are one commit. Rows of a batch that an earlier batch of the same run
    brings are removed first. Batches with a note have ended already and pass through. Small data
    files of a table with many are merged in the end.
    """
    done = tuple(
        batch for group in go_together(batches) for batch in split_together(context, group)
    )
    if context.lake.is_crowded():
        log.info("tidied: %s", context.lake.compact(context.registry.versions.data_versions()))
    dataset = context.lake.dataset()
    log.info("data set: %s", dataset or "no row has ever been committed")
    return Intake(done, dataset)


def split_batch(context: IntakeContext, batch: Batch) -> Batch:
    """Commit one batch, as `split_together` does with several."""
    return split_together(context, [batch])[0]


def split_together(context: IntakeContext, batches: Sequence[Batch]) -> list[Batch]:
    """Commit batches onto exactly the version that they were compared with, then archive them.

    When something else was committed meanwhile, they are compared with the table again first. An
    attempt that finds the commit of an earlier one only archives.
    """
    going = {batch.digest: batch for batch in batches if not batch.note}
    while waiting := _uncommitted(context, [one for one in going.values() if one.changes_table]):
        version = context.lake.version()
        late = [batch for batch in waiting if batch.looked_at != version]
        changed = dedup_together(context, late) if late else _committed(context, waiting, version)
        going |= {batch.digest: batch for batch in changed}
    if not going:
        return list(batches)
    context.lake.keep_sides()
    versions, claimed = context.lake.committing_versions(going), context.landing.deliveries()
    ended = {
        digest: _ended(context, replace(batch, committed=versions[digest]), claimed.get(digest, ()))
        if batch.fate is not Fate.REFUSED  # another batch made it suspicious meanwhile
        else batch
        for digest, batch in going.items()
    }
    return [batch if batch.note else ended[batch.digest] for batch in batches]


def _uncommitted(context: IntakeContext, batches: Sequence[Batch]) -> list[Batch]:
    """Return the batches that were not committed after the version that they were compared with.

    An older commit of the same batch does not count: the table has lost its rows since.
    """
    going = [batch for batch in batches if not batch.note]
    versions = context.lake.committing_versions(batch.digest for batch in going)
    return [
        batch
        for batch in going
        if (version := versions[batch.digest]) is None
        or (batch.looked_at is not None and version <= batch.looked_at)
    ]


def _ended(context: IntakeContext, batch: Batch, claimed: Sequence[Delivery]) -> Batch:
    """Archive the files of a batch that is done."""
    # The file is archived last: while it is claimed, the next run finds it and completes the rest.
    context.lake.forget_staged(batch.digest)
    settle_step.settle(context, batch.digest)
    for delivery in claimed:
        context.landing.archive(delivery)
    # Logged here, once, and not where it is compared, which may happen several times for a batch.
    log_refused_rows(batch, context.spec.name, context.spec.data.max_refused_share)
    return log_counts(batch)


def _committed(
    context: IntakeContext, batches: Sequence[Batch], version: int | None
) -> list[Batch]:
    """Commit batches that were compared with the newest version; none when another was faster."""
    has_ids = context.lake.require_contract().row_id is not None
    commit = IdentifiedCommit(context) if has_ids else _Commit(context, version)
    done = [commit.add(batch) for batch in batches]
    parts = {digest: _parts(context, batch, rows) for digest, (batch, rows) in commit.new.items()}
    if parts and context.lake.commit_together(parts, version, commit.changes) is None:
        return []
    return done


@dataclass
class _Commit:
    """The batches of one commit; each is compared with those before it, too."""

    context: IntakeContext
    version: int | None
    new: dict[str, tuple[Batch, pl.DataFrame]] = field(default_factory=dict)
    """Each batch with new rows by its digest, and these rows with their sides."""
    changes: None = None
    """Rows of the table stay as they are."""

    def __post_init__(self) -> None:
        self._contract: Contract = self.context.lake.require_contract()
        self._kept = KeptSides(self.context)
        self._standing = StandingCounts.of(self.context.lake.dataset())
        self._earlier = self.context.lake.keys.matches(pl.DataFrame(), None)

    def add(self, batch: Batch) -> Batch:
        """Give the new rows of a batch their sides; return it with its counts."""
        unseen = self.context.lake.read_staged(batch.digest, UNSEEN)
        if unseen.join(self._earlier, on=KEYS, how="semi").height:
            known = self.context.lake.keys.matches(staged_keys(self.context, batch), self.version)
            known = pl.concat([known, self._earlier])
            batch, unseen = compare(self.context, batch, known, self.version)
        if unseen.height:
            rows = self._sided(batch, unseen)
            self.new[batch.digest] = (batch, rows)
            columns = [*KEYS, LABEL, pl.col(SIDE).cast(pl.String)]
            self._earlier = pl.concat([self._earlier, rows.select(columns)])
            self._standing = self._standing.plus(rows)
        return batch

    def _sided(self, batch: Batch, unseen: pl.DataFrame) -> pl.DataFrame:
        """Return the new rows of a batch by line, with the column `side`."""
        twins = unseen.filter("twin").select(KEYS)
        known = self.context.lake.keys.matches(twins, self.version)
        forced = pl.concat([known, self._earlier.join(twins, on=KEYS, how="semi")])
        forced = forced.select(*KEYS, SIDE).unique()
        kept = self._kept.of(batch.digest).join(twins, on=KEYS, how="anti")
        return split_stage.split(
            also_decided(unseen, kept),
            self._standing.by_label,
            pl.concat([forced, kept]),
            self._contract.holdout,
            self._contract.salt,
        ).sort(LINE)


def _parts(context: IntakeContext, batch: Batch, sided: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the new rows of a batch with all columns, one staged part at a time."""
    for name in part_names(batch):
        rows = context.lake.read_staged(batch.digest, name)
        if rows.height:
            here = sided.filter(pl.col(LINE).is_between(rows[LINE].min(), rows[LINE].max()))
            is_new = pl.col(LINE).is_in(here[LINE].implode())
            new = rows if here.height == rows.height else rows.filter(is_new)
            yield new.drop(LINE).with_columns(here[SIDE])
