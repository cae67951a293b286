"""Removes from each batch the rows that the table holds already, and those that contradict it.

When killed: staged rows and quarantine files are complete or absent, and a second attempt
overwrites them with the same content, as long as the table has not grown meanwhile.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from include.adapters.landing import Delivery
from include.context.intake_context import IntakeContext
from include.context.step_context import StepContext
from include.records.data import Batch
from include.records.refusal_reasons import ReasonKind, RefusalReason
from include.records.row_columns import KEYS, LINE
from include.reports.delivery_log import log_counts
from include.stages import dedup as dedup_stage
from include.stages import ingest as ingest_stage
from include.steps import settle as settle_step
from include.steps import suspicious_deliveries
from include.steps.identified_rows import TableComparison
from include.steps.staged_rows import (
    UNSEEN,
    already_known,
    go_together,
    rows_table,
    staged_keys,
    with_reasons,
)

log = logging.getLogger("ratchet")


def dedup(context: StepContext, batches: Sequence[Batch]) -> list[Batch]:
    """Remove from each batch the rows that the table knows; batches that have ended pass through.

    Each batch is compared with the table as it is now, not with the other batches of this run:
    that is done when they are committed, see `include.steps.split`.
    """
    return [batch for group in go_together(batches) for batch in dedup_together(context, group)]


def dedup_batch(context: IntakeContext, batch: Batch) -> Batch:
    """Compare one batch with the newest table version, as `dedup_together` does with several."""
    return dedup_together(context, [batch])[0]


def dedup_together(context: IntakeContext, batches: Sequence[Batch]) -> list[Batch]:
    """Compare batches with the newest table version by one look at its keys, and ids.

    New rows are staged, conflicts go to quarantine: rows with known features and another label. The
    version that was compared with is recorded in `looked_at`. Batches that have ended pass through.
    """
    # What another attempt has archived has no staged rows any more.
    batches = [
        batch
        if batch.note or context.landing.delivery(batch.digest) is not None
        else suspicious_deliveries.ended_elsewhere(context, batch)
        for batch in batches
    ]
    going = [batch for batch in batches if not batch.note]
    if not going:
        return batches
    version = context.lake.version()
    if context.lake.require_contract().row_id is not None:
        comparison = TableComparison.of(context, going, version)
        return [
            batch if batch.note else _compared_by_id(context, batch, comparison)
            for batch in batches
        ]
    keys = pl.concat(staged_keys(context, batch).select(KEYS) for batch in going)
    known = context.lake.keys.matches(keys, version)
    compared: list[Batch] = []
    for batch in batches:
        one = batch if batch.note else _compared(context, batch, known, version)
        compared.append(one)
    return compared


def _compared(
    context: IntakeContext, batch: Batch, known: pl.DataFrame, version: int | None
) -> Batch:
    compared, new = compare(context, batch, known, version)
    if not compared.note:
        context.lake.stage(batch.digest, UNSEEN, new)
    return compared


def compare(
    context: IntakeContext, batch: Batch, known: pl.DataFrame, version: int | None
) -> tuple[Batch, pl.DataFrame]:
    """Subtract known rows from a batch; return it with its counts, and its new rows.

    `known` has `key_high`, `key_low` and `label`, and rows that the batch has not may be among
    them. A batch that another attempt has already archived is returned as known, without rows.
    """
    delivery = context.landing.delivery(batch.digest)
    if delivery is None:
        return already_known(batch), pl.DataFrame()
    rows = staged_keys(context, batch)
    unseen = dedup_stage.dedup(rows, known, context.spec.data.conflicts)
    counted = replace(
        batch, duplicates=unseen.duplicates, new=unseen.frame.height, looked_at=version
    )
    conflicts = unseen.conflicts[LINE].to_list()
    return _judged(context, counted, delivery, conflicts), unseen.frame


def _compared_by_id(context: IntakeContext, batch: Batch, comparison: TableComparison) -> Batch:
    """Stage the rows of a batch with new ids or other content, and those of the table that go."""
    delivery = context.landing.delivery(batch.digest)
    if delivery is None:
        return suspicious_deliveries.ended_elsewhere(context, batch)
    return _judged(context, comparison.staged(batch), delivery, [])


def _judged(
    context: IntakeContext, batch: Batch, delivery: Delivery, conflicts: Sequence[int]
) -> Batch:
    """Write the refused rows of a batch to quarantine, those on the lines of conflicts included."""
    texts = _texts_of(context, delivery, conflicts)
    judged = _with_conflicts(batch, context.spec.data.target, texts)
    # Rows that an attempt under an older contract refused may be good by now.
    if judged.refused or context.landing.read_quarantine(batch.digest).rows is not None:
        context.landing.write_quarantine(batch.digest, rows_table(context, batch, texts))
    if judged.refused:
        settle_step.note_refusal(context, judged, delivery.name)
    settle_step.promise(context, judged, delivery.name)
    return log_counts(judged)


def _with_conflicts(batch: Batch, target: str, texts: Mapping[int, str]) -> Batch:
    """Count conflicts as refused rows; they replace the conflicts of an earlier comparison.

    `texts` holds the raw text of each conflicting row by its line number.
    """
    counts = Counter(
        {kind: rows for kind, rows in batch.reasons.items() if kind != ReasonKind.CONFLICT}
    )
    reasons = [reason for reason in batch.refused_for if reason.kind != ReasonKind.CONFLICT]
    if texts:
        first = min(texts)
        counts[ReasonKind.CONFLICT] = len(texts)
        reasons.append(RefusalReason(ReasonKind.CONFLICT, target, len(texts), first, texts[first]))
    counted = replace(batch, refused=counts.total(), reasons=dict(sorted(counts.items())))
    return with_reasons(counted, reasons)


def _texts_of(context: IntakeContext, delivery: Delivery, lines: Sequence[int]) -> dict[int, str]:
    """Read the raw text of the rows that start at these lines of a delivery, by line number."""
    if not lines:
        return {}
    stated = ingest_stage.stated_format(context.spec.data)
    with context.landing.open(delivery) as file:
        texts = ingest_stage.raw_texts(file, delivery.name, set(lines), stated)
    return {line: texts[line] for line in lines}
