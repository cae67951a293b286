"""Finds what a table has lost, and restores the table to a sound version."""

import logging
from collections.abc import Sequence

from deltalake.exceptions import DeltaError

from include.adapters.lake import row_scans
from include.adapters.lake.checkpoints import HINT, LOG_FOLDER, folder_aside
from include.adapters.lake.lake_table import LakeTable
from include.adapters.lake.sides import Sides
from include.adapters.lake.soundness import LogProblem, sentence
from include.adapters.lake.table_commits import TableCommits
from include.records.row_columns import Side
from include.store import Store

log = logging.getLogger("ratchet")


class Repair:
    """Checks and repairs the table of one lake."""

    def __init__(self, store: Store, table: LakeTable, sides: Sides) -> None:
        """`store` is the spec's folder in the lake; the table is in its subfolder `rows`."""
        self._store = store
        self._table = table
        self._sides = sides

    def lost(self) -> set[str]:
        """Return the digests of batches that were committed and are no longer in the log."""
        return self._sides.digests() - set(self._table.log.batches())

    def batches(self) -> set[str]:
        """Return the digests of the batches in the newest version."""
        return set(self._table.log.batches())

    def short(self) -> set[str]:
        """Return the batches that have fewer rows in the newest version than they committed."""
        newest = self._table.at()
        if newest is None:
            return set()
        rows = row_scans.per_batch(self._table.scan(int(newest.version()), *Side, keys_alone=True))
        return {name for name, count in self._table.log.rows().items() if rows.get(name, 0) < count}

    def damaged_files(self) -> dict[str, frozenset[str]]:
        """Return the data files that are missing or changed, each with the batches of its rows."""
        return self._table.damaged_files()

    def take_out(self, paths: Sequence[str]) -> None:
        """Remove data files from the table, so that their rows can be ingested again."""
        while not TableCommits(self._table).take_out(paths):
            pass

    def log_problem(self) -> tuple[LogProblem, str] | None:
        """Return the first problem of the log with a sentence for people; None without one."""
        found = self._table.log_problem()
        if found is None:
            return None
        return found, sentence(found, self._table.url, self._table.spec)

    def batches_from(self, version: int) -> set[str]:
        """Return the batches of `version` and later, as far as the log can be read."""
        commits = self._table.log.commits()
        return {name for one in commits if one.version >= version for name in one.batches}

    def mend(self, problem: LogProblem) -> str:
        """Restore the table to the version before a problem; return a sentence about how."""
        if problem.last_good is None:
            return self._set_table_aside()
        if not problem.is_foreign:
            return self._set_log_aside(problem.version)
        if self._table.lacks_files(problem.last_good):
            return self._set_table_aside()
        try:
            table = self._table.open()
            if table is not None:
                table.restore(problem.last_good)
                return f"version {problem.last_good} of the table is restored"
        except DeltaError:  # as of a table that another tool made one of a newer kind
            log.warning("version %s is not restored by Delta", problem.last_good, exc_info=True)
        return self._set_log_aside(problem.version)

    def _set_log_aside(self, version: int) -> str:
        to = folder_aside()
        for entry in self._store.at(f"rows/{LOG_FOLDER}").look():
            number = entry.name[:20]
            if entry.name == HINT or (number.isdecimal() and int(number) >= version):
                self._store.move(
                    f"rows/{LOG_FOLDER}/{entry.name}", f"{to}/{LOG_FOLDER}/{entry.name}"
                )
        return f"the entries of the log from version {version} on stand in {self._store.url}/{to}"

    def _set_table_aside(self) -> str:
        to = folder_aside()
        for entry in self._store.at("rows").walk():
            self._store.move(f"rows/{entry.name}", f"{to}/rows/{entry.name}")
        return f"the table stands in {self._store.url}/{to}/rows"
