"""Looks for rows by their keys, also in versions whose keys are of another format.

Keys of another format are computed from the features of the rows, which costs the time to read
these. That is needed for models of older versions only.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl
from deltalake.exceptions import DeltaError

from include.adapters.lake import row_scans
from include.adapters.lake.lake_table import LakeTable
from include.errors import DataFileError, DataVersionError, reason_of
from include.records.fitted_keys import FittedKeys
from include.records.row_columns import (
    BATCH,
    KEY_HIGH,
    KEY_LOW,
    KEYS,
    NEWEST_FORMAT,
    Side,
    TableFormat,
)

Keyed = Callable[[pl.DataFrame, TableFormat], pl.DataFrame]
"""Adds the keys of a format to rows that have the features."""
_ROWS = 50_000
"""Rows in memory while keys are computed."""
_SCHEMA = pl.Schema({KEY_HIGH: pl.Int64, KEY_LOW: pl.Int64, BATCH: pl.String})


@dataclass(frozen=True)
class RowKeys:
    """The keys of the rows of one table."""

    _table: LakeTable

    def matches(self, keys: pl.DataFrame, version: int | None) -> pl.DataFrame:
        """Return `key_high`, `key_low`, `label` and `side` of the rows with one of the keys.

        `version` is the table version to search, of the newest format; without one there are no
        rows.
        """
        if version is None or keys.is_empty():
            return pl.DataFrame(schema=row_scans.MATCH_SCHEMA)
        return row_scans.matches(self._table.scan(version, *Side, keys_alone=True), keys)

    def identified(self, rows: pl.DataFrame, version: int | None) -> pl.DataFrame:
        """Return the rows of a version that share an id or a key with others.

        `rows` have `id`, `key_high` and `key_low`; what is returned has these, `label`, `side` and
        `arrived_at`.
        """
        if version is None or rows.is_empty():
            return pl.DataFrame(schema=row_scans.IDENTIFIED_SCHEMA)
        return row_scans.identified(self._table.scan(version, *Side, keys_alone=True), rows)

    def shared(self, fitted: int, scored: int, keyed: Keyed) -> tuple[int, int]:
        """Count the train rows of version `fitted`, and the holdout rows of `scored` among them.

        A holdout row is among them when a train row has its key. Only keys are read, 16 bytes a
        row, and of a version of an older format the features. Raises DataVersionError when a
        version cannot be read any more.
        """
        try:
            train = self._of(fitted, Side.TRAIN, NEWEST_FORMAT, keyed)
            holdout = self._of(scored, Side.HOLDOUT, NEWEST_FORMAT, keyed)
            found = row_scans.count_shared(train, holdout)
        except (DataFileError, DeltaError, pl.exceptions.PolarsError, OSError) as error:
            raise DataVersionError(
                f"version {fitted} of the table, which it was fitted on, cannot be read: "
                f"{reason_of(error)}"
            ) from error
        return found.others, found.shared

    def among(self, keys: FittedKeys, version: int, side: Side, keyed: Keyed) -> pl.DataFrame:
        """Return `key_high`, `key_low` and, in the holdout, `batch` of the rows with these keys."""
        names = [*KEYS, BATCH] if side is Side.HOLDOUT else [*KEYS]
        rows = self._of(version, side, keys.form, keyed).select(names)
        asked = keys.rows.select(KEYS).lazy()
        return rows.join(asked, on=KEYS, how="semi").collect(engine="streaming")

    def _of(self, version: int, side: Side, form: TableFormat, keyed: Keyed) -> pl.LazyFrame:
        """Return `key_high`, `key_low` and `batch` of rows, with the keys of a format."""
        if self._table.format_at(version) is form:
            return self._table.scan(version, side, keys_alone=True).select(list(_SCHEMA))
        parts = (
            keyed(part.drop(KEYS), form).select(list(_SCHEMA))
            for part in pieces(self._table, version, side)
        )
        return pl.concat([_SCHEMA.to_frame(), *parts]).lazy()


def pieces(table: LakeTable, version: int, side: Side) -> Iterator[pl.DataFrame]:
    """Yield the rows of one side of a version with all their columns, some at a time."""
    for file, rows in table.scan_files(version, side):
        for start in range(0, rows, _ROWS):
            yield file.slice(start, _ROWS).collect()
