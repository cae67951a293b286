"""Writes the rows of a table of an older format anew, and makes them its next version.

Every row has the same values as before; its key is made anew, and it stays on its side. Keys of the
newest format know fewer differences, so that rows which were two may have one key now. Where such
twins stand on both sides, those of the holdout become train rows: models were fitted on the others.

When killed: the table is as it was, or whole in the newest format. Files of a killed attempt are
deleted with those of others, see `compaction`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl
from deltalake import DeltaTable

from include.adapters.lake.actions import data_files
from include.adapters.lake.lake_table import LakeTable
from include.adapters.lake.row_keys import Keyed, pieces
from include.adapters.lake.schemas import OWN_KINDS, features, file_schema, stored_label
from include.adapters.lake.table_commits import TableCommits
from include.errors import TableRefusedError
from include.records.data import MigrationResult
from include.records.row_columns import ARRIVED_AT, BATCH, KEYS, NEWEST_FORMAT, SIDE, Side


class Migration:
    """One attempt to bring a table to the newest format; it holds for one version of it."""

    def __init__(
        self, table: LakeTable, newest: DeltaTable, optional: tuple[str, ...], keyed: Keyed
    ) -> None:
        """Open files to write; `optional` are columns that the contract asks for."""
        self._table, self._newest, self._keyed = table, newest, keyed
        kinds = {name: kind == pl.String for name, kind in features(newest).items()}
        _require_free(table, kinds)
        self._schema = file_schema(kinds, optional)
        self._files = table.files(self._schema)
        self._arrivals = _arrivals(table)
        self._keys: dict[Side, list[pl.DataFrame]] = {side: [] for side in Side}
        self._moved = 0
        self.rows = int(data_files(newest)["rows"].sum())
        """The number of rows to write."""

    def write(self) -> Iterator[int]:
        """Write all rows anew, the train side first; yield the number of rows of each piece."""
        try:
            for part in pieces(self._table, self._version, Side.TRAIN):
                yield self._add(self._anew(part), Side.TRAIN)
            known = _distinct(self._keys[Side.TRAIN])
            for part in pieces(self._table, self._version, Side.HOLDOUT):
                rows = self._anew(part)
                twins = rows.join(known, on=KEYS, how="semi", maintain_order="left")
                self._moved += self._add(twins, Side.TRAIN)
                others = rows.join(known, on=KEYS, how="anti", maintain_order="left")
                yield twins.height + self._add(others, Side.HOLDOUT)
        except BaseException:
            self._files.discard()
            raise

    def commit(self) -> MigrationResult | None:
        """Make what was written the next version; None when another writer has made that."""
        if not TableCommits(self._table).migrate(self._files, self._schema, self._newest):
            return None
        repeated = sum(
            sum(part.height for part in parts) - _distinct(parts).height
            for parts in self._keys.values()
        )
        return MigrationResult(self._version + 1, self.rows, self._moved, repeated)

    @property
    def _version(self) -> int:
        return int(self._newest.version())

    def _anew(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return rows as the newest format stores them, without a side."""
        arrived = pl.col(BATCH).replace_strict(
            self._arrivals, default=None, return_dtype=OWN_KINDS[ARRIVED_AT]
        )
        rows = rows.drop(KEYS, SIDE).with_columns(stored_label(), arrived.alias(ARRIVED_AT))
        absent = [name for name in self._files.names if name not in {*rows.columns, *KEYS}]
        keyed = self._keyed(rows, NEWEST_FORMAT)
        return keyed.with_columns(pl.lit(None).alias(name) for name in absent)

    def _add(self, rows: pl.DataFrame, side: Side) -> int:
        if rows.height:
            self._files.add(side, rows.select(self._files.names))
            self._keys[side].append(rows.select(KEYS))
        return rows.height


def _distinct(keys: list[pl.DataFrame]) -> pl.DataFrame:
    schema = {name: OWN_KINDS[name] for name in KEYS}
    return pl.concat([pl.DataFrame(schema=schema), *keys]).unique()


def _arrivals(table: LakeTable) -> dict[str, datetime]:
    """Return the time of the first commit of each batch, by the clock of its writer."""
    arrivals: dict[str, datetime] = {}
    for commit in table.log.commits():
        for batch in commit.batches:
            arrivals.setdefault(batch, datetime.fromtimestamp(commit.at, UTC))
    return arrivals


def _require_free(table: LakeTable, features: dict[str, bool]) -> None:
    """Raise TableRefusedError when a feature has a name that the newest format needs."""
    taken = sorted(name for name in features if name.casefold() == ARRIVED_AT)
    if taken:
        raise TableRefusedError(
            f"the table {table.url} has a feature {taken[0]}, which format {int(NEWEST_FORMAT)} "
            "needs as a column of its own. Copy the spec to a new name, exclude the feature there, "
            "and drop the archived files again"
        )
