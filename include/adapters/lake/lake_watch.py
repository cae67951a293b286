"""Reads the state of a lake repeatedly for monitoring: rows, version, batches, last batch."""

from collections.abc import Iterable

from include.adapters.lake.commits import Commit
from include.adapters.lake.lake import Lake
from include.records.data import Dataset
from include.records.ledger_state import LakeReading

_EMPTY = LakeReading(None, 0, None)


class LakeWatch:
    """Reads one lake; each reading adds the new commits to the one before."""

    def __init__(self, lake: Lake) -> None:
        """Nothing is read before `look`."""
        self._lake = lake
        self._table = ""
        self._last = _EMPTY

    def look(self) -> LakeReading:
        """Return the state of the table, from its log alone."""
        dataset = self._lake.dataset()
        if dataset is None:
            self._last = _EMPTY
            return _EMPTY
        identity = self._lake.identity()
        known = self._last.dataset.version if self._last.dataset else -1
        if identity != self._table or dataset.version < known:  # another table came to this place
            known, self._last = -1, _EMPTY
        new = self._lake.commits(known, dataset.version)
        self._table, self._last = identity, _grown(self._last, new, dataset)
        return self._last


def _grown(last: LakeReading, new: Iterable[Commit], dataset: Dataset) -> LakeReading:
    brought = [commit for commit in new if commit.batches]
    at = brought[-1].at if brought else last.committed
    batches = sum(len(commit.batches) for commit in brought)
    return LakeReading(dataset, last.batches + batches, at)
