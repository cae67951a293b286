"""Parquet files: columns with types of their own, read a batch of rows at a time."""

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types

from include.errors import FileRefusedError
from include.formats import typed
from include.formats.packed import FREE_BYTES, MOST_EXPANDED
from include.formats.parsed_table import Chunk, ColumnContent, StatedFormat, require_few_columns
from include.formats.records import LONGEST_FIELD
from include.store.units import KIB

_CELL_BYTES = 8
_LEAST_CELL_BYTES = 2
"""Bytes of a value in a text, with its separator."""
_TEXT_BYTES = 64 << 20
"""Bytes of text that are decoded at a time."""
_BUFFER_BYTES = 256 * KIB
_FEWEST_ROWS, _MOST_ROWS = 256, 1 << 16
_FIRST_ROW_LINE = 2
"""As in a text with a header line, so that line numbers mean the same in every format."""
_BYTE_ARRAY, _PREFIXED = "BYTE_ARRAY", "DELTA_BYTE_ARRAY"
_KINDS: Mapping[ColumnContent, tuple[Callable[[Any], bool], ...]] = {
    ColumnContent.NUMBER: (types.is_floating, types.is_decimal),
    ColumnContent.INTEGER: (types.is_integer,),
    ColumnContent.CATEGORY: (types.is_string, types.is_large_string, types.is_string_view),
    ColumnContent.TRUTH: (types.is_boolean,),
    ColumnContent.DATE: (types.is_date, types.is_timestamp),
    ColumnContent.NOTHING: (types.is_null,),
}


class ParquetTable:
    """A `ParsedTable` of a Parquet file; the line of a row is its number plus one, from 2."""

    start = None
    separator = None

    def __init__(self, file: BinaryIO, stated: StatedFormat, size: int) -> None:
        """Read the schema; raises FileRefusedError when it is damaged, or holds too much."""
        with _refusing():
            footer = pq.read_metadata(file)
            _require_bounded(footer, file.seek(0, os.SEEK_END))
            self._file = pq.ParquetFile(file, metadata=footer, **_OPTIONS)
            self._lengths = _TextLengths(file, footer)
            schema = self._file.schema_arrow
            self.columns = tuple(stated.name_of(str(name)) for name in schema.names)
            self._places = {name: place for place, name in enumerate(self.columns)}
            kinds = (_kind(field.type) for field in schema)
            self.kinds: Mapping[str, ColumnContent | None] = dict(
                zip(self.columns, kinds, strict=True)
            )
        rows = size // max(_CELL_BYTES, _row_bytes(footer, schema))
        self._line = _FIRST_ROW_LINE
        self._batches = self._read(min(max(rows, _FEWEST_ROWS), _MOST_ROWS))

    def all_columns(self) -> tuple[str, ...]:
        """Return the columns of the schema: there are no others."""
        return self.columns

    def has(self, column: str) -> bool:
        """Say whether there is a column of this name."""
        return column in self.kinds

    def read(self, columns: Sequence[str], numbers: Collection[str]) -> Chunk | None:
        """Return the next rows, see `ParsedTable.read`; None at the end."""
        batch = next(self._batches, None)
        if batch is None:
            return None
        with _refusing():
            frame = pl.DataFrame(
                [self._column(batch, name, is_number=name in numbers) for name in columns]
            )
        lines = pl.int_range(self._line, self._line + batch.num_rows, eager=True, dtype=pl.Int64)
        self._line += batch.num_rows
        return Chunk(frame, lines, lambda chosen: _texts(batch, chosen))

    def texts(self, lines: Collection[int]) -> Iterator[tuple[int, str]]:
        """Yield line and JSON text of the rows ahead that have these numbers."""
        for batch in self._batches:
            chosen = sorted(i for i in range(batch.num_rows) if self._line + i in lines)
            for place, text in zip(chosen, _texts(batch, chosen), strict=True):
                yield self._line + place, text
            self._line += batch.num_rows

    def _read(self, rows: int) -> Iterator[Any]:
        held: list[Any] = []
        with _refusing():
            for batch in self._few_at_a_time(rows):
                # Later code relies on texts being UTF-8 and does not check it.
                batch.validate(full=True)
                held.append(batch)
                if sum(piece.num_rows for piece in held) >= rows or batch.nbytes > _TEXT_BYTES:
                    yield pa.concat_batches(held)
                    held.clear()
            if any(piece.num_rows for piece in held):
                yield pa.concat_batches(held)

    def _few_at_a_time(self, rows: int) -> Iterator[Any]:
        """Yield batches of at most `rows` rows, fewer where long texts take much memory."""
        for group in range(self._file.num_row_groups):
            longest = max(1, self._lengths.longest(group))
            few = max(1, min(rows, _TEXT_BYTES // longest))
            yield from self._file.iter_batches(batch_size=few, row_groups=[group])

    def _column(self, batch: Any, name: str, *, is_number: bool) -> pl.Series:
        column = typed.plain(batch.column(self._places[name]))
        kind = self.kinds[name]
        if kind is ColumnContent.DATE:
            return pl.Series(name, typed.days(column), dtype=pl.Float64)
        if kind in {ColumnContent.NUMBER, ColumnContent.INTEGER, ColumnContent.TRUTH}:
            values = typed.numbers(column) if is_number else typed.texts(column)
            return pl.Series(name, values, dtype=pl.Float64 if is_number else pl.String)
        return pl.Series(name, column.cast(pa.large_string()), dtype=pl.String)


class _TextLengths:
    """The lengths of texts that a file stores once in a dictionary and repeats by number.

    Only these can be larger in memory than in the file: a kilobyte can stand for a million copies
    of one megabyte.
    """

    def __init__(self, file: BinaryIO, footer: Any) -> None:
        leaves = [footer.schema.column(place) for place in range(footer.num_columns)]
        self._places = [i for i, leaf in enumerate(leaves) if leaf.physical_type == _BYTE_ARRAY]
        self._footer = footer
        names = [leaves[place].path for place in self._places]
        self._columns = names
        self._file = pq.ParquetFile(file, metadata=footer, read_dictionary=names, **_OPTIONS)

    def longest(self, group: int) -> int:
        """Return the bytes of the longest text of each column of a row group, summed."""
        chunks = [self._footer.row_group(group).column(place) for place in self._places]
        prefixed: int = sum(
            chunk.total_uncompressed_size for chunk in chunks if _PREFIXED in chunk.encodings
        )
        if not any(chunk.has_dictionary_page for chunk in chunks):
            return prefixed
        first = next(
            self._file.iter_batches(batch_size=1, row_groups=[group], columns=self._columns), None
        )
        return prefixed + sum(map(_longest, first.columns if first is not None else []))


_OPTIONS: dict[str, Any] = {
    "page_checksum_verification": True,
    "pre_buffer": False,
    "buffer_size": _BUFFER_BYTES,
}


def _longest(column: Any) -> int:
    """Return the length of the longest text in the dictionary of a column."""
    if not types.is_dictionary(column.type):
        return 0
    longest = pc.max(pc.binary_length(column.dictionary)).as_py() or 0
    if longest > LONGEST_FIELD:
        raise FileRefusedError(
            f"a text of {longest} bytes, more than the {LONGEST_FIELD} that are read"
        )
    return int(longest)


def _require_bounded(footer: Any, size: int) -> None:
    """Refuse a file that unpacks to far more than its size, or has too many columns."""
    require_few_columns(footer.num_columns)
    groups = [footer.row_group(group) for group in range(footer.num_row_groups)]
    values = sum(group_footer.num_rows for group_footer in groups) * footer.num_columns
    unpacked = max(
        _LEAST_CELL_BYTES * values, sum(group_footer.total_byte_size for group_footer in groups)
    )
    if unpacked > FREE_BYTES and unpacked > MOST_EXPANDED * size:
        raise FileRefusedError(
            f"it holds {values} values, more than {MOST_EXPANDED} times its size, as no table does"
        )


def _row_bytes(footer: Any, schema: Any) -> int:
    """Return the bytes of a row in memory, without texts."""
    fixed = sum(field.type.byte_width for field in schema if types.is_fixed_size_binary(field.type))
    return int(fixed + _CELL_BYTES * footer.num_columns)


def _kind(column_type: Any) -> ColumnContent | None:
    value = column_type.value_type if types.is_dictionary(column_type) else column_type
    kinds = (kind for kind, held in _KINDS.items() if any(is_one(value) for is_one in held))
    return next(kinds, None)


def _texts(batch: Any, chosen: Sequence[int]) -> list[str]:
    with _refusing():
        rows = batch.take(pa.array(np.asarray(chosen, np.int64)))
        columns = [_plain(column) for column in rows.columns]
    names = rows.schema.names
    return [
        json.dumps(dict(zip(names, row, strict=True)), default=_as_text, ensure_ascii=False)
        for row in zip(*columns, strict=True)
    ]


def _plain(column: Any) -> list[Any]:
    """Return the values of a column; one that Python cannot hold, such as a far date, as a text."""
    try:
        values: list[Any] = column.to_pylist()
    except (pa.ArrowException, ValueError, LookupError, ArithmeticError):
        values = ["a value that cannot be shown" if value.is_valid else None for value in column]
    return values


def _as_text(value: Any) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn the errors that pyarrow raises for a damaged file into a refusal."""
    try:
        yield
    except (
        pa.ArrowException,
        ValueError,
        TypeError,
        LookupError,
        OSError,
        ArithmeticError,
    ) as error:
        raise _refusal(error) from error
    except MemoryError as error:
        raise _refusal(error) from error


def _refusal(error: BaseException) -> FileRefusedError:
    first = (str(error).splitlines() or [type(error).__name__])[0]
    plain = "".join(letter for letter in first if letter.isprintable())
    return FileRefusedError(f"no Parquet file, or a damaged one: {plain}")
