"""The interface of every format: the columns of a file, and its rows in chunks with raw text."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Protocol

import polars as pl

from include.errors import FileRefusedError
from include.store.units import MIB
from include.text.encodings import UTF_8
from serving.values.spelling import name_of

BLOCK_BYTES = 16 << 20
"""Bytes of unpacked text that are processed at a time."""
FIRST_BLOCK_BYTES = 4 << 20
"""The same for the first block of a file, which is read as text to find the kinds of columns."""
HEADER_BYTES = MIB
"""Bytes of a header; a longer one is refused."""
LONGEST_ROW_BYTES = 8 << 20
"""Bytes of a row; a file with a longer one is refused, because a row is held in memory whole."""
MOST_LINES = 1 << 19
"""Line ends that are processed at a time: each takes more memory than it is long."""
OBJECT_SHARE = 8
"""How many times more memory rows take as Python objects than as text."""
OBJECT_BYTES = 64
"""Bytes of text that such a row counts as, however short it is."""
MOST_COLUMNS = 20_000
"""A file with more columns is refused."""


class ColumnContent(StrEnum):
    """What a typed column holds."""

    NUMBER = "number"
    INTEGER = "integer"
    """Numbers of a type without fractions."""
    CATEGORY = "category"
    TRUTH = "truth"
    DATE = "date"
    NOTHING = "nothing"
    """Every value is missing."""


@dataclass(frozen=True)
class StatedFormat:
    """What the spec states about the text of deliveries."""

    target: str
    """The column of the label, by which the separator is found."""
    encoding: str = UTF_8
    columns: tuple[str, ...] | None = None
    """The names of the columns where files have no header."""
    known: frozenset[str] = frozenset()
    """Names of columns in rows that are there already, which older releases kept as typed."""

    def name_of(self, text: str) -> str:
        """Return the name of a column that a file calls so, see `serving.values.spelling`."""
        if text in self.known:
            return text
        name = name_of(text)
        return self._as_typed.get(name, name)

    @cached_property
    def _as_typed(self) -> dict[str, str]:
        return {name_of(own): own for own in self.known if name_of(own) not in self.known}


@dataclass(frozen=True)
class RefusedRow:
    """A row in quarantine: where it was, why it was refused, and its text."""

    line: int
    """The number of its first line in the file; the header is line 1."""
    column: str
    """The column that it is refused for; empty where the row as a whole is bad."""
    reason: str
    raw: str
    """Bytes that are not UTF-8 are shown as `\\xff`."""
    cell: str = ""
    """The text in that column, or how many fields there are where their number is wrong."""
    id: str = ""
    """The id of the row; empty where it has none, or its fields cannot be told apart."""


@dataclass(frozen=True)
class Chunk:
    """Some consecutive rows of a file."""

    frame: pl.DataFrame
    """The requested columns. String: as in the file. Float64: already a number. Null is an empty
    field or a missing value."""
    lines: pl.Series
    """Int64, shape (rows,): the number of each row's first line."""
    raw: Callable[[Sequence[int]], list[str]]
    """Returns the raw texts of the rows at these positions of the frame."""
    broken: tuple[RefusedRow, ...] = ()
    """Rows that could not be split into fields."""


class ParsedTable(Protocol):
    """A file that is read once, from its start to its end."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns, in its order."""

    @property
    def kinds(self) -> Mapping[str, ColumnContent | None] | None:
        """What each column holds, None for a type that is not read.

        None altogether for a format without types.
        """

    @property
    def separator(self) -> str | None:
        """The character that separates its fields; None for a format without one."""

    def all_columns(self) -> tuple[str, ...]:
        """Return every column, also those that appear late; nothing is left to read afterwards."""

    def has(self, column: str) -> bool:
        """Say whether a column can be read; any can where keys may appear late."""

    @property
    def start(self) -> str | None:
        """What has to precede its raw texts to make a file; None where they are JSON objects."""

    def read(self, columns: Sequence[str], numbers: Collection[str]) -> Chunk | None:
        """Return the next rows, None at the end of the file.

        `numbers` are the columns to read as Float64: a text format does so where all their fields
        are numbers, a typed one where they hold numbers or truths. Typed dates are Float64 too,
        days since 1970-01-01. Every other column is String.
        """

    def texts(self, lines: Collection[int]) -> Iterator[tuple[int, str]]:
        """Yield line and raw text of the rows ahead that start on these lines."""


def require_few_columns(count: int) -> None:
    """Raise FileRefusedError for a file with more than MOST_COLUMNS columns."""
    if count > MOST_COLUMNS:
        raise FileRefusedError(
            f"the file has {count} columns, more than the {MOST_COLUMNS} that are read"
        )
