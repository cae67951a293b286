"""What a version of the table is made of, and what a commit says: in the words of Delta's log."""

import time

import polars as pl
from deltalake import DeltaTable
from deltalake.transaction import RemoveAction

from include.adapters.lake.commits import GROWTH
from include.adapters.lake.schemas import SIDES
from include.records.data import Counts, Dataset

_CLASSES = {0: "negative", 1: "positive"}


def added(table: DeltaTable) -> pl.DataFrame:
    """Return a row per data file: path, bytes, rows, side, label."""
    files = pl.DataFrame(table.get_add_actions())
    return files.select(
        "path",
        pl.col("size_bytes").alias("bytes"),
        pl.col("num_records").alias("rows"),
        pl.col("partition").struct.field("side"),
        pl.col("partition").struct.field("label"),
    )


def removals(files: pl.DataFrame, *, data_change: bool) -> list[RemoveAction]:
    """Return what a commit says of data files that it names no more."""
    now = time.time_ns() // 1_000_000
    return [
        RemoveAction(
            path,
            data_change=data_change,
            deletion_timestamp=now,
            size=size,
            partition_values={"side": side, "label": str(label)},
        )
        for path, size, side, label in files.select("path", "bytes", "side", "label").iter_rows()
    ]


def counted(table: DeltaTable) -> Dataset:
    """Return the rows per side and class, which the log knows without any data being read."""
    sides: dict[str, Counts] = {side: {"negative": 0, "positive": 0} for side in SIDES}
    for side, label, rows in (
        added(table).group_by("side", "label").agg(pl.col("rows").sum()).iter_rows()
    ):
        sides[side][_CLASSES[label]] = rows
    grown = table.transaction_version(GROWTH)
    return Dataset(table.version(), sides["train"], sides["holdout"], grown=int(grown or 0))


def committed(table: DeltaTable | None, digest: str) -> int | None:
    """Return the version whose commit holds the batch, None when none does."""
    found = None if table is None else table.transaction_version(digest)
    return None if found is None else int(found)
