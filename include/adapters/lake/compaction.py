"""Keeping a table of many batches fast, without breaking a version that somebody names.

Every batch brings up to four files. Files of about one size are merged once there are enough of
them, so a row is rewritten once for each step in size and no more. Then files that neither the
newest version nor a kept one names are deleted, once they are old: those that merging replaced,
and those of attempts that died.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import polars as pl

from include.adapters.lake.actions import added, removals
from include.adapters.lake.datafiles import DataFiles
from include.adapters.lake.lake_table import LakeTable
from include.adapters.lake.place import for_polars
from include.adapters.lake.schemas import schema_of

MERGED_FILES = 32
SMALL_BYTES = 64 * 2**20
_LEAST_BYTES = 2**20
GRACE_HOURS = 24


@dataclass(frozen=True)
class Compaction:
    """What tidying did."""

    merged: int
    """Files whose rows stand in fewer files now."""
    deleted: int
    """Files that nothing names any more."""


def is_crowded(table: LakeTable) -> bool:
    """Say whether there are enough small files of about one size to merge."""
    newest = table.at()
    return newest is not None and next(_groups(added(newest)), None) is not None


def merge(table: LakeTable) -> int:
    """Merge small files and return how many; 0 when another writer came in between."""
    newest = table.at()
    groups = [] if newest is None else list(_groups(added(newest)))
    if newest is None or not groups:
        return 0
    schema = schema_of(newest)
    files = table.files(schema)
    try:
        for group in groups:
            _rewrite(table, group, files)
        removed = removals(pl.concat(groups), data_change=False)
        done = table.replace(files, removed, schema, int(newest.version()))
    except BaseException:
        files.discard()
        raise
    return sum(group.height for group in groups) if done else 0


def sweep(table: LakeTable, keep: Collection[int], grace_hours: int) -> int:
    """Delete files that no version of `keep`, nor the newest, names; return how many."""
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
    if not newest.vacuum(dry_run=True, **rules):
        return 0
    deleted = newest.vacuum(dry_run=False, **rules)
    newest.create_checkpoint()
    return len(deleted)


def _groups(files: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the files to merge: enough of one partition and one step in size."""
    small = files.filter(pl.col("bytes") < SMALL_BYTES).with_columns(
        step=pl.col("bytes").map_elements(_step, return_dtype=pl.Int64)
    )
    for group in small.partition_by("side", "label", "step"):
        if group.height >= MERGED_FILES:
            yield group


def _step(size: int) -> int:
    """Return the step of a file: 0 up to 1 MiB, 1 up to 8 MiB, 2 up to 64 MiB."""
    return max(0, math.ceil(math.log(max(size, 1) / _LEAST_BYTES, 8)))


def _rewrite(table: LakeTable, group: pl.DataFrame, files: DataFiles) -> None:
    partition = (group["side"][0], group["label"][0])
    table.require_whole(group)
    for path in table.paths(group):
        options = for_polars(table.options)
        rows = pl.read_parquet(path, storage_options=options, glob=False, hive_partitioning=False)
        files.add(partition, rows.select(files.names))
