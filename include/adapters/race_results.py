"""What each fit of a race came to, written down as soon as it is known.

Whatever dies in a race loses the one fit that was running: the next attempt finds the others here.
An outcome is whole or absent. It stands in the lake's place, so that every worker sees it.
"""

from collections.abc import Mapping
from io import BytesIO

import numpy as np

from include.records.arrays import Outcome
from include.store import open_store


class RaceResults:
    """Outcomes of one training run, a file each."""

    def __init__(self, url: str, run_id: str, options: Mapping[str, str]) -> None:
        """`url`, a path or s3://, holds results of races; `options` are words for a bucket."""
        self._boards = open_store(url, options)
        self._run_id = run_id
        self._store = self._boards.at(run_id)

    def find(self, name: str) -> Outcome | None:
        """Return the outcome of this name, None while there is none."""
        try:
            data = self._store.read(name)
        except FileNotFoundError:
            return None
        with np.load(BytesIO(data), allow_pickle=False) as fields:
            return Outcome(
                fields["probability"],
                float(fields["seconds"]),
                str(fields["failure"]),
                int(fields["reached"]) if "reached" in fields else 0,
            )

    def keep(self, name: str, outcome: Outcome) -> None:
        """Write an outcome down, over an earlier one of the name."""
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
        """Remove everything: the race is over and its leaderboard is recorded."""
        for entry in self._store.walk():
            self._store.delete(entry.name)

    def clear_others(self) -> None:
        """Remove what runs that never ended have left behind."""
        for entry in self._boards.walk():
            if not entry.name.startswith(f"{self._run_id}/"):
                self._boards.delete(entry.name)
