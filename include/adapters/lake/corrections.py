"""Writes data files anew without rows that a batch replaces, and with those that it moves.

A row that is replaced stays readable in the versions before: their data files are not touched.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
from deltalake.transaction import RemoveAction

from include.adapters.lake.actions import data_files, removals
from include.adapters.lake.datafiles import DataFiles
from include.adapters.lake.lake_table import LakeTable
from include.adapters.lake.place import for_polars
from include.adapters.lake.schemas import read_label
from include.records.row_changes import RowChanges
from include.records.row_columns import BATCH, ID, KEYS, LABEL, SIDE, Side

_WHOLE = (ID, *KEYS, LABEL)
"""The columns by which a row of the table is found."""


@dataclass(frozen=True)
class RewrittenFiles:
    """The data files that a commit writes anew."""

    removed: tuple[pl.DataFrame, ...] = ()
    """The files in whose place others come, one frame each; see `data_files`."""
    replaced: Mapping[str, int] = field(default_factory=dict)
    """By batch, the rows that go."""

    def removals(self) -> list[RemoveAction]:
        """Return the actions that remove the files, empty when there are none."""
        return removals(pl.concat(self.removed), data_change=True) if self.removed else []


def rewrite(table: LakeTable, onto: int, changes: RowChanges, files: DataFiles) -> RewrittenFiles:
    """Add to `files` the rows of all data files of version `onto` that hold rows of `changes`.

    Files are read one at a time: first what tells their rows apart, the rest where there are any.
    """
    gone, moved = (frame.select(_WHOLE) for frame in (changes.replaced, changes.moved))
    removed: list[pl.DataFrame] = []
    replaced = Counter[str]()
    for file in data_files(table.require(onto)).sort("path").iter_slices(1):
        if gone.is_empty() and moved.is_empty():
            break
        places = _places(table, file, gone, moved)
        if not places.height:
            continue
        table.require_whole(file)
        whole = _read(table, file)
        goes, moves = (whole[places.filter(kind=kind)["row"]] for kind in ("gone", "moved"))
        stays = whole[_others(whole.height, places["row"])]
        for side, here in ((file[SIDE][0], stays), (Side.TRAIN, moves)):
            if here.height:
                files.add(side, here.select(files.names))
        replaced.update(goes[BATCH].to_list())
        removed.append(file)
        gone = gone.join(places, on=_WHOLE, how="anti", nulls_equal=True)
    return RewrittenFiles(tuple(removed), dict(replaced))


def _places(
    table: LakeTable, file: pl.DataFrame, gone: pl.DataFrame, moved: pl.DataFrame
) -> pl.DataFrame:
    """Return place and kind of the rows of a file that go or move, with what they were found by.

    Of rows from before there were ids several may be alike; one of them goes.
    """
    rows = _read(table, file, [*_WHOLE]).with_columns(read_label())
    rows = rows.select(_WHOLE).with_row_index("row")
    goes = rows.join(gone, on=_WHOLE, how="semi", nulls_equal=True)
    goes = goes.filter(pl.struct(_WHOLE).is_first_distinct())
    moves = rows.join(goes, on="row", how="anti").join(
        moved, on=_WHOLE, how="semi", nulls_equal=True
    )
    return pl.concat(
        [goes.with_columns(kind=pl.lit("gone")), moves.with_columns(kind=pl.lit("moved"))]
    )


def _read(table: LakeTable, file: pl.DataFrame, columns: list[str] | None = None) -> pl.DataFrame:
    return pl.read_parquet(
        table.paths(file)[0],
        columns=columns,
        storage_options=for_polars(table.options),
        glob=False,
        hive_partitioning=False,
    )


def _others(height: int, places: pl.Series) -> pl.Series:
    rows = pl.int_range(height, eager=True)
    return rows.filter(~rows.is_in(places.cast(rows.dtype).implode()))
