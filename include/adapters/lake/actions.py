"""Reads and writes the actions of Delta's log: the data files of a version, those of a commit."""

import time
from collections.abc import Mapping

import polars as pl
from deltalake import DeltaTable
from deltalake.transaction import RemoveAction

from include.adapters.lake.commits import GROWTH
from include.adapters.lake.schemas import CLASSES, format_of
from include.records.data import Counts, Dataset
from include.records.row_columns import LABEL, SIDE, Side, TableFormat


def data_files(table: DeltaTable) -> pl.DataFrame:
    """Return the data files of a version, one row each: path, bytes, rows, side, label.

    The label is null but in a version of the first format, where it parts the files.
    """
    files = pl.DataFrame(table.get_add_actions())
    has_label = format_of(table) is TableFormat.FIRST
    label = pl.col("partition").struct.field(LABEL) if has_label else pl.lit(None, pl.Int8)
    return files.select(
        "path",
        pl.col("size_bytes").alias("bytes"),
        pl.col("num_records").alias("rows"),
        pl.col("partition").struct.field(SIDE),
        label.cast(pl.Int8).alias(LABEL),
    )


def removals(files: pl.DataFrame, *, data_change: bool) -> list[RemoveAction]:
    """Return the Delta actions that remove data files; `data_change` is False when rows stay."""
    now = time.time_ns() // 1_000_000
    return [
        RemoveAction(
            path,
            data_change=data_change,
            deletion_timestamp=now,
            size=size,
            partition_values={SIDE: side} | ({} if label is None else {LABEL: str(label)}),
        )
        for path, size, side, label in files.select("path", "bytes", SIDE, LABEL).iter_rows()
    ]


def dataset_of(table: DeltaTable, classes: Mapping[str, Counts]) -> Dataset:
    """Return the rows per side and class of a version, from the log alone.

    `classes` are the rows per class of each data file, by path, as the log states them.
    """
    sides: dict[str, Counts] = {side: dict.fromkeys(CLASSES, 0) for side in Side}
    for path, rows, side, label in (
        data_files(table).select("path", "rows", SIDE, LABEL).iter_rows()
    ):
        counts = classes[path] if label is None else {CLASSES[label]: rows}
        for name, count in counts.items():
            sides[side][name] += count
    grown = table.transaction_version(GROWTH)
    return Dataset(table.version(), sides[Side.TRAIN], sides[Side.HOLDOUT], grown=int(grown or 0))


def committing_version(table: DeltaTable | None, digest: str) -> int | None:
    """Return the table version that committed a batch; None when there is none."""
    found = None if table is None else table.transaction_version(digest)
    return None if found is None else int(found)
