"""Gives every new row its side for good, and commits batch by batch.

May be killed at any instruction and called again: what it wrote is whole or absent, and a second
attempt writes the same.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import polars as pl

from include.context.intake_context import IntakeContext
from include.context.step_context import StepContext
from include.records.data import Batch, Dataset, Intake
from include.reports.delivery_log import log_counts, log_refused_rows
from include.stages import split as split_stage
from include.steps import lost_batches as lost_batches_step
from include.steps import settle as settle_step
from include.steps.dedup import dedup_batch
from include.steps.staged_rows import KEYS, part_names

log = logging.getLogger("ratchet")


def split(context: StepContext, batches: Sequence[Batch]) -> Intake:
    """Give every new row its side for good, commit batch by batch, archive the files.

    A batch is first subtracted from those of this run that were committed before it.
    """
    done = tuple(batch if batch.note else split_batch(context, batch) for batch in batches)
    if context.lake.is_crowded():
        log.info("tidied: %s", context.lake.compact(context.registry.data_versions()))
    dataset = context.lake.dataset()
    log.info("data set: %s", dataset or "no row has ever been committed")
    return Intake(done, dataset)


def split_batch(context: IntakeContext, batch: Batch) -> Batch:
    """Commit on exactly the version that was subtracted, then archive.

    When another batch was committed meanwhile, history is subtracted again first. A run that dies
    between commit and archive finds the commit and only archives.
    """
    while batch.new and not batch.note and not _is_committed(context, batch):
        if context.lake.version() != batch.looked_at:
            batch = dedup_batch(context, batch)
        else:
            context.lake.commit(batch.digest, _sided(context, batch), batch.looked_at)
    context.lake.keep_sides()
    # The file goes last: as long as it is claimed, a run that finds it tidies up behind a dead one.
    context.lake.forget_staged(batch.digest)
    settle_step.settle(context, batch.digest)
    while (delivery := context.landing.delivery(batch.digest)) is not None:
        context.landing.archive(delivery)
    # Once, and not when history was subtracted: that is done again for every file beside it.
    log_refused_rows(batch, context.spec.name, context.spec.data.max_refused_share)
    return log_counts(replace(batch, committed=context.lake.committed(batch.digest)))


def _is_committed(context: IntakeContext, batch: Batch) -> bool:
    """Say whether the rows were committed after history was subtracted from them.

    An older commit of the batch is one whose rows the table has lost.
    """
    version = context.lake.committed(batch.digest)
    return version is not None and (batch.looked_at is None or version > batch.looked_at)


def _sided(context: IntakeContext, batch: Batch) -> Iterator[pl.DataFrame]:
    """Yield the new rows with their sides, staged part by staged part."""
    contract = context.lake.require_contract()
    unseen = context.lake.staged(batch.digest, "unseen")
    twins = unseen.filter("twin").select(KEYS)
    forced = context.lake.matches(twins, batch.looked_at).select(*KEYS, "side").unique()
    kept = lost_batches_step.kept_sides(context, batch.digest).join(twins, on=KEYS, how="anti")
    unseen = lost_batches_step.also_decided(unseen, kept)
    forced = pl.concat([forced, kept])
    sided = split_stage.split(
        unseen, _standing(context.lake.dataset()), forced, contract.holdout, contract.salt
    ).sort("line")
    for name in part_names(batch):
        rows = context.lake.staged(batch.digest, name)
        if rows.height:
            here = sided.filter(pl.col("line").is_between(rows["line"].min(), rows["line"].max()))
            is_new = pl.col("line").is_in(here["line"].implode())
            new = rows if here.height == rows.height else rows.filter(is_new)
            yield new.drop("line").with_columns(here["side"])


def _standing(dataset: Dataset | None) -> dict[int, split_stage.ClassCounts]:
    if dataset is None:
        return {}
    return {
        label: split_stage.ClassCounts(
            dataset.train[name] + dataset.holdout[name], dataset.holdout[name]
        )
        for label, name in ((0, "negative"), (1, "positive"))
    }
