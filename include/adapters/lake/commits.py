"""Reads the commits of Delta's log.

The log is never truncated, so the commit of every version can be read as long as the table exists.
A commit is one small JSON file; that of a batch names up to four data files.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from include.records.data import Counts
from include.store import Entry, Store

GROWTH = "rows"
"""Application id of a transaction in every commit that adds rows, beside the batch's own."""
MARK, CLASS_COUNTS, BATCH_ROWS = "ratchet", "ratchet.classes", "ratchet.batches"
"""What Ratchet states in a commit: which of its own it is, the rows per class of each data file,
and the rows of each batch."""
REPLACED = "ratchet.replaced"
"""The same, where batches correct rows: how many rows of which batch they replace."""
COMMIT = re.compile(r"\d{20}\.json", re.ASCII)
"""The name of an entry of the log."""
_CHECKPOINT = re.compile(r"\d{20}\.checkpoint\..*", re.ASCII | re.DOTALL)
_AT_ONCE = 16


class Change(StrEnum):
    """What a commit does beside adding and removing data files."""

    ROWS = "rows"
    """Rows come or go."""
    SCHEMA = "schema"
    """The columns or the kind of the table change."""
    ODD_BATCH = "batch"
    """It brings a batch in another form than Ratchet's commits have."""


@dataclass(frozen=True)
class Commit:
    """The commit that made one version of the table."""

    version: int
    at: float
    """Seconds since 1970, by the clock of the writer."""
    batches: Mapping[str, int] = field(default_factory=dict)
    """The number of rows of each batch that it added, by digest; empty without new rows."""
    operation: str = ""
    """The operation's name, as the writer stated it."""
    writer: str = ""
    """The library that wrote it, as it stated itself."""
    mark: str = ""
    """Ratchet's mark in a commit of its own that adds no new rows, such as a merge."""
    added: Mapping[str, int] = field(default_factory=dict)
    """The data files that it adds: rows by path below the table."""
    classes: Mapping[str, Counts] = field(default_factory=dict)
    """Rows per class of each data file that it adds, by path."""
    removed: tuple[str, ...] = ()
    """The paths of data files that it removes."""
    restored: int | None = None
    """The version that it restored as the newest; None for any other commit."""
    changes: frozenset[Change] = frozenset()
    replaced: Mapping[str, int] = field(default_factory=dict)
    """By batch, the rows that its own batches replace."""
    unread: str = ""
    """Why it cannot be read, as the end of a sentence; nothing else is known of it then."""


class Log:
    """The commits of one table; an entry is read again only after it has changed."""

    def __init__(self, store: Store) -> None:
        """`store` is the folder of the log."""
        self._store = store
        self._known: dict[int, tuple[Entry, Commit]] = {}

    def commits(self) -> list[Commit]:
        """Return every commit in the order of versions; empty when there is no table.

        A missing entry before a later one is returned as a commit with `unread`.
        """
        listed = self._store.look()
        entries = {int(one.name[:20]): one for one in listed if COMMIT.fullmatch(one.name)}
        unread = [one for version, one in entries.items() if not self._is_known(version, one)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:  # a bucket takes its time for each
            read = zip(unread, pool.map(self._read, unread), strict=True)
            self._known |= {commit.version: (entry, commit) for entry, commit in read}
        checkpoints = [int(one.name[:20]) for one in listed if _CHECKPOINT.fullmatch(one.name)]
        last = max([*entries, *checkpoints], default=-1)
        return [
            self._known[version][1] if version in entries else _gone(version)
            for version in range(last + 1)
        ]

    def after(self, after: int, up_to: int) -> Iterator[Commit]:
        """Yield the commits of the versions after one, -1 for all, and up to another, in order."""
        for version in range(after + 1, up_to + 1):
            yield _commit(version, self._store.read(f"{version:020d}.json"))

    def batches(self) -> dict[str, Commit]:
        """Return the newest commit of each batch, by the batch's digest."""
        return {name: one for one in standing(self.commits()) for name in one.batches}

    def rows(self) -> dict[str, int]:
        """Return the rows that each batch has in the newest version, by the batch's digest."""
        rows: dict[str, int] = {}
        for commit in standing(self.commits()):
            rows |= commit.batches
            for digest, count in commit.replaced.items():
                rows[digest] = rows.get(digest, 0) - count
        return rows

    def classes(self) -> dict[str, Counts]:
        """Return the rows per class of each data file that the log states them of, by path."""
        return {path: counts for one in self.commits() for path, counts in one.classes.items()}

    def _is_known(self, version: int, entry: Entry) -> bool:
        return version in self._known and self._known[version][0] == entry

    def _read(self, entry: Entry) -> Commit:
        return _commit(int(entry.name[:20]), self._store.read(entry.name))


def standing(commits: Sequence[Commit]) -> list[Commit]:
    """Return the commits that the newest version consists of, without those undone by a restore."""
    for place in range(len(commits) - 1, -1, -1):
        restored = commits[place].restored
        if restored is not None and restored < place:
            return [*standing(commits[: restored + 1]), *commits[place:]]
    return list(commits)


def sources(commits: Iterable[Commit]) -> dict[str, frozenset[str]]:
    """Return, for each data file that the log ever named, the batches that its rows are from.

    A merged file has the rows of the files that the same commit removed from its folder, or from
    folders in it; one of batches that correct rows may have those of every file that it removed.
    """
    found: dict[str, frozenset[str]] = {}
    for commit in commits:
        for path in commit.added:
            if path in found:  # a version was restored
                continue
            folder = f"{partition(path)}/"
            gone = [
                one
                for one in commit.removed
                if commit.batches or f"{partition(one)}/".startswith(folder)
            ]
            merged = frozenset[str]().union(*(found.get(one, frozenset()) for one in gone))
            found[path] = merged | commit.batches.keys()
    return found


def partition(path: str) -> str:
    """Return the folder of a data file, `side=train` or, in the first format, one in it."""
    return path.rpartition("/")[0]


def _gone(version: int) -> Commit:
    return Commit(version, 0.0, unread="is gone, although there are later ones")


def _commit(version: int, entry: bytes) -> Commit:
    try:
        actions = [json.loads(line) for line in entry.decode().splitlines() if line.strip()]
        if not all(isinstance(one, dict) for one in actions):
            return _unread(version, "is no whole commit")
        return _read_commit(version, actions) if actions else _unread(version, "is empty")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return _unread(version, "is no whole commit")


def _unread(version: int, why: str) -> Commit:
    return Commit(version, 0.0, unread=why)


def _read_commit(version: int, actions: list[dict[str, Any]]) -> Commit:
    info: dict[str, Any] = next((one["commitInfo"] for one in actions if "commitInfo" in one), {})
    added = [one["add"] for one in actions if "add" in one]
    removed = [one["remove"] for one in actions if "remove" in one]
    names = [one["txn"]["appId"] for one in actions if "txn" in one]
    operation, parameters = str(info.get("operation", "")), info.get("operationParameters") or {}
    changes = {Change.ROWS} if any(one["dataChange"] for one in (*added, *removed)) else set()
    if version and any(kind in one for one in actions for kind in ("metaData", "protocol")):
        changes.add(Change.SCHEMA)
    rows = {str(one["path"]): _rows(one) for one in added}
    batches = _batches(names, info, sum(rows.values()))
    # Of a commit that corrects rows `soundness` says whether the others are those of before.
    is_whole = removed or sum(batches.values()) == sum(rows.values())
    if names and (GROWTH not in names or not is_whole):
        changes.add(Change.ODD_BATCH)
    restored = str(parameters.get("version", "")) if operation == "RESTORE" else ""
    return Commit(
        version,
        float(info.get("timestamp", 0)) / 1000,
        batches,
        operation,
        str(info.get("engineInfo", "")),
        str(info.get(MARK, "")),
        rows,
        json.loads(info.get(CLASS_COUNTS) or "{}"),
        tuple(str(one["path"]) for one in removed),
        int(restored) if restored.isdecimal() else None,
        frozenset(changes),
        json.loads(info.get(REPLACED) or "{}"),
    )


def _batches(names: Sequence[str], info: Mapping[str, Any], rows: int) -> dict[str, int]:
    """Return the rows of each batch; a commit that does not state them brought one batch."""
    named = [name for name in names if name != GROWTH]
    stated = json.loads(info.get(BATCH_ROWS) or "{}")
    if len(named) == 1 and not stated:
        return {named[0]: rows}
    return {name: int(stated.get(name, 0)) for name in named}


def _rows(added: Mapping[str, Any]) -> int:
    return int(json.loads(added.get("stats") or "{}").get("numRecords", 0))
