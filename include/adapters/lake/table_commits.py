"""Commits exactly the next version of the Delta table, or nothing.

A commit may fail after it was made, when the response is lost. Then the log is read: it shows
whether the version names the files of this commit, or those of another writer.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction

from include.adapters.lake import checkpoints, soundness
from include.adapters.lake.actions import data_files, removals
from include.adapters.lake.batch_files import BatchFiles
from include.adapters.lake.commits import BATCH_ROWS, CLASS_COUNTS, GROWTH, MARK, REPLACED
from include.adapters.lake.datafiles import DataFiles
from include.adapters.lake.lake_table import LakeTable
from include.adapters.lake.log_entries import first_entry, migration_entry
from include.adapters.lake.schemas import delta_schema, partition_columns


@dataclass(frozen=True)
class TableCommits:
    """The commits that Ratchet makes to one table."""

    _table: LakeTable

    def append(
        self, batches: Mapping[str, int], written: BatchFiles, onto: int | None
    ) -> int | None:
        """Commit the files of some batches as the version after `onto` and return it.

        `batches` are the rows of each by its digest. Returns None when another writer has made that
        version.
        """
        files, schema = written.made()
        version = 0 if onto is None else onto + 1
        actions = files.publish(self._table.store, grown=True)
        # Without retries the commit is this version or fails, so the number can be part of it.
        named = dict.fromkeys((*batches, GROWTH), version)
        stated = _counted(files) | {BATCH_ROWS: json.dumps(dict(batches))}
        gone = written.rewritten.removals()
        if gone:
            stated[REPLACED] = json.dumps(written.rewritten.replaced)
        if onto is None:
            made = self._create(0, first_entry(delta_schema(schema), actions, named, stated))
        else:
            properties = CommitProperties(
                custom_metadata=stated,
                app_transactions=[Transaction(name, one) for name, one in named.items()],
                max_commit_retries=0,
            )
            made = self._commits([*actions, *gone], onto, properties)
        if not made:
            files.withdraw(self._table.store)
        return version if made else None

    def replace(self, files: DataFiles, removed: Sequence[RemoveAction], onto: int) -> bool:
        """Commit files in place of removed ones with the same rows; False if not the next version.

        That is so when another writer has committed meanwhile.
        """
        actions = files.publish(self._table.store, grown=False)
        properties = CommitProperties(custom_metadata=_counted(files), max_commit_retries=0)
        made = self._commits([*actions, *removed], onto, properties)
        if not made:
            files.withdraw(self._table.store)
        return made

    def migrate(self, files: DataFiles, schema: pa.Schema, onto: DeltaTable) -> bool:
        """Commit files of the newest format in place of all; False if not the next version."""
        actions, removed = files.publish(self._table.store, grown=True), data_files(onto)
        stated = _counted(files) | {MARK: soundness.MIGRATED}
        new, gone = delta_schema(schema), removals(removed, data_change=True)
        entry = migration_entry(onto, new, actions, gone, stated)
        made = self._create(int(onto.version()) + 1, entry)
        if not made:
            files.withdraw(self._table.store)
        return made

    def take_out(self, paths: Sequence[str]) -> bool:
        """Commit the removal of some data files; False when another writer was faster."""
        newest = self._table.at()
        if newest is None:
            return False
        files = data_files(newest).filter(pl.col("path").is_in(paths))
        properties = CommitProperties(
            custom_metadata={MARK: soundness.TAKEN_OUT}, max_commit_retries=0
        )
        return self._commits(removals(files, data_change=True), int(newest.version()), properties)

    def _create(self, version: int, entry: bytes) -> bool:
        """Write the log's entry of a version; False when another writer has made that version."""
        log = self._table.store.at(checkpoints.LOG_FOLDER)
        return log.create(f"{version:020d}.json", entry)

    def _commits(
        self,
        actions: Sequence[AddAction | RemoveAction],
        onto: int,
        properties: CommitProperties,
    ) -> bool:
        """Commit the version after `onto`; False when another writer has made that version."""
        try:
            self._commit([*actions], onto, properties)
        except DeltaError:
            # An error may be of the answer alone: then the log names the files of this commit.
            added = [action for action in actions if isinstance(action, AddAction)]
            if added and self._holds(onto + 1, added):
                return True
            if not self._made(onto + 1):
                raise
            return False
        return True

    def _commit(
        self, actions: list[AddAction | RemoveAction], onto: int, properties: CommitProperties
    ) -> None:
        table = self._table.require(onto)
        table.create_write_transaction(
            actions,
            "append",
            table.schema(),
            partition_columns(table),
            commit_properties=properties,
        )

    def _made(self, version: int) -> bool:
        newest = self._table.at()
        return newest is not None and newest.version() >= version

    def _holds(self, version: int, actions: Iterable[AddAction]) -> bool:
        """Return whether a version names the files: then the commit was made, despite an error."""
        table = self._table.at(version) if self._made(version) else None
        paths = set() if table is None else set(data_files(table)["path"])
        return all(action.path in paths for action in actions)


def _counted(files: DataFiles) -> dict[str, str]:
    """Return what a commit states of the rows per class of its files."""
    return {CLASS_COUNTS: json.dumps(files.classes())}
