"""One delivery on its way into the lake: typed, subtracted from history, sided, committed, kept.

Each function may be killed at any instruction and called again: what it wrote is whole or absent,
and a second attempt writes the same. No function holds the features of a whole delivery.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import polars as pl

from include.adapters.landing import Delivery
from include.context.intake_context import IntakeContext
from include.errors import BadRowsError, FileRefusedError
from include.formats.read_ahead import ahead
from include.records.records import Batch, Dataset, Fate
from include.records.refusals import CONFLICT, MOST_KEPT, RefusalReason, ranked, sentence
from include.reports.delivery_log import log_counts, log_ending, log_refused_rows
from include.spec import contract as contracts
from include.spec.contract import Contract
from include.stages import dedup as dedup_stage
from include.stages import ingest as ingest_stage
from include.stages import split as split_stage
from include.steps import lost_batches as lost_batches_step
from include.steps import settle as settle_step
from include.text.showable import showable_name, showable_row
from include.text.spreadsheet_cells import neutral

log = logging.getLogger("ratchet")
KNOWN_BYTES = "these bytes were ingested before; nothing to do"
_MOST_LEFT_ALONE = 20
_SHOWN: dict[str, Callable[[str], str]] = {
    "column": showable_name,
    "reason": showable_name,
    "raw": showable_row,
}
_KEYS = ["key_high", "key_low"]


def left_alone(context: IntakeContext) -> list[Batch]:
    """Return a batch of nothing for whatever the landing place holds that is not taken, and why."""
    found = context.landing.left_alone()
    where, fate = f"left alone in {context.landing.url}", Fate.LEFT_ALONE
    batches = [
        Batch("", one.name, note=f"{where}: {one.why}", fate=fate)
        for one in found[:_MOST_LEFT_ALONE]
    ]
    if len(found) > len(batches):
        rest = len(found) - len(batches)
        batches.append(Batch("", f"{rest} more", note=where, fate=fate))
    return [log_ending(batch) for batch in batches]


def twin(delivery: Delivery) -> Batch:
    """Return the batch of a file whose bytes another file of the same run has."""
    note = "the same bytes as another file"
    return log_ending(Batch(delivery.digest, delivery.name, note=note, fate=Fate.KNOWN))


def ingest_delivery(context: IntakeContext, delivery: Delivery) -> Batch:
    """Type one file part by part and stage the parts; the first file ever fixes the contract."""
    batch = Batch(delivery.digest, delivery.name)
    if context.lake.holds(delivery.digest):
        context.lake.keep_sides()  # which a run that died after the commit did not come to
        context.lake.forget_staged(delivery.digest)
        settle_step.settle(context, delivery.digest)
        context.landing.archive(delivery)
        return _known(batch)
    agreed = context.lake.contract()
    if agreed is not None:
        contracts.require_agreement(agreed, context.spec)
    tally = ingest_stage.Tally()
    try:
        batch = _staged_in_parts(context, batch, delivery, agreed, tally)
    except FileRefusedError as error:
        refused = _refused(context, delivery, tally, error)
        context.lake.forget_staged(delivery.digest)
        return log_ending(refused)
    return log_counts(batch)


def dedup_batch(context: IntakeContext, batch: Batch) -> Batch:
    """Subtract history as it stands now; stage what is new, put conflicts in quarantine.

    A batch that another attempt has brought to its end meanwhile has nothing left to do.
    """
    delivery = context.landing.delivery(batch.digest)
    if delivery is None:
        return _known(batch)
    rows = pl.concat(
        context.lake.staged(batch.digest, name, ["line", "label", *_KEYS]) for name in _parts(batch)
    )
    looked_at = context.lake.version()
    known = context.lake.matches(rows.select(_KEYS), looked_at)
    unseen = dedup_stage.dedup(rows, known, context.spec.data.conflicts)
    context.lake.stage(batch.digest, "unseen", unseen.frame)
    texts = _texts_of(context, delivery, unseen.conflicts["line"].to_list())
    judged = _with_conflicts(batch, context.spec.data.target, texts)
    # Rows that an attempt under an older contract refused may be good by now.
    if judged.refused or context.landing.read_quarantine(batch.digest).rows is not None:
        context.landing.write_quarantine(batch.digest, _rows_table(context, batch, texts))
    if judged.refused:
        settle_step.note_refusal(context, judged, delivery.name)
    judged = replace(
        judged,
        duplicates=unseen.duplicates,
        new=unseen.frame.height,
        looked_at=looked_at,
    )
    settle_step.promise(context, judged, delivery.name)
    return log_counts(judged)


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


def _staged_in_parts(
    context: IntakeContext,
    batch: Batch,
    delivery: Delivery,
    agreed: Contract | None,
    tally: ingest_stage.Tally,
) -> Batch:
    is_first = agreed is None
    with context.landing.opened(delivery) as file:
        ingested = ingest_stage.ingest(file, delivery.name, context.spec, agreed)
        contract = ingested.contract
        # The keys of one part are made while the next is parsed: two parts in memory, no more.
        for number, part in enumerate(ahead(ingested.parts)):
            tally.add(part, contract, is_first=is_first)
            _stage_part(context, batch.digest, number, part, contract)
    if not tally.read:
        raise FileRefusedError("the file has a header and no row")
    ingest_stage.require_mostly_good(tally.bad_lines, tally.lines, context.spec.data)
    ingest_stage.require_one_notation(tally.counts, tally.lines)
    ingest_stage.require_labels(tally.labels)
    unexpected = [*ingested.remarks, *(ingest_stage.merging(tally.seen) if tally.seen else ())]
    unexpected += ingest_stage.empty_columns(tally, contract, ingested.absent)
    for words in (*unexpected, *_about_labels(context, tally.labels, is_first=is_first)):
        log.warning("%s: %s", batch.name, words)
    if is_first:
        contract = replace(contract, since=f"batch {batch.digest}")
        context.lake.write_contract(
            ingest_stage.with_seen(contract, tally.seen) if tally.seen else contract
        )
    batch = replace(batch, extra=ingested.extra, contract=contract.version)
    return _with_tally(batch, tally)


def _with_tally(batch: Batch, tally: ingest_stage.Tally) -> Batch:
    counted = replace(
        batch,
        read=tally.read,
        refused=tally.counts.total(),
        reasons=dict(sorted(tally.counts.items())),
        outside=dict(sorted(tally.outside.items())),
        parts=tally.parts,
    )
    return _with_reasons(counted, tally.reasons.reasons())


def _with_reasons(batch: Batch, reasons: Iterable[RefusalReason]) -> Batch:
    told = ranked(reasons)
    others = batch.other_reasons + len(told[MOST_KEPT:])
    return replace(batch, refused_for=tuple(told[:MOST_KEPT]), other_reasons=others)


def _with_conflicts(batch: Batch, target: str, texts: Mapping[int, str]) -> Batch:
    """Count these rows beside the refused ones, in place of the conflicts of an earlier look."""
    counts = Counter({kind: rows for kind, rows in batch.reasons.items() if kind != CONFLICT})
    reasons = [one for one in batch.refused_for if one.kind != CONFLICT]
    if texts:
        first = min(texts)
        counts[CONFLICT] = len(texts)
        reasons.append(RefusalReason(CONFLICT, target, len(texts), first, texts[first]))
    counted = replace(batch, refused=counts.total(), reasons=dict(sorted(counts.items())))
    return _with_reasons(counted, reasons)


def _known(batch: Batch) -> Batch:
    return log_ending(replace(batch, note=KNOWN_BYTES, fate=Fate.KNOWN))


def _about_labels(
    context: IntakeContext, labels: ingest_stage.LabelTally, *, is_first: bool
) -> Iterator[str]:
    """Say what is odd about the labels of a file that is taken in."""
    if labels.is_odd:
        yield ingest_stage.labels_sentence(labels, context.spec.data, is_first=is_first)
    dataset = context.lake.dataset()
    before = None if dataset is None else dataset.positives / dataset.rows
    if exchanged := ingest_stage.share_sentence(labels, context.spec.data, before):
        yield exchanged


def _refused(
    context: IntakeContext, delivery: Delivery, tally: ingest_stage.Tally, error: FileRefusedError
) -> Batch:
    """Put a file and why into quarantine, with its bad rows where these are why."""
    batch = _with_tally(Batch(delivery.digest, delivery.name, fate=Fate.REFUSED), tally)
    why, rows = [str(error)], None
    if isinstance(error, BadRowsError):
        rows = _rows_table(context, batch, {})
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
    context: IntakeContext, digest: str, number: int, part: ingest_stage.Part, contract: Contract
) -> None:
    context.lake.stage(digest, _part(number), dedup_stage.with_keys(part.frame, contract))
    context.lake.stage(digest, _refused_part(number), _refused_frame(part.refused))


def _sided(context: IntakeContext, batch: Batch) -> Iterator[pl.DataFrame]:
    """Yield the new rows with their sides, staged part by staged part."""
    contract = context.lake.require_contract()
    unseen = context.lake.staged(batch.digest, "unseen")
    twins = unseen.filter("twin").select(_KEYS)
    forced = context.lake.matches(twins, batch.looked_at).select(*_KEYS, "side").unique()
    kept = lost_batches_step.kept_sides(context, batch.digest).join(twins, on=_KEYS, how="anti")
    unseen = lost_batches_step.also_decided(unseen, kept)
    forced = pl.concat([forced, kept])
    sided = split_stage.split(
        unseen, _standing(context.lake.dataset()), forced, contract.holdout, contract.salt
    ).sort("line")
    for name in _parts(batch):
        rows = context.lake.staged(batch.digest, name)
        if rows.height:
            here = sided.filter(pl.col("line").is_between(rows["line"].min(), rows["line"].max()))
            is_new = pl.col("line").is_in(here["line"].implode())
            new = rows if here.height == rows.height else rows.filter(is_new)
            yield new.drop("line").with_columns(here["side"])


def _standing(dataset: Dataset | None) -> dict[int, split_stage.Standing]:
    if dataset is None:
        return {}
    return {
        label: split_stage.Standing(
            dataset.train[name] + dataset.holdout[name], dataset.holdout[name]
        )
        for label, name in ((0, "negative"), (1, "positive"))
    }


def _texts_of(context: IntakeContext, delivery: Delivery, lines: Sequence[int]) -> dict[int, str]:
    """Return the raw texts of the rows of a delivery that start at these lines."""
    if not lines:
        return {}
    stated = ingest_stage.stated(context.spec.data)
    with context.landing.opened(delivery) as file:
        found = ingest_stage.raw_texts(file, delivery.name, set(lines), stated)
    return {line: found[line] for line in lines}


def _rows_table(
    context: IntakeContext, batch: Batch, conflicts: Mapping[int, str]
) -> Iterator[bytes]:
    """Yield refused rows and conflicts (text by line) as CSV, in the order of the file."""
    yield _refused_frame(()).write_csv().encode()
    for number in range(batch.parts):
        refused = context.lake.staged(batch.digest, _refused_part(number))
        lines = context.lake.staged(batch.digest, _part(number), ["line"])["line"]
        here = [line for line in lines.to_list() if line in conflicts] if conflicts else []
        others = _refused_frame(
            [
                ingest_stage.RefusedRow(line, context.spec.data.target, CONFLICT, conflicts[line])
                for line in here
            ]
        )
        both = pl.concat([refused, others]).sort("line")
        yield _for_people(both).write_csv(include_header=False).encode()


def _for_people(rows: pl.DataFrame) -> pl.DataFrame:
    """Return refused rows as `rows.csv` has them: to be shown anywhere, to be run nowhere."""
    return rows.with_columns(
        pl.Series(name, [neutral(show(text)) for text in rows[name].to_list()], pl.String)
        for name, show in _SHOWN.items()
    )


def _refused_frame(rows: Sequence[ingest_stage.RefusedRow]) -> pl.DataFrame:
    schema = {"line": pl.Int64, "column": pl.String, "reason": pl.String, "raw": pl.String}
    return pl.DataFrame({name: [getattr(row, name) for row in rows] for name in schema}, schema)


def _parts(batch: Batch) -> list[str]:
    return [_part(number) for number in range(batch.parts)]


def _part(number: int) -> str:
    return f"part-{number:05}"


def _refused_part(number: int) -> str:
    return f"refused-{number:05}"
