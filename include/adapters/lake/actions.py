"""Reads and writes the actions of Delta's log: the data files of a version, those of a commit."""

import time

import polars as pl
from deltalake import DeltaTable
from deltalake.transaction import RemoveAction

from include.adapters.lake.commits import GROWTH
from include.records.data import Counts, Dataset
from include.records.row_columns import LABEL, SIDE, Side

_CLASSES = {0: "negative", 1: "positive"}


def data_files(table: DeltaTable) -> pl.DataFrame:
    """Return the data files of a version, one row each: path, bytes, rows, side, label."""
    files = pl.DataFrame(table.get_add_actions())
    return files.select(
        "path",
        pl.col("size_bytes").alias("bytes"),
        pl.col("num_records").alias("rows"),
        pl.col("partition").struct.field(SIDE),
        pl.col("partition").struct.field(LABEL),
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
            partition_values={SIDE: side, LABEL: str(label)},
        )
        for path, size, side, label in files.select("path", "bytes", SIDE, LABEL).iter_rows()
    ]


def dataset_of(table: DeltaTable) -> Dataset:
    """Return the rows per side and class of a version, from the log alone."""
    sides: dict[str, Counts] = {side: {"negative": 0, "positive": 0} for side in Side}
    for side, label, rows in (
        data_files(table).group_by(SIDE, LABEL).agg(pl.col("rows").sum()).iter_rows()
    ):
        sides[side][_CLASSES[label]] = rows
    grown = table.transaction_version(GROWTH)
    return Dataset(table.version(), sides[Side.TRAIN], sides[Side.HOLDOUT], grown=int(grown or 0))


def committing_version(table: DeltaTable | None, digest: str) -> int | None:
    """Return the table version that committed a batch; None when there is none."""
    found = None if table is None else table.transaction_version(digest)
    return None if found is None else int(found)
