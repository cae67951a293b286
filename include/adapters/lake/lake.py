"""Everything that steps read from and write to a spec's folder of the lake."""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import polars as pl
from deltalake import DeltaTable

from include.adapters.lake import compaction, row_scans
from include.adapters.lake.actions import committing_version, dataset_of
from include.adapters.lake.batch_files import BatchFiles
from include.adapters.lake.commits import Commit
from include.adapters.lake.contract_files import ContractFiles
from include.adapters.lake.kept_sides import keep_sides
from include.adapters.lake.lake_table import LakeTable
from include.adapters.lake.migration import Migration
from include.adapters.lake.repair import Repair
from include.adapters.lake.row_keys import Keyed, RowKeys
from include.adapters.lake.schemas import (
    format_of,
    optional_columns,
)
from include.adapters.lake.sides import Sides
from include.adapters.lake.staging import Staging
from include.adapters.lake.table_commits import TableCommits
from include.errors import TableRefusedError
from include.records.arrays import Block, Labels, Matrix
from include.records.data import Counts, Dataset
from include.records.row_changes import RowChanges
from include.records.row_columns import LABEL, NEWEST_FORMAT, Side
from include.spec.contract import Contract
from include.store import open_store
from serving.bundle import Layout, Value

log = logging.getLogger("ratchet")
# Beside the files that the table can be made of again, so that who has them has these.
_KEPT_SIDES = f"archive/.sides/{NEWEST_FORMAT:d}"


class Lake:
    """The table of one spec, its contract, and the frames that steps stage for each other.

    The table's columns are the features (double or string), `key_high`, `key_low`, `batch`,
    `label`, `arrived_at`, those that its contract asks for, and `side`, which parts its files.
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
        self._commits = TableCommits(self._table)
        self.keys = RowKeys(self._table)
        self.repair = Repair(self._store, self._table, self.sides)

    def version(self) -> int | None:
        """Return the newest version of the table; None before the first commit."""
        table = self._table.at()
        return None if table is None else int(table.version())

    def require_sound(self) -> None:
        """Raise TableRefusedError when the log is unreadable or has a commit of another tool."""
        self._table.require_sound()

    def format_problem(self) -> str:
        """Return what to do about a table of an older format, empty when there is none."""
        return self._table.format_problem(self._table.at())

    def require_newest_format(self) -> None:
        """Raise TableRefusedError with what to do when the table is of an older format."""
        self._require_newest(self._table.at())

    def _require_newest(self, newest: DeltaTable | None) -> None:
        if problem := self._table.format_problem(newest):
            raise TableRefusedError(problem)

    def dataset(self) -> Dataset | None:
        """Return the newest version with its rows per side and class; None before the first."""
        table = self._table.at()
        return None if table is None else dataset_of(table, self._table.log.classes())

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

    def committing_version(self, digest: str) -> int | None:
        """Return the table version that committed a batch; None when there is none."""
        return self.committing_versions([digest])[digest]

    def committing_versions(self, digests: Iterable[str]) -> dict[str, int | None]:
        """Return the table version that committed each batch; None for one without."""
        table = self._table.at()
        return {digest: committing_version(table, digest) for digest in digests}

    def holds(self, digest: str) -> bool:
        """Return whether a batch was committed and all of its rows are in the newest version.

        Raises DataFileError when a data file that may hold them is missing or was changed.
        """
        return self._table.holds_one(self._table.at(), [digest])

    def keep_sides(self) -> None:
        """Write the sides of the rows of new batches to files beside the archive."""
        keep_sides(self._table, self.sides)

    def finish_migration(self) -> None:
        """Store the sides of all rows by their new keys, and delete those by older ones."""
        self.keep_sides()
        older = _KEPT_SIDES.rpartition("/")[0]
        for entry in self._store.at(older).look():
            self._store.delete(f"{older}/{entry.name}")

    def commit(self, digest: str, parts: Iterable[pl.DataFrame], onto: int | None) -> int | None:
        """Append one batch, as `commit_together` does; ValueError when it has no row."""
        return self.commit_together({digest: parts}, onto)

    def commit_together(
        self,
        batches: Mapping[str, Iterable[pl.DataFrame]],
        onto: int | None,
        changes: RowChanges | None = None,
    ) -> int | None:
        """Append batches' new rows as the version after `onto`, or as the first when it is None.

        `batches` are parts of rows by the batch's digest, with the features, `key_high`, `key_low`,
        `label`, `side`, and `id` where rows have one; `changes` are rows of the table that go or
        move. The first commit of the table fixes the columns. Returns the new version; None when
        another writer made it, or one of the batches was committed before, which `holds` tells.
        Raises ValueError when a batch has no row.
        """
        base = self._table.at()
        found = None if base is None else int(base.version())
        # The rows were compared with `onto`: another version may know some of them by now.
        if found != onto or self._table.holds_one(base, batches):
            return None
        self._require_newest(base)
        written = BatchFiles(self._table, base, self._optional(), self.sides)
        try:
            rows = {digest: written.add(digest, parts) for digest, parts in batches.items()}
            written.rewrite(onto, changes)
        except BaseException:
            written.discard()
            raise
        return self._commits.append(rows, written, onto)

    def _optional(self) -> tuple[str, ...]:
        contract = self.contract()
        return () if contract is None else optional_columns(contract)

    def migration(self, keyed: Keyed) -> Migration | None:
        """Return what writes the newest version anew in the newest format; None where it is so."""
        newest = self._table.at()
        if newest is None or format_of(newest) is NEWEST_FORMAT:
            return None
        return Migration(self._table, newest, self._optional(), keyed)

    def identity(self) -> str:
        """Return the table's unique id in Delta's metadata; empty before the first commit."""
        table = self._table.at()
        return "" if table is None else str(table.metadata().id)

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

    def classes(self, version: int, side: Side, where: pl.Expr | None = None) -> Counts:
        """Return the rows per class of one side of a version that meet a condition."""
        return row_scans.classes(row_scans.only(self._side(version, side, keys_alone=True), where))

    def matrix(
        self, version: int, side: Side, layout: Layout, where: pl.Expr | None = None
    ) -> tuple[Matrix, Labels]:
        """Return one side of a version: float32 features, shape (rows, features), and int8 labels.

        Rows are sorted by key and label, so that the same version gives the same matrix, bit for
        bit. A missing number, a missing category and a category that the layout does not have are
        NaN. With `where`, a condition on columns of the table, only the rows that meet it are
        returned; a window of time is one on `arrived_at`.
        """
        return row_scans.matrix(row_scans.only(self._side(version, side), where), layout)

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

    def staged_digests(self) -> set[str]:
        """Return the digests of the batches that have staged frames."""
        return self._staging.digests()

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
        compaction.sweep_scratch(self._scratch, grace_hours)
        return compaction.Compaction(merged, deleted)

    def _side(self, version: int, side: Side, *, keys_alone: bool = False) -> pl.LazyFrame:
        return self._table.scan(version, side, keys_alone=keys_alone)
