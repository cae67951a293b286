"""What every format gives: the columns of a file, and its rows in chunks with their raw text."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import polars as pl

from include.errors import FileRefusedError
from include.text.encodings import UTF_8

BLOCK_BYTES = 16 << 20
"""How much unpacked text is worked on at a time."""
FIRST_BLOCK_BYTES = 4 << 20
"""The same for the first block of a file, which is read as text to learn the kinds of columns."""
HEADER_BYTES = 1 << 20
"""A longer header is refused."""
LONGEST_ROW_BYTES = 8 << 20
"""A file with a longer row than this is refused: it has to be held in memory whole."""
MOST_LINES = 1 << 19
"""So many line ends are worked on at a time: each takes more memory than it is long."""
OBJECT_SHARE = 8
"""Rows that are read as Python objects take several times the memory of their text."""
OBJECT_BYTES = 64
"""What such a row takes however short it is, in bytes of its text."""
MOST_COLUMNS = 20_000
"""A file with more columns is refused."""
Held = Literal["number", "category", "truth", "date", "nothing"] | None
"""What a typed column holds; `nothing` where every value is missing, None for what is no value."""


@dataclass(frozen=True)
class Stated:
    """What the spec says of the text of deliveries."""

    target: str
    """The label's column, which tells the separator."""
    encoding: str = UTF_8
    columns: tuple[str, ...] | None = None
    """The names of the columns where files have no header."""


@dataclass(frozen=True)
class RefusedRow:
    """A row in quarantine: where it stood, why it is there, and its text as it came."""

    line: int
    """Number of its first line in the file, the header being line 1."""
    column: str
    reason: str
    raw: str
    """Bytes that are not UTF-8 are shown as `\\xff`."""
    cell: str = ""
    """What stands in the column, or how many fields there are where they are too few or many."""


@dataclass(frozen=True)
class Chunk:
    """Some consecutive rows of a file."""

    frame: pl.DataFrame
    """The columns asked for. String: as it stands in the file. Float64: already a number. Null is
    an empty field or a missing value."""
    lines: pl.Series
    """Int64, the number of each row's first line."""
    raw: Callable[[Sequence[int]], list[str]]
    """Give the raw texts of the rows at these positions of the frame."""
    broken: tuple[RefusedRow, ...] = ()
    """Rows that could not be cut into fields."""


class ParsedTable(Protocol):
    """A file that is being read, once, from its start to its end."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns, in its order."""

    @property
    def kinds(self) -> Mapping[str, Held] | None:
        """What each column holds; None where a format does not say."""

    @property
    def separator(self) -> str | None:
        """What its rows are cut into fields at; None where they are not."""

    def has(self, column: str) -> bool:
        """Say whether a column can be read; where keys may come late, any can."""

    @property
    def start(self) -> str | None:
        """What its raw texts need before them to be a file; None where they are JSON objects."""

    def read(self, columns: Sequence[str], numbers: Collection[str]) -> Chunk | None:
        """Return the next rows, None at the end of the file.

        `numbers` are the columns that are wanted as Float64: a text format gives them so if all
        their fields are numbers, a typed one if they hold numbers or truths. Dates that are typed
        are Float64 too, days since 1970. Anything else is String.
        """

    def texts(self, lines: Collection[int]) -> Iterator[tuple[int, str]]:
        """Yield line and raw text of the rows ahead that start at these lines."""


def require_few_columns(count: int) -> None:
    """Raise FileRefusedError for a file with more columns than are read."""
    if count > MOST_COLUMNS:
        raise FileRefusedError(
            f"the file has {count} columns, more than the {MOST_COLUMNS} that are read"
        )
