"""Merges small data files and deletes unused ones; versions that models name stay readable.

Every batch adds up to two files. Files of a similar size are merged when there are enough of them,
so that a row is rewritten once for each size class and no more. Then old files are deleted that
neither the newest version nor a version to keep names: merged ones, and those of killed attempts.
"""

import math
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from deltalake import DeltaTable

from include.adapters.lake.actions import data_files, removals
from include.adapters.lake.datafiles import DataFiles
from include.adapters.lake.lake_table import LakeTable
from include.adapters.lake.place import for_polars
from include.adapters.lake.schemas import format_of, schema_of
from include.adapters.lake.table_commits import TableCommits
from include.records.row_columns import NEWEST_FORMAT, SIDE
from include.store.units import MIB

MERGED_FILES = 32
SMALL_BYTES = 64 * MIB
_LEAST_BYTES = MIB
GRACE_HOURS = 24


@dataclass(frozen=True)
class Compaction:
    """The result of merging and deleting."""

    merged: int
    """Number of files that were merged into fewer ones."""
    deleted: int
    """Number of unused files that were deleted."""


def is_crowded(table: LakeTable) -> bool:
    """Return whether there are enough files of one side and size class to merge."""
    newest = table.at()
    return newest is not None and next(_mergeable(newest), None) is not None


def merge(table: LakeTable) -> int:
    """Merge small files and return how many; 0 when another writer committed meanwhile."""
    newest = table.at()
    groups = [] if newest is None else list(_mergeable(newest))
    if newest is None or not groups:
        return 0
    files = table.files(schema_of(newest))
    try:
        for group in groups:
            _rewrite(table, group, files)
        removed = removals(pl.concat(groups), data_change=False)
        done = TableCommits(table).replace(files, removed, int(newest.version()))
    except BaseException:
        files.discard()
        raise
    return sum(group.height for group in groups) if done else 0


def sweep(table: LakeTable, keep: Collection[int], grace_hours: int) -> int:
    """Delete files older than `grace_hours` that no version of `keep`, nor the newest, names.

    Returns the number of deleted files.
    """
    newest = table.at()
    if newest is None:
        return 0
    rules = {
        "retention_hours": grace_hours,
        "enforce_retention_duration": False,
        "full": True,
        # A model may name a version of an older table that was at this place.
        "keep_versions": sorted({v for v in keep if v < newest.version()} | {newest.version()}),
    }
    # A vacuum writes entries into the log: asked first, it writes none where there is nothing to
    # do.
    if not newest.vacuum(dry_run=True, **rules):
        return 0
    deleted = newest.vacuum(dry_run=False, **rules)
    newest.create_checkpoint()
    return len(deleted)


def sweep_scratch(folder: Path, grace_hours: int) -> None:
    """Delete local files that killed uploads left, when older than `grace_hours`."""
    for path in folder.rglob("*.parquet"):
        if path.stat().st_mtime < time.time() - 3600 * grace_hours:
            path.unlink(missing_ok=True)


def _mergeable(table: DeltaTable) -> Iterator[pl.DataFrame]:
    """Yield groups of files to merge; files of the first format are left to its migration."""
    if format_of(table) is NEWEST_FORMAT:
        yield from _groups(data_files(table))


def _groups(files: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield groups of files to merge: all of one side and size class, if there are enough."""
    small = files.filter(pl.col("bytes") < SMALL_BYTES).with_columns(
        step=pl.col("bytes").map_elements(_step, return_dtype=pl.Int64)
    )
    for group in small.partition_by(SIDE, "step"):
        if group.height >= MERGED_FILES:
            yield group


def _step(size: int) -> int:
    """Return the size class of a file: 0 up to 1 MiB, 1 up to 8 MiB, 2 up to 64 MiB, and so on."""
    return max(0, math.ceil(math.log(max(size, 1) / _LEAST_BYTES, 8)))


def _rewrite(table: LakeTable, group: pl.DataFrame, files: DataFiles) -> None:
    table.require_whole(group)
    # One at a time: together they may be more than memory holds.
    for path in table.paths(group):
        options = for_polars(table.options)
        rows = pl.read_parquet(path, storage_options=options, glob=False, hive_partitioning=False)
        files.add(group[SIDE][0], rows.select(files.names))
