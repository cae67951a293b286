"""Writes the Parquet files of one commit part by part.

deltalake's own writer holds a whole batch in memory before it writes. Here one file for each side
stays open while parts are appended, so that memory holds a few parts, whatever the size of the
batch. Files are not part of the table before a commit names them; those of a killed attempt
are deleted later, see `compaction`. The name of a file contains the checksum of its bytes.
"""

import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from include.adapters.lake.checksums import checksum, name_with_checksum
from include.records.data import Counts
from include.records.row_columns import ARRIVED_AT, LABEL, SIDE
from include.store import Store
from include.store.units import MIB

ROW_GROUP_BYTES = 8 * MIB
FILE_BYTES = 256 * MIB
_REPEATED = frozenset({pa.string(), pa.timestamp("us", "UTC")})
"""Types whose values repeat: a dictionary of them saves most of their bytes."""


class DataFiles:
    """The data files that are being written for one commit."""

    def __init__(self, schema: pa.Schema, folder: Path) -> None:
        """Files are created when their first rows are added.

        `schema` is the table's schema without the side. `folder` is the table's own
        folder, or a local folder to upload from.
        """
        self._schema = schema
        self.names: list[str] = schema.names
        self._folder = folder
        self._open: dict[str, _File] = {}
        self._written: list[_File] = []

    def add(self, side: str, rows: pl.DataFrame) -> None:
        """Append rows, with the columns of the schema in its order, to the side's file."""
        file = self._open.get(side)
        if file is None:
            file = self._open[side] = _File(side, self._schema, self._folder)
            self._written.append(file)
        file.add(rows)
        if file.bytes >= FILE_BYTES:
            self._open.pop(side).close()

    def publish(self, table: Store, *, grown: bool) -> list[AddAction]:
        """Finish the files, move them into the table's folder and return their Delta actions.

        `grown` is False when the rows were in the table before, as in a merge.
        """
        for file in self._open.values():
            file.close()
        return [file.publish(table, grown=grown) for file in self._written]

    def classes(self) -> dict[str, Counts]:
        """Return the rows per class of each published file, by path."""
        return {file.name: dict(file.classes) for file in self._written}

    def discard(self) -> None:
        """Delete the local files of an attempt that failed."""
        for file in self._written:
            file.discard()

    def withdraw(self, table: Store) -> None:
        """Delete published files of a commit that was not made, as another writer was faster."""
        self.discard()
        if table.local is None:
            for file in self._written:
                table.delete(file.name)


def by_side(rows: pl.DataFrame, names: Sequence[str]) -> Iterator[tuple[str, pl.DataFrame]]:
    """Split rows by side; the yielded frames have the columns `names` in this order."""
    rows = rows.select(*names, pl.col(SIDE).cast(pl.String))
    cut = rows.partition_by([SIDE], as_dict=True, include_key=False)
    for (side,), part in cut.items():
        yield str(side), part


class _File:
    """One data file; rows are collected in memory until they fill a row group."""

    def __init__(self, side: str, schema: pa.Schema, folder: Path) -> None:
        self._side = side
        self.name = f"side={side}/{uuid.uuid4()}.parquet"
        self._path = folder / self.name
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._schema = schema
        self._writer = pq.ParquetWriter(
            self._path,
            schema,
            compression="NONE",
            # Numbers and keys hardly repeat: a dictionary of them costs time and saves nothing.
            use_dictionary=[one.name for one in schema if one.type in _REPEATED],
            # By these, a scan of a window of time leaves files unread.
            write_statistics=[ARRIVED_AT],
            store_schema=False,
        )
        self._waiting: list[pl.DataFrame] = []
        self._waiting_bytes = 0
        self._rows = 0
        self.bytes = 0
        self.classes: Counter[str] = Counter()

    def add(self, rows: pl.DataFrame) -> None:
        self._waiting.append(rows)
        self._waiting_bytes += int(rows.estimated_size())
        self._rows += rows.height
        self.classes.update(dict(rows[LABEL].value_counts().iter_rows()))
        if self._waiting_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def publish(self, table: Store, *, grown: bool) -> AddAction:
        size = self._path.stat().st_size
        self._name_after_bytes()
        # In a folder the file was written where it belongs.
        if table.local is None:
            table.put(self.name, self._path)
            self._path.unlink()
        return AddAction(
            path=self.name,
            size=size,
            partition_values={SIDE: self._side},
            modification_time=time.time_ns() // 1_000_000,
            data_change=grown,
            stats=json.dumps({"numRecords": self._rows}),
        )

    def _name_after_bytes(self) -> None:
        with self._path.open("rb") as file:
            self.name = name_with_checksum(self.name, checksum(file))
        self._path = self._path.rename(self._path.with_name(self.name.rpartition("/")[2]))

    def discard(self) -> None:
        self._writer.close()
        self._path.unlink(missing_ok=True)

    def _flush(self) -> None:
        if self._waiting:
            rows = pl.concat(self._waiting, rechunk=True)
            table = _as(self._schema, rows.to_arrow(compat_level=pl.CompatLevel.oldest()))
            self._writer.write_table(table, row_group_size=table.num_rows)
            self.bytes += self._waiting_bytes
        self._waiting, self._waiting_bytes = [], 0


def _as(schema: pa.Schema, table: pa.Table) -> pa.Table:
    """Return a table in a schema; only columns of another type are cast, because that is slow."""
    columns = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)
