"""Reads a delivery into typed, checked parts, and decides which columns are read as numbers."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import BinaryIO, cast

import polars as pl
from polars import selectors as cs

from include.formats.opening import all_columns, open_table
from include.formats.own_place import IndependentReader
from include.formats.parsed_table import Chunk, ColumnContent, ParsedTable, StatedFormat
from include.spec.contract import Column, ColumnKind, Contract
from include.spec.data_spec import Data
from include.stages.ingest.halves import JudgedChunk, OuterColumns
from include.stages.ingest.later_numbers import LaterNumbers
from include.stages.ingest.part import TypedPart
from include.stages.ingest.row_checks import judge_rows
from include.text.numbers import MARKS, MISSING
from serving.values.notation import PLAIN

_IS_MISSING = cs.string().str.strip_chars().fill_null("").is_in(MISSING)
_NUMBERS = frozenset({ColumnContent.NUMBER, ColumnContent.INTEGER})
_NUMERIC = _NUMBERS | {ColumnContent.TRUTH}
_FEW = 100
"""Rows that nearly always show whether a column has a value; looking at all costs as reading."""


@dataclass(frozen=True)
class DeliverySource:
    """A delivery that can be read from its start any number of times."""

    file: BinaryIO
    name: str
    data: Data
    size: int
    known: frozenset[str] = frozenset()
    """The features of the contract, where there is one."""
    labelled: bool = True
    """Whether the rows have a label; the separator of texts is found by a feature where not."""
    lock: Lock = field(default_factory=Lock)
    """Whoever moves about in the file has it: a table reads on while the next is opened."""

    def open(self) -> ParsedTable:
        """Return its table from the start; raises FileRefusedError when it has none."""
        return open_table(self._anew(), self.name, self._stated(), self.size)

    def columns(self) -> tuple[str, ...]:
        """Return all its columns, including JSON keys that appear late."""
        return all_columns(self._anew(), self.name, self._stated(), self.size)

    def _stated(self) -> StatedFormat:
        stated = replace(stated_format(self.data), known=self.known)
        return stated if self.labelled else replace(stated, target=min(self.known))

    def _anew(self) -> BinaryIO:
        return cast("BinaryIO", IndependentReader(self.file, self.lock))


def stated_format(data: Data) -> StatedFormat:
    """Return what a spec states about the text of deliveries."""
    return StatedFormat(data.target, data.encoding, data.columns)


def parts(table: ParsedTable, contract: Contract, *, labelled: bool) -> Iterator[TypedPart]:
    """Yield the parts of a table, checked against a contract, with or without the label."""
    numbers = _numbers(table, contract)
    start = read(table, _columns(contract, labelled=labelled), numbers)
    rows = _rows(table, contract, start, numbers, labelled=labelled)
    yield from _judged(table, contract, rows)


def first_parts(
    table: ParsedTable, contract: Contract, start: Chunk | None, data: Data
) -> Iterator[TypedPart]:
    """Yield the parts of a first file; `start` are its first rows.

    A missing value is refused only where the spec forbids it: the contract does not know of gaps
    yet.
    """
    columns = tuple(
        replace(column, missing=not data.must_be_there(column.name)) for column in contract.columns
    )
    numbers = _numbers(table, contract)
    if start is not None and table.kinds is None:
        numbers -= _named(start, numbers, _IS_MISSING.any())
    allowing = replace(contract, columns=columns)
    rows = _rows(table, allowing, start, numbers, labelled=True)
    yield from _judged(table, allowing, _told_of_later_numbers(table, contract, data, rows))


def _told_of_later_numbers(
    table: ParsedTable, contract: Contract, data: Data, rows: Iterator[JudgedChunk]
) -> Iterator[JudgedChunk]:
    """Yield the chunks of a first file, with what is odd about numbers behind its first rows."""
    first = next(rows, None)
    if first is None:
        return
    later = LaterNumbers(table, contract, data, first.chunk)
    yield first
    del first
    for piece in rows:
        yield replace(piece, remarks=tuple(later.remarks(piece.chunk)))
        del piece


def read(table: ParsedTable, columns: Sequence[str], numbers: Collection[str]) -> Chunk | None:
    """Return the next rows; a column that the file lacks is missing in every row."""
    chunk = table.read([column for column in columns if table.has(column)], numbers)
    absent = [column for column in columns if not table.has(column)]
    if chunk is None or not absent:
        return chunk
    missing = (pl.lit(None, pl.String).alias(name) for name in absent)
    return replace(chunk, frame=chunk.frame.with_columns(missing))


def typed_numbers(columns: Sequence[str], table: ParsedTable, data: Data) -> set[str]:
    """Return the columns whose type is a number or truth, unless the spec says otherwise."""
    kinds = table.kinds or {}
    return {
        name for name in columns if kinds.get(name) in _NUMERIC and not _is_read_as_text(name, data)
    }


def with_values(chunk: Chunk, columns: Collection[str]) -> set[str]:
    """Return the columns with any value that is not missing."""
    conditions = (~_IS_MISSING).any(), (~cs.string()).is_not_nan().any()
    start = replace(chunk, frame=chunk.frame.head(_FEW))
    early = _named(start, columns, *conditions)
    late = [name for name in columns if name not in early]
    return early | _named(chunk, late, *conditions) if late else early


def _judged(
    table: ParsedTable, contract: Contract, rows: Iterator[JudgedChunk]
) -> Iterator[TypedPart]:
    if table.separator is None:
        for piece in rows:
            yield piece.part
            del piece
        return
    yield from OuterColumns(table.separator, table.columns[0], table.columns[-1], contract).whole(
        rows
    )


def _rows(
    table: ParsedTable,
    contract: Contract,
    chunk: Chunk | None,
    numbers: Collection[str],
    *,
    labelled: bool,
) -> Iterator[JudgedChunk]:
    columns = _columns(contract, labelled=labelled)
    while chunk is not None:
        yield _judged_chunk(chunk, contract, labelled=labelled)
        chunk = read(table, columns, numbers)


def _judged_chunk(chunk: Chunk, contract: Contract, *, labelled: bool) -> JudgedChunk:
    judged = JudgedChunk(chunk, *judge_rows(chunk, contract, labelled=labelled))
    return replace(judged, marks=_marks(judged, contract))


def _marks(judged: JudgedChunk, contract: Contract) -> dict[str, tuple[str, ...]]:
    """Return the marks of a gap among the numbers of a chunk, by column, in the order met."""
    texts = judged.chunk.frame
    # Of rows that are all good, as many have no number as have an empty field: no look is needed.
    empty = {} if judged.refused else texts.null_count().row(0, named=True)
    gaps = judged.frame.null_count().row(0, named=True)
    numbers = [
        column.name
        for column in contract.columns
        if column.kind is ColumnKind.NUMBER
        and gaps[column.name] > empty.get(column.name, 0)
        and texts.schema[column.name] == pl.String
    ]
    if not numbers:
        return {}
    stripped = pl.col(numbers).str.strip_chars()
    some = stripped.filter(stripped.is_in(MARKS)).unique(maintain_order=True).implode()
    marks = texts.select(some).row(0, named=True)
    return {name: tuple(listed) for name, listed in marks.items() if listed}


def _columns(contract: Contract, *, labelled: bool) -> list[str]:
    label = [*named_id(contract.row_id), contract.target] if labelled else []
    return [*contract.features, *label]


def named_id(column: str | None) -> tuple[str, ...]:
    """Return the column of the id, where there is one."""
    return () if column is None else (column,)


def _numbers(table: ParsedTable, contract: Contract) -> set[str]:
    """Return the columns to read as numbers right away; the texts of the others decide."""
    return {
        column.name
        for column in contract.columns
        if column.kind is ColumnKind.NUMBER
        and (column.notation == PLAIN or _is_typed(table, column))
        and (table.kinds is not None or not column.missing)
    }


def _is_typed(table: ParsedTable, column: Column) -> bool:
    """Say whether the file has a type of its own for what texts write in a notation."""
    held = (table.kinds or {}).get(column.name)
    if column.notation.boolean:
        return held is ColumnContent.TRUTH
    return held in _NUMBERS and not column.notation.date


def _is_read_as_text(name: str, data: Data) -> bool:
    notation = data.notation_of(name)
    return bool(data.is_category(name) or (notation and (notation.date or notation.boolean)))


def _named(chunk: Chunk, columns: Collection[str], *conditions: pl.Expr) -> set[str]:
    """Return the columns for which a condition holds; one query for all is the cheapest."""
    answers = chunk.frame.select(list(columns)).select(conditions)
    return {name for name in answers.columns if answers[name].item()}
