"""One delivery on its way into the lake: typed, subtracted from history, sided, committed, kept.

Each function may be killed at any instruction and called again: what it wrote is whole or absent.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace

import polars as pl

from include.adapters.landing import Delivery, lines, raw_lines
from include.errors import FileRefusedError
from include.records import Batch
from include.stages import dedup as dedup_stage
from include.stages import ingest as ingest_stage
from include.stages import split as split_stage
from include.workplace import Workplace

log = logging.getLogger("ratchet")
KNOWN_BYTES = "these bytes were ingested before; nothing to do"


def twin(delivery: Delivery) -> Batch:
    """Return the batch of a file whose bytes another file of the same run has."""
    return _told(Batch(delivery.digest, delivery.name, note="the same bytes as another file"))


def ingest_delivery(
    at: Workplace, delivery: Delivery, features: tuple[str, ...] | None
) -> tuple[Batch, tuple[str, ...] | None]:
    """Type one file; `features` are those of the rows before it, earlier files included."""
    batch = Batch(delivery.digest, delivery.name)
    known = at.lake.committed(delivery.digest) is not None
    if known or at.landing.archived(delivery.digest):
        at.landing.archive(delivery)
        return _told(replace(batch, note=KNOWN_BYTES)), features
    try:
        with lines(delivery) as text:
            typed = ingest_stage.ingest(text, at.spec.data, features)
    except FileRefusedError as error:
        kept = at.landing.refuse(delivery, str(error))
        return _told(replace(batch, note=f"file refused, kept as {kept}: {error}")), features
    at.lake.stage(delivery.digest, "typed", dedup_stage.with_keys(typed.frame, typed.features))
    at.lake.stage(delivery.digest, "refused", _refused_frame(typed.refused))
    refused = len(typed.refused)
    judged = replace(batch, read=typed.frame.height + refused, refused=refused)
    return _told(judged), typed.features


def dedup_batch(at: Workplace, batch: Batch, known: pl.DataFrame) -> tuple[Batch, pl.DataFrame]:
    """Subtract what is known, `key` and `label`; return the batch and its new rows, keyed.

    A batch that another attempt has brought to its end meanwhile has nothing left to do.
    """
    if at.landing.archived(batch.digest):
        return _told(replace(batch, note=KNOWN_BYTES)), known.clear()
    unseen = dedup_stage.dedup(at.lake.staged(batch.digest, "typed"), known)
    refused = pl.concat(
        [at.lake.staged(batch.digest, "refused"), _conflict_frame(at, batch, unseen.conflicts)]
    ).sort("line")
    at.lake.stage(batch.digest, "unseen", unseen.frame)
    if refused.height:
        at.landing.write_quarantine(batch.digest, refused.write_csv())
    judged = replace(
        batch,
        refused=refused.height,
        reasons=dict(refused.group_by("reason").len().sort("reason").iter_rows()),
        duplicates=unseen.duplicates,
        new=unseen.frame.height,
    )
    return _told(judged), unseen.frame.select("key", "label")


def split_batch(at: Workplace, batch: Batch) -> Batch:
    """Commit first, then archive: a run that dies in between finds the commit and only archives."""
    if batch.new and at.lake.committed(batch.digest) is None:
        history = at.lake.known()
        frame = split_stage.split(
            at.lake.staged(batch.digest, "unseen"), _standing(history), at.spec.split
        )
        at.lake.commit(batch.digest, frame)
    while (delivery := at.landing.delivery(batch.digest)) is not None:
        at.landing.archive(delivery)
    at.lake.forget_staged(batch.digest)
    return _told(replace(batch, committed=at.lake.committed(batch.digest)))


def _standing(history: pl.DataFrame) -> dict[int, split_stage.Standing]:
    holdout = (pl.col("side") == split_stage.HOLDOUT).sum()
    counted = history.group_by("label").agg(rows=pl.len(), holdout=holdout)
    return {label: split_stage.Standing(rows, held) for label, rows, held in counted.iter_rows()}


def _refused_frame(rows: Sequence[ingest_stage.RefusedRow]) -> pl.DataFrame:
    schema = {"line": pl.Int64, "column": pl.String, "reason": pl.String, "raw": pl.String}
    return pl.DataFrame([asdict(row) for row in rows], schema=schema)


def _conflict_frame(at: Workplace, batch: Batch, conflicts: pl.DataFrame) -> pl.DataFrame:
    delivery = at.landing.delivery(batch.digest)
    numbers = conflicts["line"].to_list()
    texts = raw_lines(delivery, numbers) if delivery and numbers else {}
    reason = "the same features are known with another label"
    return _refused_frame(
        [
            ingest_stage.RefusedRow(line, at.spec.data.target, reason, texts.get(line, ""))
            for line in numbers
        ]
    )


def _told(batch: Batch) -> Batch:
    log.info("%s", batch)
    return batch
