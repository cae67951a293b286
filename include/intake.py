"""One delivery on its way into the lake: typed, subtracted from history, sided, committed, kept.

Each function may be killed at any instruction and called again: what it wrote is whole or absent,
and a second attempt writes the same. No function holds the features of a whole delivery.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from include import contract as contracts
from include.adapters.landing import Delivery
from include.ahead import ahead
from include.contract import Contract
from include.dock import Dock
from include.errors import FileRefusedError
from include.records import Batch, Dataset
from include.showable import showable_name, showable_row
from include.spreadsheet import neutral
from include.stages import dedup as dedup_stage
from include.stages import ingest as ingest_stage
from include.stages import split as split_stage

log = logging.getLogger("ratchet")
KNOWN_BYTES = "these bytes were ingested before; nothing to do"
CONFLICT = "the same features are known with another label"
_MOST_LEFT_ALONE = 20
_SHOWN: dict[str, Callable[[str], str]] = {
    "column": showable_name,
    "reason": showable_name,
    "raw": showable_row,
}
_KEYS = ["key_high", "key_low"]


def left_alone(at: Dock) -> list[Batch]:
    """Return a batch of nothing for whatever the landing place holds that is not taken, and why."""
    found = at.landing.left_alone()
    batches = [
        Batch("", one.name, note=f"left alone in {at.landing.url}: {one.why}")
        for one in found[:_MOST_LEFT_ALONE]
    ]
    if len(found) > len(batches):
        rest = len(found) - len(batches)
        batches.append(Batch("", f"{rest} more", note=f"left alone in {at.landing.url}"))
    return [_told(batch) for batch in batches]


def twin(delivery: Delivery) -> Batch:
    """Return the batch of a file whose bytes another file of the same run has."""
    return _told(Batch(delivery.digest, delivery.name, note="the same bytes as another file"))


def ingest_delivery(at: Dock, delivery: Delivery) -> Batch:
    """Type one file part by part and stage the parts; the first file ever fixes the contract."""
    batch = Batch(delivery.digest, delivery.name)
    known = at.lake.committed(delivery.digest) is not None
    if known or at.landing.archived(delivery.digest):
        at.lake.forget_staged(delivery.digest)
        at.landing.archive(delivery)
        return _told(replace(batch, note=KNOWN_BYTES))
    agreed = at.lake.contract()
    if agreed is not None:
        contracts.require_agreement(agreed, at.spec)
    try:
        return _told(_staged_in_parts(at, batch, delivery, agreed))
    except FileRefusedError as error:
        at.lake.forget_staged(delivery.digest)
        kept = at.landing.refuse(delivery, str(error))
        return _told(replace(batch, note=f"file refused, kept as {kept}: {error}"))


def dedup_batch(at: Dock, batch: Batch) -> Batch:
    """Subtract history as it stands now; stage what is new, put conflicts in quarantine.

    A batch that another attempt has brought to its end meanwhile has nothing left to do.
    """
    delivery = at.landing.delivery(batch.digest)
    if delivery is None:
        return _told(replace(batch, note=KNOWN_BYTES))
    rows = pl.concat(
        at.lake.staged(batch.digest, name, ["line", "label", *_KEYS]) for name in _parts(batch)
    )
    looked_at = at.lake.version()
    known = at.lake.matches(rows.select(_KEYS), looked_at)
    unseen = dedup_stage.dedup(rows, known, at.spec.data.conflicts)
    at.lake.stage(batch.digest, "unseen", unseen.frame)
    reasons = Counter(_refused_reasons(at, batch))
    if unseen.conflicts.height:
        reasons[CONFLICT] = unseen.conflicts.height
    # Rows that an attempt under an older contract refused may be good by now.
    if reasons or at.landing.read_quarantine(batch.digest).rows is not None:
        at.landing.write_quarantine(batch.digest, _quarantine(at, batch, delivery, unseen))
    judged = replace(
        batch,
        refused=reasons.total(),
        reasons=dict(sorted(reasons.items())),
        duplicates=unseen.duplicates,
        new=unseen.frame.height,
        looked_at=looked_at,
    )
    return _told(judged)


def split_batch(at: Dock, batch: Batch) -> Batch:
    """Commit on exactly the version that was subtracted, then archive.

    When another batch was committed meanwhile, history is subtracted again first. A run that dies
    between commit and archive finds the commit and only archives.
    """
    while batch.new and not batch.note and at.lake.committed(batch.digest) is None:
        if at.lake.version() != batch.looked_at:
            batch = dedup_batch(at, batch)
        else:
            at.lake.commit(batch.digest, _sided(at, batch), batch.looked_at)
    # The file goes last: as long as it is claimed, a run that finds it tidies up behind a dead one.
    at.lake.forget_staged(batch.digest)
    while (delivery := at.landing.delivery(batch.digest)) is not None:
        at.landing.archive(delivery)
    return _told(replace(batch, committed=at.lake.committed(batch.digest)))


@dataclass
class _Tally:
    """What the parts of a delivery add up to."""

    parts: int = 0
    read: int = 0
    lines: int = 0
    bad_lines: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    outside: Counter[str] = field(default_factory=Counter)
    seen: ingest_stage.Seen | None = None

    def add(self, part: ingest_stage.Part, contract: Contract, *, is_first: bool) -> None:
        self.parts += 1
        self.read += part.frame.height + len(part.refused)
        self.lines += part.lines
        self.bad_lines += part.bad_lines
        self.reasons.update(row.reason for row in part.refused)
        if is_first:
            seen = ingest_stage.seen(part.frame, contract)
            self.seen = seen if self.seen is None else self.seen.merge(seen)
        else:
            self.outside.update(ingest_stage.outside(part.frame, contract))


def _staged_in_parts(at: Dock, batch: Batch, delivery: Delivery, agreed: Contract | None) -> Batch:
    tally = _Tally()
    with at.landing.opened(delivery) as file:
        ingested = ingest_stage.ingest(file, delivery.name, at.spec, agreed)
        contract = ingested.contract
        # The keys of one part are made while the next is parsed: two parts in memory, no more.
        for number, part in enumerate(ahead(ingested.parts)):
            tally.add(part, contract, is_first=agreed is None)
            _stage_part(at, batch.digest, number, part, contract)
    if not tally.read:
        raise FileRefusedError("the file has a header and no row")
    ingest_stage.require_mostly_good(tally.bad_lines, tally.lines, at.spec.data)
    if agreed is None:
        contract = replace(contract, since=f"batch {batch.digest}")
        at.lake.write_contract(
            ingest_stage.with_seen(contract, tally.seen) if tally.seen else contract
        )
    return replace(
        batch,
        read=tally.read,
        refused=tally.reasons.total(),
        reasons=dict(sorted(tally.reasons.items())),
        extra=ingested.extra,
        outside=dict(sorted(tally.outside.items())),
        contract=contract.version,
        parts=tally.parts,
    )


def _stage_part(
    at: Dock, digest: str, number: int, part: ingest_stage.Part, contract: Contract
) -> None:
    at.lake.stage(digest, _part(number), dedup_stage.with_keys(part.frame, contract))
    at.lake.stage(digest, _refused_part(number), _refused_frame(part.refused))


def _sided(at: Dock, batch: Batch) -> Iterator[pl.DataFrame]:
    """Yield the new rows with their sides, staged part by staged part."""
    contract = at.lake.require_contract()
    unseen = at.lake.staged(batch.digest, "unseen")
    twins = unseen.filter("twin").select(_KEYS)
    forced = at.lake.matches(twins, batch.looked_at).select(*_KEYS, "side").unique()
    sided = split_stage.split(
        unseen, _standing(at.lake.dataset()), forced, contract.holdout, contract.salt
    ).sort("line")
    for name in _parts(batch):
        rows = at.lake.staged(batch.digest, name)
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


def _quarantine(
    at: Dock, batch: Batch, delivery: Delivery, unseen: dedup_stage.Unseen
) -> Iterator[bytes]:
    """Yield the refused rows and the conflicts of a batch as CSV, in the order of the file."""
    texts: dict[int, str] = {}
    if unseen.conflicts.height:
        stated = ingest_stage.stated(at.spec.data)
        with at.landing.opened(delivery) as file:
            numbers = set(unseen.conflicts["line"].to_list())
            texts = ingest_stage.raw_texts(file, delivery.name, numbers, stated)
    yield _refused_frame(()).write_csv().encode()
    for number in range(batch.parts):
        refused = at.lake.staged(batch.digest, _refused_part(number))
        lines = at.lake.staged(batch.digest, _part(number), ["line"])["line"]
        here = [line for line in lines.to_list() if line in texts] if texts else []
        conflicts = _refused_frame(
            [
                ingest_stage.RefusedRow(line, at.spec.data.target, CONFLICT, texts[line])
                for line in here
            ]
        )
        both = pl.concat([refused, conflicts]).sort("line")
        yield _for_people(both).write_csv(include_header=False).encode()


def _refused_reasons(at: Dock, batch: Batch) -> Iterator[str]:
    for number in range(batch.parts):
        yield from at.lake.staged(batch.digest, _refused_part(number), ["reason"])["reason"]


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


def _told(batch: Batch) -> Batch:
    log.info("%s", batch)
    return batch
