"""Assigns each new row to train or holdout, permanently, and commits batch by batch.

When killed: a batch is one atomic commit of the table. A second attempt finds a commit that was
made, and only archives the file.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import polars as pl

from include.context.intake_context import IntakeContext
from include.context.step_context import StepContext
from include.records.data import Batch, Dataset, Fate, Intake
from include.records.row_columns import ID, KEYS, LINE, SIDE
from include.reports.delivery_log import log_counts, log_refused_rows
from include.stages import split as split_stage
from include.steps import lost_batches as lost_batches_step
from include.steps import settle as settle_step
from include.steps.dedup import dedup_batch
from include.steps.staged_rows import UNSEEN, part_names

log = logging.getLogger("ratchet")


def split(context: StepContext, batches: Sequence[Batch]) -> Intake:
    """Assign sides, commit batch by batch, archive the files; return the batches and the data set.

    Rows of a batch that an earlier batch of the same run has just committed are removed first.
    Batches with a note have ended already and pass through. Small data files of a table with many
    are merged in the end.
    """
    done = tuple(batch if batch.note else split_batch(context, batch) for batch in batches)
    if context.lake.is_crowded():
        log.info("tidied: %s", context.lake.compact(context.registry.versions.data_versions()))
    dataset = context.lake.dataset()
    log.info("data set: %s", dataset or "no row has ever been committed")
    return Intake(done, dataset)


def split_batch(context: IntakeContext, batch: Batch) -> Batch:
    """Commit one batch onto exactly the table version that it was compared with, then archive it.

    When another batch was committed meanwhile, the batch is compared with the table again first
    (`dedup_batch`). An attempt that finds the commit of an earlier one only archives.
    """
    while batch.new and not batch.note and not _is_committed(context, batch):
        if context.lake.version() != batch.looked_at:
            batch = dedup_batch(context, batch)
        else:
            context.lake.commit(batch.digest, _sided(context, batch), batch.looked_at)
    if batch.fate is Fate.REFUSED:  # another batch made it suspicious meanwhile
        return batch
    context.lake.keep_sides()
    # The file is archived last: while it is claimed, the next run finds it and completes the rest.
    context.lake.forget_staged(batch.digest)
    settle_step.settle(context, batch.digest)
    while (delivery := context.landing.delivery(batch.digest)) is not None:
        context.landing.archive(delivery)
    # Logged here, once, and not in `dedup_batch`, which may run several times for a batch.
    log_refused_rows(batch, context.spec.name, context.spec.data.max_refused_share)
    return log_counts(replace(batch, committed=context.lake.committing_version(batch.digest)))


def _is_committed(context: IntakeContext, batch: Batch) -> bool:
    """Return whether the batch was committed after the version that it was compared with.

    An older commit of the same batch does not count: the table has lost its rows since.
    """
    version = context.lake.committing_version(batch.digest)
    return version is not None and (batch.looked_at is None or version > batch.looked_at)


def _sided(context: IntakeContext, batch: Batch) -> Iterator[pl.DataFrame]:
    """Yield the new rows of a batch with the column `side`, one staged part at a time."""
    contract = context.lake.require_contract()
    own = () if contract.row_id is None else (ID,)
    unseen = context.lake.read_staged(batch.digest, UNSEEN)
    twins = unseen.filter("twin").select(KEYS)
    forced = context.lake.matches(twins, batch.looked_at).select(*KEYS, SIDE).unique()
    kept = lost_batches_step.kept_sides(context, batch.digest).join(twins, on=KEYS, how="anti")
    unseen = lost_batches_step.also_decided(unseen, kept)
    forced = pl.concat([forced, kept])
    sided = split_stage.split(
        unseen, _standing(context.lake.dataset()), forced, contract.holdout, contract.salt
    ).sort(LINE)
    for name in part_names(batch):
        rows = context.lake.read_staged(batch.digest, name)
        if rows.height:
            here = sided.filter(pl.col(LINE).is_between(rows[LINE].min(), rows[LINE].max()))
            is_new = pl.col(LINE).is_in(here[LINE].implode())
            new = rows if here.height == rows.height else rows.filter(is_new)
            yield new.drop(LINE, *own).with_columns(here[SIDE])


def _standing(dataset: Dataset | None) -> dict[int, split_stage.ClassCounts]:
    if dataset is None:
        return {}
    return {
        label: split_stage.ClassCounts(
            dataset.train[name] + dataset.holdout[name], dataset.holdout[name]
        )
        for label, name in ((0, "negative"), (1, "positive"))
    }
