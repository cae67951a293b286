"""Checks that every entry of a table's log can be read and was written by Ratchet.

A row that another tool added has no reliable key, no batch and perhaps no side, and nothing tells
of a row that it removed. So the first such commit stops all reading, until the version before it is
restored.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from include.adapters.lake.commits import Change, Commit, Log, partition, standing
from include.records.row_columns import Side

TAKEN_OUT = "data files that were lost or changed are taken out"
MIGRATED = "migrated"
_FILE = re.compile(
    rf"side=({'|'.join(Side)})/"
    r"(label=[01]/)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(-[0-9a-f]{32})?"
    r"\.parquet"
)
_LOOKS, _PAUSE_SECONDS = 3, 0.2
_VACUUM = frozenset({"VACUUM START", "VACUUM END"})


@dataclass(frozen=True)
class LogProblem:
    """The first problem of a log."""

    version: int
    why: str
    """What is wrong, as the end of a sentence."""
    is_foreign: bool
    """True when the entry was written by another tool, False when it cannot be read."""
    operation: str = ""
    """The operation and the library of an entry that another tool wrote."""

    @property
    def last_good(self) -> int | None:
        """The newest version before the problem; None when there is none."""
        return self.version - 1 if self.version else None


def lasting_problem(log: Log) -> LogProblem | None:
    """Return the first problem of a log, None when there is none; looks again before it tells one.

    An entry may be listed before the one that it follows.
    """
    for look in range(_LOOKS):
        found = problem(log.commits())
        if found is None or found.is_foreign:
            return found
        time.sleep(_PAUSE_SECONDS * (look + 1 < _LOOKS))
    return found


def sentence(problem: LogProblem, url: str, spec: str) -> str:
    """Return a sentence about what is wrong with the log of a table, and what to do."""
    number, recover = problem.version, f"./ratchet recover {spec} --yes"
    if not problem.is_foreign:
        return (
            f"the table {url} is not read: in its log the entry of version {number} {problem.why}, "
            f"and what it brought is missing. Put _delta_log/{number:020d}.json back from a "
            f"backup, or set the versions from {number} on aside and take their batches in again: "
            f"{recover}"
        )
    mend = (
        f"Restore version {problem.last_good}: {recover}"
        if number
        else f"Set it aside and take everything in again: {recover}"
    )
    return (
        f"the table {url} is not read: its version {number} was not made by Ratchet "
        f"({problem.operation}): {problem.why}. {mend}"
    )


def damage_sentence(what: str, batches: Sequence[str], spec: str | None) -> str:
    """Return a sentence about a damaged data file; `spec` where the newest version names it."""
    if spec is None:
        return f"{what}; only older versions of the table name it"
    return (
        f"{what}; its rows came in batch {', '.join(batches) or 'unknown'}: put the file back, or "
        f"take it out and its rows in again: ./ratchet recover {spec} --yes"
    )


def problem(commits: Sequence[Commit]) -> LogProblem | None:
    """Return the first problem in the commits of the newest version; None without one."""
    rows: dict[str, int] = {}
    unread = next((one for one in commits if one.unread), None)
    if unread is not None:
        return LogProblem(unread.version, unread.unread, is_foreign=False)
    for commit in standing(commits):
        why = _foreign(commit, rows)
        if why:
            who = ", ".join(filter(None, (commit.operation, commit.writer))) or "unknown"
            return LogProblem(commit.version, why, is_foreign=True, operation=who)
        rows |= commit.added
    return None


def _foreign(commit: Commit, rows: dict[str, int]) -> str:
    """Return why a commit is not Ratchet's, empty when it is.

    `rows` are the rows of each data file before the commit, by path.
    """
    if commit.restored is not None and commit.restored < commit.version:
        return ""
    if why := _foreign_files(commit):
        return why
    if commit.mark == MIGRATED:
        before, after = sum(rows.get(path, 0) for path in commit.removed), commit.added.values()
        return "" if sum(after) == before else "it brings more or fewer rows than there were"
    if Change.SCHEMA in commit.changes:
        return "it changes the columns or the kind of the table"
    if commit.batches:
        stays = sum(rows.get(path, 0) for path in commit.removed) - sum(commit.replaced.values())
        is_whole = sum(commit.added.values()) == sum(commit.batches.values()) + stays
        sound = commit.added and is_whole and Change.ODD_BATCH not in commit.changes
        return "" if sound else "it brings a batch otherwise than Ratchet does, or was cut off"
    return _foreign_without_batch(commit, rows)


def _foreign_without_batch(commit: Commit, rows: dict[str, int]) -> str:
    if commit.mark == TAKEN_OUT:
        return "" if not commit.added else "it brings rows that no batch stands for"
    if commit.operation in _VACUUM:
        return "" if not commit.added and not commit.removed else "it is more than a vacuum"
    if Change.ROWS in commit.changes or not commit.removed:
        brings = "brings" if commit.added else "takes away" if commit.removed else "stands for"
        return f"it {brings} rows that no batch stands for, or was cut off"
    before = _by_partition({path: rows.get(path, 0) for path in commit.removed})
    if before != _by_partition(commit.added):
        return "it merges data files and has not the rows of those before, or was cut off"
    return ""


def _foreign_files(commit: Commit) -> str:
    odd = sorted(path for path in commit.added if not _FILE.fullmatch(path))
    if odd:
        return f"it brings a data file without a side or a name of Ratchet's: {odd[0]}"
    # A file of the first format has its class in its path.
    if any("/label=" not in path and path not in commit.classes for path in commit.added):
        return "it brings a data file and does not say how many rows of a class that has"
    return ""


def _by_partition(files: Mapping[str, int]) -> dict[str, int]:
    ordered = sorted(files, key=partition)
    return {
        folder: sum(files[path] for path in paths) for folder, paths in groupby(ordered, partition)
    }
