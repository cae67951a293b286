"""The table's log, a commit at a time.

The log is never cut, so what made a version can be told for as long as the table is there. A commit
is one small file; those of batches name up to four data files.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from include.adapters.lake.table import GROWTH
from include.store import Store


@dataclass(frozen=True)
class Commit:
    """What made a version of the table."""

    version: int
    at: float
    """Seconds since 1970, by the clock of the writer."""
    batch: str | None
    """The digest of the batch whose rows it brought; None for one that only tidied."""


def commits(log: Store, after: int, up_to: int) -> Iterator[Commit]:
    """Yield the commits of the versions after one, -1 for all, and up to another, in order."""
    for version in range(after + 1, up_to + 1):
        yield _commit(version, log.read(f"{version:020d}.json").decode())


def _commit(version: int, text: str) -> Commit:
    actions = [json.loads(line) for line in text.splitlines()]
    at = next(one["commitInfo"]["timestamp"] for one in actions if "commitInfo" in one)
    names = (one["txn"]["appId"] for one in actions if "txn" in one)
    return Commit(version, at / 1000, next((name for name in names if name != GROWTH), None))
