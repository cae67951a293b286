"""The Parquet files of one commit, written part by part.

Deltalake's own writer holds a whole batch in memory before it writes; here a file per side and
class is open while parts stream through, so the peak is a few parts, whatever the batch. Until a
commit names them the files mean nothing: those of an attempt that died are swept up later. A file
is named after the checksum of its bytes, which reading verifies.
"""

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from include.adapters.lake.checksums import checksum, named
from include.store import Folder, Store

PARTITION = ("side", "label")
ROW_GROUP_BYTES = 8 * 2**20
FILE_BYTES = 256 * 2**20
Partition = tuple[str, int]


class DataFiles:
    """Rows on their way into data files."""

    def __init__(self, schema: pa.Schema, folder: Path) -> None:
        """Begin without files, which are made as rows come.

        `schema` is that of the files: the table's without the partition columns. `folder` is the
        table's own, or a local one to upload from.
        """
        self._schema = schema
        self.names: list[str] = schema.names
        self._folder = folder
        self._open: dict[Partition, _File] = {}
        self._written: list[_File] = []

    def add(self, partition: Partition, rows: pl.DataFrame) -> None:
        """Append rows, with the columns of the schema in its order, to the partition's file."""
        file = self._open.get(partition)
        if file is None:
            file = self._open[partition] = _File(partition, self._schema, self._folder)
            self._written.append(file)
        file.add(rows)
        if file.bytes >= FILE_BYTES:
            self._open.pop(partition).close()

    def publish(self, table: Store, *, grown: bool) -> list[AddAction]:
        """Finish the files, bring them below the table and return what a commit says of them.

        `grown` is False when the rows were in the table before.
        """
        for file in self._open.values():
            file.close()
        return [file.publish(table, grown=grown) for file in self._written]

    def discard(self) -> None:
        """Remove the local files of an attempt that came to nothing."""
        for file in self._written:
            file.discard()

    def withdraw(self, table: Store) -> None:
        """Remove published files of a commit that another writer was faster than."""
        self.discard()
        if not isinstance(table, Folder):
            for file in self._written:
                table.delete(file.name)


def by_partition(
    rows: pl.DataFrame, names: Sequence[str]
) -> Iterator[tuple[Partition, pl.DataFrame]]:
    """Cut rows by side and class; what comes has the columns `names` in this order."""
    rows = rows.select(*names, *PARTITION)
    cut = rows.with_columns(pl.col("side").cast(pl.String)).partition_by(
        PARTITION, as_dict=True, include_key=False
    )
    for (side, label), part in cut.items():
        yield (side, int(label)), part


class _File:
    """One data file: small parts wait until they are worth a row group."""

    def __init__(self, partition: Partition, schema: pa.Schema, folder: Path) -> None:
        side, label = partition
        self._values = {"side": side, "label": str(label)}
        self.name = f"side={side}/label={label}/{uuid.uuid4()}.parquet"
        self._path = folder / self.name
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._schema = schema
        self._writer = pq.ParquetWriter(
            self._path,
            schema,
            compression="NONE",
            # Numbers and keys hardly repeat: a dictionary of them costs time and saves nothing.
            use_dictionary=[one.name for one in schema if one.type == pa.string()],
            write_statistics=False,
            store_schema=False,
        )
        self._waiting: list[pl.DataFrame] = []
        self._waiting_bytes = 0
        self._rows = 0
        self.bytes = 0

    def add(self, rows: pl.DataFrame) -> None:
        self._waiting.append(rows)
        self._waiting_bytes += int(rows.estimated_size())
        self._rows += rows.height
        if self._waiting_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def publish(self, table: Store, *, grown: bool) -> AddAction:
        size = self._path.stat().st_size
        self._name_after_bytes()
        if not isinstance(table, Folder):
            table.put(self.name, self._path)
            self._path.unlink()
        return AddAction(
            path=self.name,
            size=size,
            partition_values=self._values,
            modification_time=time.time_ns() // 1_000_000,
            data_change=grown,
            stats=json.dumps({"numRecords": self._rows}),
        )

    def _name_after_bytes(self) -> None:
        with self._path.open("rb") as file:
            self.name = named(self.name, checksum(file))
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
    """Return a table in a schema; only columns of another type are cast, for casts are slow."""
    columns = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)
