"""Everything that steps read from and write to a spec's folder of the lake."""

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from include.adapters.lake import compaction, row_scans
from include.adapters.lake.actions import committing_version, dataset_of
from include.adapters.lake.commits import Commit
from include.adapters.lake.contract_files import ContractFiles
from include.adapters.lake.datafiles import by_partition
from include.adapters.lake.lake_table import LakeTable
from include.adapters.lake.repair import Repair
from include.adapters.lake.schemas import first_schema, schema_of
from include.adapters.lake.sides import Sides
from include.adapters.lake.staging import Staging
from include.errors import DataFileError, DataVersionError, reason_of
from include.records.arrays import Block, Labels, Matrix
from include.records.data import Counts, Dataset
from include.records.row_columns import KEYS, LABEL, Side
from include.spec.contract import Contract
from include.store import open_store
from serving.bundle import Layout, Value

log = logging.getLogger("ratchet")
_PART = "part-"
# Beside the files that the table can be made of again, so that who has them has these.
_KEPT_SIDES = "archive/.sides"


class Lake:
    """The table of one spec, its contract, and the frames that steps stage for each other.

    The table's columns are the features (double or string), `key_high`, `key_low`, `batch`, and
    the partition columns `side` and `label`.
    """

    def __init__(self, url: str, options: Mapping[str, str], scratch: Path) -> None:
        """`url` is the spec's folder in the lake: a path, a file:// or an s3:// URL.

        `options` are those of `open_store`; `scratch` is a local folder to upload files from.
        """
        self.url = url
        self._scratch = scratch / "lake"
        self._store = open_store(url, options)
        self._contracts = ContractFiles(self._store)
        self._staging = Staging(open_store(f"{url}/staging", options))
        self.sides = Sides(open_store(f"{url}/{_KEPT_SIDES}", options))
        self._table = LakeTable(f"{url.rstrip('/')}/rows", options, self._scratch)
        self.repair = Repair(self._store, self._table, self.sides)

    def version(self) -> int | None:
        """Return the newest version of the table; None before the first commit."""
        table = self._table.at()
        return None if table is None else int(table.version())

    def require_sound(self) -> None:
        """Raise TableRefusedError when the log is unreadable or has a commit of another tool."""
        self._table.require_sound()

    def dataset(self) -> Dataset | None:
        """Return the newest version with its rows per side and class; None before the first."""
        table = self._table.at()
        return None if table is None else dataset_of(table)

    def commits(self, after: int, up_to: int) -> Iterator[Commit]:
        """Yield the commits of the versions after `after` and up to `up_to`, from the log alone."""
        return self._table.log.after(after, up_to)

    def contract(self) -> Contract | None:
        """Return the newest contract, None before the first; ContractError if unreadable.

        Where there are rows, a contract that is gone is restored; before, the next file fixes it.
        """
        return self._contracts.newest() or (
            self._contracts.restored() if self._has_rows() else None
        )

    def require_contract(self) -> Contract:
        """Return the newest contract; ContractError when there is none."""
        found = self.contract()
        if found is None:
            raise self._contracts.absent()
        return found

    def write_contract(self, contract: Contract) -> None:
        """Write a contract under its version number, then as the newest."""
        self._contracts.write(contract)

    def _has_rows(self) -> bool:
        return self.version() is not None or bool(self.sides.digests())

    def matches(self, keys: pl.DataFrame, version: int | None) -> pl.DataFrame:
        """Return `key_high`, `key_low`, `label` and `side` of the rows with one of the keys.

        `version` is the table version to search; without a version there are no rows.
        """
        if version is None or keys.is_empty():
            return pl.DataFrame(schema=row_scans.MATCH_SCHEMA)
        return row_scans.matches(self._table.scan(version, *Side, keys_alone=True), keys)

    def committing_version(self, digest: str) -> int | None:
        """Return the table version that committed a batch; None when there is none."""
        return committing_version(self._table.at(), digest)

    def holds(self, digest: str) -> bool:
        """Return whether a batch was committed and all of its rows are in the newest version.

        Raises DataFileError when a data file that may hold them is missing or was changed.
        """
        return self._holds(self._table.at(), digest)

    def _holds(self, table: DeltaTable | None, digest: str) -> bool:
        commit = self._table.log.batches().get(digest) if table is not None else None
        if table is None or commit is None or commit.version > table.version():
            return False
        rows = self._table.scan_batches(int(table.version()), [digest])
        return row_scans.count(rows) >= commit.rows

    def keep_sides(self) -> None:
        """Write the sides of the rows of new batches to files beside the archive."""
        batches = self._table.log.batches()
        lacking = sorted(set(batches) - self.sides.digests())
        version = self.version()
        if version is None or not lacking:
            return
        rows = row_scans.sides(self._table.scan_batches(version, lacking))
        for digest in lacking:
            self.sides.keep(digest, rows.filter(batch=digest), batches[digest].version)

    def commit(self, digest: str, parts: Iterable[pl.DataFrame], onto: int | None) -> int | None:
        """Append a batch's new rows as the version after `onto`, or as the first when it is None.

        Each part has the features, `key_high`, `key_low`, `label` and `side`. The first commit of
        the table fixes the features and their types. Returns the new version; None when another
        writer made that version, or when the batch was committed before, which `holds` tells.
        Raises ValueError when there is no row.
        """
        base = self._table.at()
        found = None if base is None else int(base.version())
        # The rows were compared with `onto`: another version may know some of them by now.
        if found != onto or self._holds(base, digest):
            return None
        filled = (part for part in parts if part.height)
        first = next(filled, None)
        if first is None:
            raise ValueError(f"batch {digest} has no new row, so there is nothing to commit")
        schema = first_schema(first) if base is None else schema_of(base)
        files = self._table.files(schema)
        try:
            for part in chain([first], filled):
                whole = part.with_columns(batch=pl.lit(digest))
                for partition, rows in by_partition(whole, files.names):
                    files.add(partition, rows)
        except BaseException:
            files.discard()
            raise
        return self._table.append(digest, files, schema, onto)

    def identity(self) -> str:
        """Return the table's unique id in Delta's metadata; empty before the first commit."""
        table = self._table.at()
        return "" if table is None else str(table.metadata().id)

    def shared_keys(self, fitted: int, scored: int) -> tuple[int, int]:
        """Count the train rows of version `fitted`, and the holdout rows of `scored` among them.

        A holdout row is among them when a train row has its key. Only keys are read, 16 bytes a
        row. Raises DataVersionError when a version cannot be read any more.
        """
        try:
            train = self._side(fitted, Side.TRAIN, keys_alone=True)
            found = row_scans.count_shared(train, self._side(scored, Side.HOLDOUT, keys_alone=True))
        except (DataFileError, DeltaError, pl.exceptions.PolarsError, OSError) as error:
            raise DataVersionError(
                f"version {fitted} of the table, which it was fitted on, cannot be read: "
                f"{reason_of(error)}"
            ) from error
        return found.others, found.shared

    def lacks_files(self, version: int) -> bool:
        """Return whether data files of a version are missing or have another size; reads none."""
        return self._table.lacks_files(version)

    def batches_after(self, version: int, newest: int) -> tuple[str, ...]:
        """Return the digests of the batches in `newest` that were committed after `version`."""
        table = self._table.at(newest)
        digests = row_scans.batches(self._table.scan(newest, *Side, keys_alone=True))
        return tuple(one for one in digests if (committing_version(table, one) or 0) > version)

    def came_after(self, digest: str, version: int) -> bool:
        """Return whether a batch was first committed after a version.

        For a batch that was lost and ingested again from the archive the first commit counts, as
        recorded beside the archive.
        """
        try:
            return self.sides.version(digest) > version
        except (FileNotFoundError, KeyError, ValueError, pl.exceptions.PolarsError):
            return (self.committing_version(digest) or 0) > version

    def batches_with(self, keys: pl.DataFrame, version: int, side: Side) -> tuple[str, ...]:
        """Return the digests of the batches with rows of these keys on one side of a version."""
        asked = keys.select(KEYS).lazy()
        return tuple(row_scans.batches(self._side(version, side).join(asked, on=KEYS, how="semi")))

    def classes(self, version: int, side: Side, batches: Collection[str]) -> Counts:
        """Return the rows per class of some batches on one side of a version."""
        return row_scans.classes(
            row_scans.only(self._side(version, side, keys_alone=True), batches)
        )

    def matrix(
        self, version: int, side: Side, layout: Layout, batches: Collection[str] | None = None
    ) -> tuple[Matrix, Labels]:
        """Return one side of a version: float32 features, shape (rows, features), and int8 labels.

        Rows are sorted by key and label, so that the same version gives the same matrix, bit for
        bit. A missing number, a missing category and a category that the layout does not have are
        NaN. With `batches`, only the rows of these batches are returned.
        """
        return row_scans.matrix(row_scans.only(self._side(version, side), batches), layout)

    def blocks(self, version: int, side: Side, layout: Layout, rows: int) -> Iterator[Block]:
        """Yield one side of a version in blocks of `rows` rows, encoded as by `matrix`.

        No more than one block is in memory. Rows are in the order of the data files, which are
        sorted by path: the same version gives the same blocks, bit for bit, but the same rows in
        another version or another table may have another order.
        """
        return row_scans.blocks(self._table.scan_files(version, side), layout, rows)

    def layout(self, version: int, contract: Contract) -> Layout:
        """Return the matrix layout: the contract's features, the categories of the train side."""
        return row_scans.layout(self._side(version, Side.TRAIN), contract)

    def sample(
        self, version: int, side: Side, layout: Layout, rows: int
    ) -> list[tuple[Value, ...]]:
        """Return the first rows of a side by key, as float, str or None in the layout's order."""
        return row_scans.sample(self._side(version, side), layout.features, rows)

    def sample_classes(
        self, version: int, side: Side, layout: Layout, rows: int
    ) -> list[tuple[Value, ...]]:
        """Return the first `rows` rows of each label of a side, as `sample` does."""
        whole = self._side(version, side)
        classes = (whole.filter(pl.col(LABEL) == label) for label in (0, 1))
        return [row for one in classes for row in row_scans.sample(one, layout.features, rows)]

    def stage(self, digest: str, name: str, frame: pl.DataFrame) -> None:
        """Store a frame of a batch under a name, for later steps of the same run."""
        self._staging.keep(digest, name, frame)

    def read_staged(self, digest: str, name: str, columns: list[str] | None = None) -> pl.DataFrame:
        """Read a staged frame of a batch, or some of its columns."""
        return self._staging.read(digest, name, columns)

    def staged_parts(self, digest: str) -> list[str]:
        """Return the names of a batch's staged parts, in their order."""
        return [name for name in self._staging.names(digest) if name.startswith(_PART)]

    def forget_staged(self, digest: str) -> None:
        """Delete all staged frames of a batch."""
        self._staging.forget(digest)

    def is_crowded(self) -> bool:
        """Return whether there are enough small files to merge, from the log alone."""
        return compaction.is_crowded(self._table)

    def compact(
        self, keep: Collection[int], grace_hours: int = compaction.GRACE_HOURS
    ) -> compaction.Compaction:
        """Merge small files, then delete old ones that no version of `keep` nor the newest names.

        A file counts as old after `grace_hours`: longer than any commit or training takes.
        """
        merged = compaction.merge(self._table)
        deleted = compaction.sweep(self._table, keep, grace_hours)
        self._sweep_scratch(grace_hours)
        return compaction.Compaction(merged, deleted)

    def _side(self, version: int, side: Side, *, keys_alone: bool = False) -> pl.LazyFrame:
        return self._table.scan(version, side, keys_alone=keys_alone)

    def _sweep_scratch(self, grace_hours: int) -> None:
        """Delete local files that killed uploads left, when older than `grace_hours`."""
        for path in self._scratch.rglob("*.parquet"):
            if path.stat().st_mtime < time.time() - 3600 * grace_hours:
                path.unlink(missing_ok=True)
