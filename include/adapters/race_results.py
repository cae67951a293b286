"""Stores the result of each fit of a race as soon as the fit has ended.

A task that is killed loses only the fit that was running; the next attempt finds the others here.
A result is complete or absent. Results are stored beside the lake, so that every worker sees them.
"""

from collections.abc import Mapping
from io import BytesIO

import numpy as np

from include.records.arrays import FitOutcome
from include.store import open_store


class RaceResults:
    """The results of one training run, one file for each fit."""

    def __init__(self, url: str, run_id: str, options: Mapping[str, str]) -> None:
        """`url` is the folder of all results (path or s3:// URL), `options` as for `open_store`."""
        self._boards = open_store(url, options)
        self._run_id = run_id
        self._store = self._boards.at(run_id)

    @property
    def url(self) -> str:
        """The folder of this run's results: a path or s3:// URL."""
        return self._store.url

    def find(self, name: str) -> FitOutcome | None:
        """Return the result stored under a name; None when there is none."""
        try:
            data = self._store.read(name)
        except FileNotFoundError:
            return None
        with np.load(BytesIO(data), allow_pickle=False) as fields:
            return FitOutcome(
                fields["probability"],
                float(fields["seconds"]),
                str(fields["failure"]),
                int(fields["reached"]) if "reached" in fields else 0,
            )

    def keep(self, name: str, outcome: FitOutcome) -> None:
        """Store a result under a name, over an earlier one."""
        buffer = BytesIO()
        np.savez(
            buffer,
            probability=outcome.probability,
            seconds=outcome.seconds,
            failure=outcome.failure,
            reached=outcome.reached,
        )
        self._store.write(name, buffer.getvalue())

    def clear(self) -> None:
        """Remove all results of this run, whose leaderboard is recorded by then."""
        for entry in self._store.walk():
            self._store.delete(entry.name)

    def clear_others(self) -> None:
        """Remove the results of other runs, which ended without removing them."""
        for entry in self._boards.walk():
            if not entry.name.startswith(f"{self._run_id}/"):
                self._boards.delete(entry.name)
