"""A typed part of a delivery."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from include.formats.parsed_table import RefusedRow


@dataclass(frozen=True)
class TypedPart:
    """Some consecutive rows of a delivery."""

    frame: pl.DataFrame
    """Columns `line` (int64, the row's first line), the features in the contract's order (Float64,
    finite, or String; null is missing), `label` (int8, 1 is positive) where the rows have one."""
    refused: tuple[RefusedRow, ...]
    marks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By column of numbers, the texts such as ? that stand for no value in the good rows."""
    ids: pl.Series | None = None
    """The ids of the rows of `frame`, String, none missing; None where the contract has no id."""
    remarks: tuple[str, ...] = ()
    """Sentences on numbers behind the first rows of a first file."""

    @property
    def bad_lines(self) -> int:
        """Lines in bad rows: one quote that is never closed makes many lines one row."""
        return sum(row.raw.count("\n") + 1 for row in self.refused)

    @property
    def lines(self) -> int:
        """Lines in bad rows and, one a row, in good ones."""
        return self.bad_lines + self.frame.height
