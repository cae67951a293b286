"""Writes the rows of batches into the data files of one commit."""

from collections.abc import Iterable
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from include.adapters.lake.corrections import RewrittenFiles, rewrite
from include.adapters.lake.datafiles import DataFiles, by_side
from include.adapters.lake.lake_table import LakeTable
from include.adapters.lake.schemas import as_stored, first_schema, schema_of
from include.adapters.lake.sides import Sides
from include.records.row_changes import RowChanges


class BatchFiles:
    """The data files of a commit; the first rows of a table fix its columns."""

    def __init__(
        self,
        table: LakeTable,
        base: DeltaTable | None,
        optional: tuple[str, ...],
        sides: Sides,
    ) -> None:
        """Open the files; `base` is the version to commit onto, `optional` are own columns."""
        self._table, self._optional, self._sides = table, optional, sides
        self._began = datetime.now(UTC)
        self.rewritten = RewrittenFiles()
        self._schema = None if base is None else schema_of(base)
        self._files = None if self._schema is None else table.files(self._schema)

    def add(self, digest: str, parts: Iterable[pl.DataFrame]) -> int:
        """Write the rows of a batch and return their number; ValueError when there are none."""
        arrived_at = self._sides.arrived_at(digest) or self._began
        rows = 0
        for part in parts:
            if part.height:
                schema, files = self._opened(part)
                for side, some in by_side(as_stored(part, digest, arrived_at, schema), files.names):
                    files.add(side, some)
                rows += part.height
        if not rows:
            raise ValueError(f"batch {digest} has no new row, so there is nothing to commit")
        return rows

    def rewrite(self, onto: int | None, changes: RowChanges | None) -> None:
        """Write files of version `onto` anew, without the rows that go and with those that move."""
        if onto is None or changes is None or changes.is_nothing:
            return
        if self._files is not None:
            self.rewritten = rewrite(self._table, onto, changes, self._files)

    def made(self) -> tuple[DataFiles, pa.Schema]:
        """Return the files and their schema; ValueError before any row was added."""
        if self._files is None or self._schema is None:
            raise ValueError("no rows")
        return self._files, self._schema

    def discard(self) -> None:
        """Delete what an attempt that failed has written."""
        if self._files is not None:
            self._files.discard()

    def _opened(self, rows: pl.DataFrame) -> tuple[pa.Schema, DataFiles]:
        if self._files is None or self._schema is None:
            self._schema = first_schema(rows, self._optional)
            self._files = self._table.files(self._schema)
        return self._schema, self._files
