"""Deliveries whose ids seem to name other things than before: they wait until a person takes them.

Such a file stands in quarantine as one that was refused whole. `./ratchet take` sends it through
the landing place again; by its digest it is known then, and taken in as it is.

When killed: the file is still claimed, and the next run comes to the same, or it is in quarantine.
"""

from dataclasses import replace

import polars as pl

from include.adapters.landing import Delivery
from include.context.intake_context import IntakeContext
from include.errors import SuspiciousDeliveryError
from include.records.data import Batch, Fate
from include.records.row_columns import ID, KEYS, LABEL, LINE
from include.reports.delivery_log import log_ending
from include.stages.dedup_by_id import ChangedIds, changed_ids_sentence, dedup_by_id, no_history
from include.steps import settle as settle_step
from include.steps.staged_rows import already_known, part_name


def require_trusted(context: IntakeContext, batch: Batch, ids: ChangedIds) -> None:
    """Raise SuspiciousDeliveryError where too many ids change their features, and nobody took it.

    What was in the table before and has to come again was trusted then.
    """
    column = context.spec.data.id or ID
    if not ids.is_suspicious or context.ledger.is_taken(batch.digest):
        return
    if batch.digest in context.lake.sides.digests():
        return
    context.ledger.suspect(batch.digest)
    raise SuspiciousDeliveryError(
        f"{changed_ids_sentence(ids, column)}. If they are corrections, take it as it is: "
        f"./ratchet take {context.spec.name} {batch.digest[:12]}"
    )


def require_trusted_alone(context: IntakeContext, batch: Batch, parts: int) -> None:
    """Do the same for a first file, whose ids are compared with one another."""
    columns = [LINE, ID, LABEL, *KEYS]
    rows = pl.concat(
        context.lake.read_staged(batch.digest, part_name(number), columns)
        for number in range(parts)
    )
    require_trusted(context, batch, dedup_by_id(rows, no_history()).ids)


def set_aside(
    context: IntakeContext, batch: Batch, delivery: Delivery, error: SuspiciousDeliveryError
) -> Batch:
    """Move a suspicious delivery to quarantine; return the batch that ended so."""
    # Of its rows nothing is said: they are judged again when it is taken.
    ended = Batch(batch.digest, batch.name, batch.read, fate=Fate.REFUSED)
    settle_step.note_refusal(context, ended, delivery.name, str(error))
    kept = context.landing.refuse(delivery, str(error), None)
    context.lake.forget_staged(batch.digest)
    return log_ending(replace(ended, note=f"file refused, kept as {kept}: {error}"))


def ended_elsewhere(context: IntakeContext, batch: Batch) -> Batch:
    """Return a batch whose file is claimed no more: another attempt has set it aside, or taken it.

    An attempt that was killed may have left what it had staged.
    """
    kept = context.landing.read_quarantine(batch.digest)
    if kept.name is None:
        return already_known(batch)
    context.lake.forget_staged(batch.digest)
    note = f"file refused: {kept.reason}"
    return log_ending(Batch(batch.digest, batch.name, batch.read, note=note, fate=Fate.REFUSED))
