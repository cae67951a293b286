"""Parquet: columns that know their types, read a batch of rows at a time."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from include.errors import FileRefusedError
from include.formats.table import Chunk

_CELL_BYTES = 8
_FEWEST_ROWS, _MOST_ROWS = 256, 1 << 16
_FIRST_ROW_LINE = 2
_NUMBERS: tuple[Callable[[Any], bool], ...] = (
    types.is_integer,
    types.is_floating,
    types.is_boolean,
    types.is_decimal,
)
_TEXTS: tuple[Callable[[Any], bool], ...] = (
    types.is_string,
    types.is_large_string,
    types.is_string_view,
)


class ParquetTable:
    """A `Table` of a Parquet file; a row's line is its number, the first row's being 2."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        """Read the schema; FileRefusedError when it cannot be read."""
        with _refusing():
            self._file = pq.ParquetFile(file, page_checksum_verification=True)
            schema = self._file.schema_arrow
            self.columns = tuple(str(name) for name in schema.names)
            self.kinds: Mapping[str, Literal["number", "category"] | None] = {
                field.name: _kind(field.type) for field in schema
            }
        rows = size // (_CELL_BYTES * max(1, len(self.columns)))
        self._line = _FIRST_ROW_LINE
        self._batches = self._read(min(max(rows, _FEWEST_ROWS), _MOST_ROWS))

    def read(self, columns: Sequence[str], numbers: Collection[str]) -> Chunk | None:
        """Return the next rows, numbers as Float64 and texts as String; None at the end."""
        del numbers
        batch = next(self._batches, None)
        if batch is None:
            return None
        with _refusing():
            frame = pl.DataFrame({name: self._column(batch, name) for name in columns})
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
        with _refusing():
            for batch in self._file.iter_batches(batch_size=rows):
                # Nothing that reads a text later on looks whether it is UTF-8.
                batch.validate(full=True)
                if batch.num_rows:
                    yield batch

    def _column(self, batch: Any, name: str) -> pl.Series:
        number = self.kinds[name] == "number"
        column = batch.column(name).cast(pa.float64() if number else pa.large_string(), safe=False)
        return pl.Series(name, column, dtype=pl.Float64 if number else pl.String)


def _kind(found: Any) -> Literal["number", "category"] | None:
    value = found.value_type if types.is_dictionary(found) else found
    if any(is_one(value) for is_one in _NUMBERS):
        return "number"
    return "category" if any(is_one(value) for is_one in _TEXTS) else None


def _texts(batch: Any, chosen: Sequence[int]) -> list[str]:
    with _refusing():
        rows = batch.take(pa.array(np.asarray(chosen, np.int64))).to_pylist()
    return [json.dumps(row, default=str, ensure_ascii=False) for row in rows]


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what the library raises on a damaged file into a refusal."""
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
    return FileRefusedError(f"no Parquet file, or a damaged one: {first}")
