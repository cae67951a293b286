"""The table's log, a commit at a time.

The log is never cut, so what made a version can be told for as long as the table is there. A commit
is one small file; those of batches name up to four data files.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from include.store import Entry, Store

_COMMIT = re.compile(r"\d{20}\.json", re.ASCII)
GROWTH = "rows"
"""The application transaction of every commit that brings rows, beside the batch's own."""


@dataclass(frozen=True)
class Commit:
    """What made a version of the table."""

    version: int
    at: float
    """Seconds since 1970, by the clock of the writer."""
    batch: str | None
    """The digest of the batch whose rows it brought; None for one that only tidied."""
    operation: str = ""
    """As the writer called it."""
    rows: int = 0
    """Rows that it brought."""
    added: tuple[str, ...] = ()
    """Data files that it names, below the table."""
    removed: tuple[str, ...] = ()
    """Data files that it names no more."""


class Log:
    """The commits of one table; each entry is read once for as long as it does not change."""

    def __init__(self, store: Store) -> None:
        """`store` is the folder of the log."""
        self._store = store
        self._known: dict[int, tuple[Entry, Commit]] = {}

    def commits(self) -> list[Commit]:
        """Return every commit, in order of versions; none when there is no table."""
        entries = {int(one.name[:20]): one for one in self._store.look() if _is_commit(one.name)}
        self._known = {version: self._read(version, one) for version, one in entries.items()}
        return [self._known[version][1] for version in sorted(self._known)]

    def after(self, after: int, up_to: int) -> Iterator[Commit]:
        """Yield the commits of the versions after one, -1 for all, and up to another, in order."""
        for version in range(after + 1, up_to + 1):
            yield _commit(version, self._store.read(f"{version:020d}.json").decode())

    def batches(self) -> dict[str, Commit]:
        """Return the newest commit that brought rows of each batch, by its digest."""
        return {one.batch: one for one in self.commits() if one.batch is not None}

    def _read(self, version: int, entry: Entry) -> tuple[Entry, Commit]:
        known = self._known.get(version)
        if known is not None and known[0] == entry:
            return known
        return entry, _commit(version, self._store.read(entry.name).decode())


def sources(commits: list[Commit]) -> Mapping[str, frozenset[str]]:
    """Return for each data file that a log ever named the batches that its rows came in.

    A file that merging made has rows of the files that the same commit removed from its partition.
    """
    found: dict[str, frozenset[str]] = {}
    for commit in commits:
        for path in commit.added:
            if path in found:  # a version was restored
                continue
            gone = [one for one in commit.removed if _partition(one) == _partition(path)]
            merged = frozenset().union(*(found.get(one, frozenset()) for one in gone))
            found[path] = frozenset({commit.batch}) if commit.batch else merged
    return found


def _is_commit(name: str) -> bool:
    return _COMMIT.fullmatch(name) is not None


def _partition(path: str) -> str:
    return path.rpartition("/")[0]


def _commit(version: int, text: str) -> Commit:
    actions = [json.loads(line) for line in text.splitlines()]
    info = next(one["commitInfo"] for one in actions if "commitInfo" in one)
    added = [one["add"] for one in actions if "add" in one]
    names = (one["txn"]["appId"] for one in actions if "txn" in one)
    return Commit(
        version,
        info["timestamp"] / 1000,
        next((name for name in names if name != GROWTH), None),
        str(info.get("operation", "")),
        sum(_rows(one) for one in added if one["dataChange"]),
        tuple(one["path"] for one in added),
        tuple(one["remove"]["path"] for one in actions if "remove" in one),
    )


def _rows(added: Mapping[str, Any]) -> int:
    return int(json.loads(added.get("stats") or "{}").get("numRecords", 0))
