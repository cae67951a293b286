"""Claims the files in the landing place, gives their rows types, and refuses bad rows.

A file is read in parts: no function holds the features of a whole delivery in memory.

When killed: claimed files stay claimed and the next run takes them; staged parts are complete or
absent, and a second attempt overwrites them with the same content.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

from include.adapters import landing
from include.adapters.landing import Delivery
from include.context.intake_context import IntakeContext
from include.context.step_context import StepContext
from include.errors import BadRowsError, FileRefusedError
from include.formats.read_ahead import read_ahead
from include.records.data import Batch, Fate
from include.records.refusal_reasons import sentence
from include.records.row_columns import ID
from include.reports.delivery_log import log_counts, log_ending
from include.spec import contract as contracts
from include.spec.contract import Contract
from include.stages import dedup as dedup_stage
from include.stages import ingest as ingest_stage
from include.steps import lost_batches as lost_batches_step
from include.steps import settle as settle_step
from include.steps import suspicious_deliveries
from include.steps.staged_rows import (
    already_known,
    forget_refused,
    part_name,
    refused_frame,
    refused_part_name,
    rows_table,
    with_reasons,
)

log = logging.getLogger("ratchet")


def ingest(
    context: StepContext,
    dag_run: str = "",
    is_stopped: Callable[[str], bool] = landing.never_left_to_a_person,
) -> list[Batch]:
    """Claim the waiting files and type their rows; return one batch for each, and each thing left.

    Whatever cannot be claimed, as a folder or an unreadable file, becomes a batch with a note and
    stops no other file; so does a file claimed by a run for which `is_stopped` is true. `dag_run`
    is recorded as the owner of the claims. Raises NotOwnerError, before any file is claimed, when
    the model belongs to another spec; when MLflow does not answer, `plan` checks that instead.
    Raises TableRefusedError, before any file is claimed, when the table has to be migrated first.
    """
    context.registry.ownership.require_own(context.registry.ownership.owner_if_told())
    context.lake.require_newest_format()
    forget_refused(context)
    batches: list[Batch] = []
    for delivery in lost_batches_step.in_order(context, context.landing.claim(dag_run, is_stopped)):
        if any(batch.digest == delivery.digest and not batch.note for batch in batches):
            batches.append(batch_of_a_twin(delivery))
        else:
            batches.append(ingest_delivery(context, delivery))
    batches += left_alone(context)
    if not batches:
        log.info("nothing is waiting in %s", context.landing.url)
    return batches


_MOST_LEFT_ALONE = 20


def left_alone(context: IntakeContext) -> list[Batch]:
    """Return an empty batch, with the reason, for each entry of the landing place not claimed."""
    entries = context.landing.left_alone()
    where, fate = f"left alone in {context.landing.url}", Fate.LEFT_ALONE
    batches = [
        Batch("", entry.name, note=f"{where}: {entry.why}", fate=fate)
        for entry in entries[:_MOST_LEFT_ALONE]
    ]
    if len(entries) > len(batches):
        rest = len(entries) - len(batches)
        batches.append(Batch("", f"{rest} more", note=where, fate=fate))
    return [log_ending(batch) for batch in batches]


def batch_of_a_twin(delivery: Delivery) -> Batch:
    """Return the empty batch of a file with the same bytes as another file of the same run."""
    note = "the same bytes as another file"
    return log_ending(Batch(delivery.digest, delivery.name, note=note, fate=Fate.KNOWN))


def ingest_delivery(context: IntakeContext, delivery: Delivery) -> Batch:
    """Type one file part by part and stage the parts; the first file of a spec fixes the contract.

    A file whose rows the table already holds is only archived; one that has to be refused as a
    whole goes to quarantine. Raises ContractError when contract and spec disagree.
    """
    batch = Batch(delivery.digest, delivery.name)
    if context.lake.holds(delivery.digest):
        context.lake.keep_sides()  # which a run that died after the commit did not come to
        context.lake.forget_staged(delivery.digest)
        settle_step.settle(context, delivery.digest)
        context.landing.archive(delivery)
        return already_known(batch)
    agreed = context.lake.contract()
    if agreed is not None:
        contracts.require_agreement(agreed, context.spec)
    tally = ingest_stage.DeliveryTally()
    try:
        batch = _staged_in_parts(context, batch, delivery, agreed, tally)
    except FileRefusedError as error:
        refused = _refused(context, delivery, tally, error)
        context.lake.forget_staged(delivery.digest)
        return log_ending(refused)
    return log_counts(batch)


def _staged_in_parts(
    context: IntakeContext,
    batch: Batch,
    delivery: Delivery,
    agreed: Contract | None,
    tally: ingest_stage.DeliveryTally,
) -> Batch:
    is_first = agreed is None
    with context.landing.open(delivery) as file:
        ingested = ingest_stage.ingest(file, delivery.name, context.spec, agreed)
        contract = ingested.contract
        # Keys of one part are computed while the next is parsed, so two parts are in memory.
        for number, part in enumerate(read_ahead(ingested.parts)):
            tally.add(part, contract, is_first=is_first)
            _stage_part(context, batch.digest, number, part, contract)
    _require_good_rows(context, tally, is_first=is_first)
    if is_first and contract.row_id is not None:
        suspicious_deliveries.require_trusted_alone(context, batch, tally.parts)
    unexpected = [
        *ingested.remarks,
        *tally.remarks,
        *ingest_stage.marked_gaps(tally),
        *(ingest_stage.merging_values(tally.seen) if tally.seen else ()),
        *ingest_stage.empty_columns(tally, contract, ingested.absent, is_first=is_first),
        *_about_labels(context, tally.labels, is_first=is_first),
    ]
    for words in unexpected:
        log.warning("%s: %s", batch.name, words)
    if is_first:
        contract = _fixed_contract(context, contract, batch, tally)
    batch = replace(batch, extra=ingested.extra, contract=contract.version)
    return _with_tally(batch, tally)


def _fixed_contract(
    context: IntakeContext, contract: Contract, batch: Batch, tally: ingest_stage.DeliveryTally
) -> Contract:
    """Store the contract that a first file is read by; return it without the ranges seen."""
    contract = replace(contract, since=f"batch {batch.digest}")
    context.lake.write_contract(
        ingest_stage.with_ranges_seen(contract, tally.seen) if tally.seen else contract
    )
    return contract


def _require_good_rows(
    context: IntakeContext, tally: ingest_stage.DeliveryTally, *, is_first: bool
) -> None:
    """Raise FileRefusedError for a file whose refused rows say that it is misread as a whole."""
    if not tally.read:
        raise FileRefusedError("the file has a header and no row")
    ingest_stage.require_mostly_good(tally.bad_lines, tally.lines, context.spec.data)
    ingest_stage.require_decodable(tally.counts, tally.lines)
    ingest_stage.require_one_notation(tally.counts, tally.lines)
    if is_first:
        ingest_stage.require_few_words(tally, context.spec.data)
    ingest_stage.require_labels(tally.labels)


def _with_tally(batch: Batch, tally: ingest_stage.DeliveryTally) -> Batch:
    counted = replace(
        batch,
        read=tally.read,
        refused=tally.counts.total(),
        reasons=dict(sorted(tally.counts.items())),
        outside=dict(sorted(tally.outside.items())),
        parts=tally.parts,
    )
    return with_reasons(counted, tally.reasons.reasons())


def _about_labels(
    context: IntakeContext, labels: ingest_stage.LabelTally, *, is_first: bool
) -> Iterator[str]:
    """Yield a sentence for each thing that is unusual about the labels of an accepted file."""
    if labels.is_odd:
        yield ingest_stage.labels_sentence(labels, context.spec.data, is_first=is_first)
    dataset = context.lake.dataset()
    before = None if dataset is None else dataset.positives / dataset.rows
    if exchanged := ingest_stage.share_sentence(labels, context.spec.data, before):
        yield exchanged


def _refused(
    context: IntakeContext,
    delivery: Delivery,
    tally: ingest_stage.DeliveryTally,
    error: FileRefusedError,
) -> Batch:
    """Quarantine a whole file with the reason, and with its bad rows where they are the reason."""
    batch = _with_tally(Batch(delivery.digest, delivery.name, fate=Fate.REFUSED), tally)
    why, rows = [str(error)], None
    if isinstance(error, BadRowsError):
        rows = rows_table(context, batch, {})
        if tally.labels.is_odd:
            is_first = context.lake.contract() is None
            said = ingest_stage.labels_sentence(tally.labels, context.spec.data, is_first=is_first)
            why.append(said)
        why.append(sentence(batch.refused_for, batch.other_reasons))
    reason = ". ".join(why)
    settle_step.note_refusal(context, batch, delivery.name, reason)
    kept = context.landing.refuse(delivery, reason, rows)
    return replace(batch, note=f"file refused, kept as {kept}: {reason}")


def _stage_part(
    context: IntakeContext,
    digest: str,
    number: int,
    part: ingest_stage.TypedPart,
    contract: Contract,
) -> None:
    keyed = dedup_stage.with_keys(part.frame, contract)
    if part.ids is not None:
        keyed = keyed.with_columns(part.ids.alias(ID))
    context.lake.stage(digest, part_name(number), keyed)
    context.lake.stage(digest, refused_part_name(number), refused_frame(part.refused))
