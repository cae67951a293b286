"""Finds rows that may be half of a row, cut in two by a stray line end, though they look whole.

`12.5,red,1` cut in its first field is `12` and `.5,red,1`: the second has a field for every column,
and a number that nobody wrote. Cut in its last field, or where its quoted text is closed too soon,
the first half looks whole. The other half gives it away: a line of a single field, or one that
begins within quoted text. A good row beside it is refused where both together form a value of the
column.
"""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise

import numpy as np
import polars as pl

from include.formats.parsed_table import Chunk, RefusedRow
from include.problems import problem_named
from include.records.refusal_reasons import ReasonKind
from include.spec.contract import Column, ColumnKind, Contract
from include.stages.ingest.part import TypedPart
from serving.values.notation import number_reader
from serving.values.spelling import category_form

_DAMAGED = frozenset({ReasonKind.RAGGED, ReasonKind.STRAY, ReasonKind.UNCLOSED})


@dataclass(frozen=True)
class JudgedChunk:
    """A chunk with its good rows and its refused ones, both in the file's order."""

    chunk: Chunk
    frame: pl.DataFrame
    refused: tuple[RefusedRow, ...]
    ids: pl.Series | None = None
    marks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    """See `TypedPart` for all three."""

    @property
    def part(self) -> TypedPart:
        """The part that it is where no row has to be taken out."""
        return TypedPart(self.frame, self.refused, self.marks, self.ids, self.remarks)

    @property
    def first_bad(self) -> RefusedRow | None:
        """The refused row that the chunk begins with, None where it begins with a good one."""
        lines = self.frame["line"]
        is_first = self.refused and not (len(lines) and lines[0] < self.refused[0].line)
        return self.refused[0] if is_first else None

    @property
    def last_bad(self) -> RefusedRow | None:
        """The refused row that the chunk ends with, None where it ends with a good one."""
        lines = self.frame["line"]
        is_last = self.refused and not (len(lines) and lines[-1] > self.refused[-1].line)
        return self.refused[-1] if is_last else None


@dataclass(frozen=True)
class OuterColumns:
    """The first and the last column of a file, where a cut row joins, and its separator."""

    separator: str
    first: str
    last: str
    contract: Contract

    def whole(self, judged: Iterable[JudgedChunk]) -> Iterator[TypedPart]:
        """Yield the parts of a delivery without the good rows that may be half of a row."""
        before: RefusedRow | None = None
        end: list[JudgedChunk | None] = [None]
        for present, following in pairwise(chain(judged, end)):
            if present is not None:
                yield self._part(present, before, following.first_bad if following else None)
                before = present.last_bad

    def _part(
        self, judged_part: JudgedChunk, before: RefusedRow | None, after: RefusedRow | None
    ) -> TypedPart:
        bad = [row for row in (before, *judged_part.refused, after) if row is not None]
        beside = dict(self._beside(judged_part, bad))
        if not beside:
            return judged_part.part
        refused = sorted([*judged_part.refused, *beside.values()], key=lambda row: row.line)
        is_good = ~judged_part.frame["line"].is_in(list(beside))
        good, ids = judged_part.frame.filter(is_good), judged_part.ids
        left = None if ids is None else ids.filter(is_good)
        return replace(judged_part.part, frame=good, refused=tuple(refused), ids=left)

    def _is_half(self, row: RefusedRow) -> bool:
        return self._begins_in_quotes(row) or len(self._fields(row.raw)) == 1

    def _beside(
        self, judged_part: JudgedChunk, bad: Sequence[RefusedRow]
    ) -> Iterator[tuple[int, RefusedRow]]:
        """Yield, by line, the good rows that continue in a half, or that a half continues in."""
        pairs = [
            (half, line)
            for half, line in _good_neighbours(judged_part.frame, bad)
            if self._is_half(half)
        ]
        lines = pl.Series(sorted({line for _, line in pairs}), dtype=pl.Int64)
        places = judged_part.chunk.lines.search_sorted(lines).to_list()
        texts = dict(zip(lines, judged_part.chunk.raw(places) if places else (), strict=True))
        ids = _ids_at(judged_part, lines)
        for half, line in pairs:
            raw = texts[line]
            goes_on = line < half.line
            column = self.last if goes_on else self.first
            cell = self._fields(raw)[-1 if goes_on else 0]
            if self._joins(half, cell, column, goes_on=goes_on):
                yield line, RefusedRow(line, column, ReasonKind.HALF, raw, cell, ids.get(line, ""))

    def _joins(self, half: RefusedRow, cell: str, column: str, *, goes_on: bool) -> bool:
        """Say whether a cell and the half before or behind it form a value of the column."""
        if self._begins_in_quotes(half):
            return goes_on and self._categories(column) is not None
        (text,) = self._fields(half.raw)
        start, end = (cell, text) if goes_on else (text, cell)
        if column == self.contract.target:
            labels = problem_named(self.contract.problem).read_labels
            return not labels(pl.Series([start + end]), self.contract).null_count()
        known = self._categories(column)
        if known is not None:  # a text that is known by itself is hardly half of another
            joined = (category_form(start + end), category_form(f"{start}\n{end}"))
            return category_form(cell) not in known or any(
                text in one for text in joined for one in known
            )
        numbers = (one for one in self.contract.columns if one.kind is ColumnKind.NUMBER)
        return any(one.name == column and _reads(one, start + end) for one in numbers)

    def _categories(self, column: str) -> tuple[str, ...] | None:
        """Return the known categories of a column, None where it holds none."""
        columns = (known for known in self.contract.columns if known.kind is ColumnKind.CATEGORY)
        return next((known.categories for known in columns if known.name == column), None)

    def _begins_in_quotes(self, row: RefusedRow) -> bool:
        """Say whether a bad row's first quote closes a text rather than opens one."""
        _, quote, rest = row.raw.partition('"')
        closes = not rest or rest.startswith((self.separator, "\r", "\n"))
        return row.reason != ReasonKind.RAGGED and bool(quote) and closes

    def _fields(self, raw: str) -> list[str]:
        return next(csv.reader(io.StringIO(raw, newline=""), delimiter=self.separator), [""])


def _ids_at(judged_part: JudgedChunk, lines: pl.Series) -> dict[int, str]:
    """Return the ids of the good rows on these lines, where rows have ids."""
    if judged_part.ids is None:
        return {}
    of_good = judged_part.frame["line"]
    is_asked = of_good.is_in(lines.implode())
    return dict(zip(of_good.filter(is_asked), judged_part.ids.filter(is_asked), strict=True))


def _good_neighbours(
    frame: pl.DataFrame, bad: Sequence[RefusedRow]
) -> list[tuple[RefusedRow, int]]:
    """Return each damaged row with the line of a good row right before or behind it.

    Most bad rows of a bad file have bad neighbours, and cost no more than a look here.
    """
    damaged = [row for row in bad if row.reason in _DAMAGED]
    if not damaged:
        return []
    of_bad = np.array([row.line for row in bad])
    order = np.sort(np.concatenate([frame["line"].to_numpy(), of_bad]))
    is_good = ~np.isin(order, of_bad)
    places = np.searchsorted(order, [row.line for row in damaged])
    pairs = []
    for step in (-1, 1):
        beside = places + step
        inside = (beside >= 0) & (beside < len(order))
        found = np.flatnonzero(inside & is_good[beside.clip(0, len(order) - 1)])
        pairs += [(damaged[index], int(order[beside[index]])) for index in found]
    return pairs


def _reads(column: Column, text: str) -> bool:
    value = number_reader(column.notation)(text)
    low, high = column.accepted or (-math.inf, math.inf)
    return value is not None and low <= value <= high
