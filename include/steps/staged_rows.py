"""Rows as ingest, dedup and split pass them on: staged in parts, with the counts of their batch.

No function holds the features of a whole delivery in memory.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import polars as pl

from include.context.intake_context import IntakeContext
from include.records.data import Batch, Fate
from include.records.refusal_reasons import MOST_KEPT, ReasonKind, RefusalReason, commonest_first
from include.records.row_columns import ID, KEYS, LABEL, LINE
from include.reports.delivery_log import log_ending
from include.stages import ingest as ingest_stage
from include.text.showable import showable_name, showable_row
from include.text.spreadsheet_cells import neutral_cell

log = logging.getLogger("ratchet")


UNSEEN = "unseen"
"""The name under which `dedup` stages the rows of a batch that are new, for `split`."""
_MOST_TOGETHER = 1_000_000
"""Rows of the batches that are compared and committed together."""
REPLACED, MOVED, CHANGED_IDS = "replaced", "moved", "changed-ids"
"""The names of the rows of the table that a batch replaces, of those that it moves, and of how many
ids change their features."""
KNOWN_BYTES = "these bytes were ingested before; nothing to do"


_SHOWN: dict[str, Callable[[str], str]] = {
    ID: showable_name,
    "column": showable_name,
    "reason": showable_name,
    "raw": showable_row,
}


def with_reasons(batch: Batch, reasons: Iterable[RefusalReason]) -> Batch:
    """Return a batch with its most frequent refusal reasons, and the number of the others."""
    ordered = commonest_first(reasons)
    others = batch.other_reasons + len(ordered[MOST_KEPT:])
    return replace(batch, refused_for=tuple(ordered[:MOST_KEPT]), other_reasons=others)


def already_known(batch: Batch) -> Batch:
    """Return the batch as one whose bytes were ingested before, and log that."""
    return log_ending(replace(batch, note=KNOWN_BYTES, fate=Fate.KNOWN))


def rows_table(
    context: IntakeContext, batch: Batch, conflicts: Mapping[int, str]
) -> Iterator[bytes]:
    """Yield the refused rows of a batch as CSV (UTF-8): the header, then one piece for each part.

    `conflicts` holds the raw text of each conflicting row by its line number. Rows are in the order
    of the file.
    """
    has_ids = context.spec.data.id is not None
    yield _for_people(refused_frame(()), has_ids=has_ids).write_csv().encode()
    for number in range(batch.parts):
        refused = context.lake.read_staged(batch.digest, refused_part_name(number))
        lines = context.lake.read_staged(batch.digest, part_name(number), [LINE])[LINE]
        here = [line for line in lines.to_list() if line in conflicts] if conflicts else []
        others = refused_frame(
            [
                ingest_stage.RefusedRow(
                    line, context.spec.data.target, ReasonKind.CONFLICT, conflicts[line]
                )
                for line in here
            ]
        )
        both = pl.concat([refused, others]).sort("line")
        yield _for_people(both, has_ids=has_ids).write_csv(include_header=False).encode()


def _for_people(rows: pl.DataFrame, *, has_ids: bool) -> pl.DataFrame:
    """Return refused rows for `rows.csv`: nothing that a terminal or a spreadsheet would run."""
    shown = rows.with_columns(
        pl.Series(name, [neutral_cell(show(text)) for text in rows[name].to_list()], pl.String)
        for name, show in _SHOWN.items()
    )
    return shown if has_ids else shown.drop(ID)


def refused_frame(rows: Sequence[ingest_stage.RefusedRow]) -> pl.DataFrame:
    """Return refused rows as a frame: line (Int64), id, column, reason and raw (String)."""
    texts = dict.fromkeys((ID, "column", "reason", "raw"), pl.String)
    schema = {"line": pl.Int64, **texts}
    return pl.DataFrame({name: [getattr(row, name) for row in rows] for name in schema}, schema)


def go_together(batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    """Cut batches, in their order, into groups whose keys fit memory; a large one is by itself."""
    group: list[Batch] = []
    for batch in batches:
        if group and sum(one.read for one in group) + batch.read > _MOST_TOGETHER:
            yield group
            group = []
        group.append(batch)
    if group:
        yield group


def staged_keys(context: IntakeContext, batch: Batch) -> pl.DataFrame:
    """Return line, label and key of the good rows of a batch, with the id where rows have one."""
    named = () if context.lake.require_contract().row_id is None else (ID,)
    columns = [LINE, *named, LABEL, *KEYS]
    return pl.concat(
        context.lake.read_staged(batch.digest, name, columns) for name in part_names(batch)
    )


def forget_refused(context: IntakeContext) -> None:
    """Delete what an attempt that was killed has left staged of files that were refused whole."""
    for digest in sorted(context.lake.staged_digests()):
        is_claimed = context.landing.delivery(digest) is not None
        if not is_claimed and context.landing.read_quarantine(digest).name is not None:
            context.lake.forget_staged(digest)


def part_names(batch: Batch) -> list[str]:
    """Return the names of the staged parts of a batch, in order."""
    return [part_name(number) for number in range(batch.parts)]


def part_name(number: int) -> str:
    """Return the name of a staged part, as `part-00003` for number 3."""
    return f"part-{number:05}"


def refused_part_name(number: int) -> str:
    """Return the name of the refused rows of a part, as `refused-00003` for number 3."""
    return f"refused-{number:05}"
