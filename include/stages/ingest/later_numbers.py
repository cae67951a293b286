"""Looks at numbers behind the first rows of a first file as they are written.

The first rows of a delimited file are texts. Later columns are read as numbers at once, in which
01234 is 1234 and 1.000 is 1, so of each later chunk a few rows are looked up in their raw text: the
smallest number of a column, before which zeros stand where they stand before any of equally long
ones, and the first with a fraction.
"""

import csv
from collections.abc import Iterator, Sequence
from functools import cached_property

import polars as pl

from include.formats.parsed_table import Chunk, ParsedTable
from include.spec.contract import ColumnKind, Contract
from include.spec.data_spec import Data
from include.stages.ingest.first_remarks import leading_zero, thousands_point, unstated
from include.text.numbers import MISSING
from include.text.showable import showable_name

_LIKE_WHOLE = r"^[-+]?(?:0|[1-9]\d*)$"
_LIKE_SMALL = r"^[-+]?(?:0|[1-9]\d{0,2})$"
_SOME = 100
"""First rows that decide which columns are looked at; a look at all costs as much as reading."""
_FEW = 3
"""Numbers with a fraction, of each column and chunk, that are looked at."""


class LaterNumbers:
    """The columns that begin with whole numbers alone, until they are told of or have a point."""

    def __init__(self, table: ParsedTable, contract: Contract, data: Data, start: Chunk) -> None:
        """`start` are the first rows of the table, as texts."""
        self._table, self._start = table, start
        self._names = [
            column.name
            for column in unstated(contract, data)
            if column.kind is ColumnKind.NUMBER and start.frame.schema[column.name] == pl.String
        ]

    def remarks(self, chunk: Chunk) -> Iterator[str]:
        """Yield a sentence for each column of a later chunk in which a number is written oddly."""
        for name, texts in {**self._looked_up(chunk), **self._as_texts(chunk.frame)}.items():
            said = leading_zero(showable_name(name), texts)
            has_point = not said and texts.str.contains(".", literal=True).any()
            if has_point and self._began_as(_LIKE_SMALL, name):
                said = thousands_point(showable_name(name), texts)
            if said or has_point:
                self._watched.remove(name)
            if said and self._began_as(_LIKE_WHOLE, name):  # or the first rows have told of it
                yield said

    @cached_property
    def _watched(self) -> list[str]:
        """Asked only where a second chunk comes, which few files have, and of some rows."""
        some = self._start.frame.head(_SOME)
        return [name for name in self._names if _all_like(_LIKE_WHOLE, some[name])]

    def _began_as(self, pattern: str, name: str) -> bool:
        return _all_like(pattern, self._start.frame[name])

    def _as_texts(self, frame: pl.DataFrame) -> dict[str, pl.Series]:
        """Return the columns that are texts in this chunk too: those with gaps."""
        names = [name for name in self._watched if frame.schema[name] == pl.String]
        texts = {name: frame[name].drop_nulls().str.strip_chars() for name in names}
        return {name: column.filter(~column.is_in(MISSING)) for name, column in texts.items()}

    def _looked_up(self, chunk: Chunk) -> dict[str, pl.Series]:
        """Return some texts of the others, by column."""
        rows = self._rows(chunk.frame)
        numbers = sorted({row for places in rows.values() for row in places})
        fields = dict(zip(numbers, self._fields(chunk, numbers), strict=True))
        places = {name: place for place, name in enumerate(self._table.columns)}
        return {
            name: pl.Series([fields[row][places[name]].strip() for row in chosen])
            for name, chosen in rows.items()
            if chosen
        }

    def _rows(self, frame: pl.DataFrame) -> dict[str, list[int]]:
        """Return, by column of numbers, the rows of its smallest number and of some fractions."""
        names = [name for name in self._watched if frame.schema[name] == pl.Float64]
        if not names or not frame.height:
            return {}
        values = pl.col(names)
        smallest = frame.select(values.abs().arg_min()).row(0, named=True)
        is_fraction = values.floor() != values
        fractions = frame.select(is_fraction.arg_true().head(_FEW).implode()).row(0, named=True)
        return {name: [smallest[name], *fractions[name]] for name in names}

    def _fields(self, chunk: Chunk, rows: Sequence[int]) -> list[list[str]]:
        separator = self._table.separator or ","
        return [next(csv.reader([raw], delimiter=separator)) for raw in chunk.raw(rows)]


def _all_like(pattern: str, texts: pl.Series) -> bool:
    present = texts.drop_nulls().str.strip_chars()
    return bool((present.is_in(MISSING) | present.str.contains(pattern)).all())
