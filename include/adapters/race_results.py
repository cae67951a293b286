"""Stores the result of each fit of a race as soon as the fit has ended, and what judges it.

A task that is killed loses only the fit that was running; the next attempt finds the others here.
A result is complete or absent. Results are stored beside the lake, so that every worker sees them.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import BytesIO

import numpy as np

from include.records.arrays import FitOutcome, Labels
from include.store import open_store
from serving.bundle import Layout, read_layout

_LABELS = "labels.npz"


@dataclass(frozen=True)
class RaceLabels:
    """What the results of a race are compared with, a few bytes a row of the train side."""

    layout: Layout
    y: Labels
    """Shape (rows,), in the order of the folds."""
    bounds: tuple[int, ...]
    """The first row of each fold, and at the end the number of rows."""


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

    def keep_labels(self, labels: RaceLabels) -> None:
        """Store the labels of the race, for tasks that compare results and read no features."""
        buffer, layout = BytesIO(), json.dumps(asdict(labels.layout))
        np.savez_compressed(buffer, layout=layout, y=labels.y, bounds=labels.bounds)
        self._store.write(_LABELS, buffer.getvalue())

    def labels(self) -> RaceLabels | None:
        """Return the labels of the race; None when there are none."""
        try:
            data = self._store.read(_LABELS)
        except FileNotFoundError:
            return None
        with np.load(BytesIO(data), allow_pickle=False) as fields:
            layout = read_layout(json.loads(str(fields["layout"])))
            return RaceLabels(layout, fields["y"], tuple(fields["bounds"].tolist()))

    def clear(self) -> None:
        """Remove all results of this run, whose leaderboard is recorded by then."""
        for entry in self._store.walk():
            self._store.delete(entry.name)

    def clear_others(self) -> None:
        """Remove the results of other runs, which ended without removing them."""
        for entry in self._boards.walk():
            if not entry.name.startswith(f"{self._run_id}/"):
                self._boards.delete(entry.name)
