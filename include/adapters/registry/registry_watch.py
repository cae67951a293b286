"""Reads the state of the registry for monitoring, with an account that may only read.

`Registry`, which steps use, corrects aliases and creates missing experiments. Monitoring must not,
so these methods write nothing, whatever state they find.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from mlflow.entities import Run

from include.adapters.registry.connection import Connection
from include.adapters.registry.experiment import SpecExperiment
from include.adapters.registry.log_run import moves_in
from include.adapters.registry.registered_model import RegisteredModel
from include.adapters.registry.tags import ARRIVALS, MOVES, RUN, VERDICT
from include.records.ledger_state import (
    RUN_METRICS,
    Arrival,
    RegistryReading,
    TrainingRun,
    contender_metric,
)
from include.records.moves import Move
from serving.bundle.registered import Role

_NEWEST_FIRST = ["attributes.start_time DESC"]
_WHOLE_SECONDS = 3600.0
_PAGE, _LARGE_PAGE = 10, 200


class RegistryWatch:
    """Reads the experiments and registered model of one spec repeatedly.

    Runs are cached: a reading requests the newest ones, and older ones as long as it finds changes.
    Each hour all are read again, because `./ratchet judge` may decide about an old run, and people
    delete runs.
    """

    def __init__(self, connection: Connection, metric: str) -> None:
        """`metric` is what the gate of the spec decides by. Nothing is requested yet."""
        self._metric = metric
        self._client = connection.client
        self._spec = connection.spec
        self._model = RegisteredModel(connection)
        self._experiment = SpecExperiment(connection, self._model)
        self._ledger = SpecExperiment(connection, self._model, self._experiment)
        self._runs: dict[str, TrainingRun] = {}
        self._read_whole = float("-inf")

    def look(self) -> RegistryReading:
        """Return the state of both; an empty reading while nothing was ever trained."""
        experiment = self._experiment.known()
        model = self._model.record()
        champion = None if model is None else model.aliases.get(Role.CHAMPION)
        moves = () if model is None else self._moves(model.tags.get(MOVES))
        if experiment is None:
            return RegistryReading(champion, moves, (), None, self._metric)
        # Before the first move there is no ledger, and looking for it would take four questions.
        ledger = None if model is None or MOVES not in model.tags else self._ledger.known()
        place = str(experiment.experiment_id)
        return RegistryReading(
            None if champion is None else str(champion),
            moves,
            self._training_runs(place),
            self._arrival([place] if ledger is None else [str(ledger.experiment_id), place]),
            self._metric,
        )

    def _moves(self, run_id: str | None) -> tuple[Move, ...]:
        run = self._client.run_or_none(run_id) if run_id else None
        return () if run is None else moves_in(run.data.params)

    def _training_runs(self, experiment: str) -> tuple[TrainingRun, ...]:
        whole = time.monotonic() - self._read_whole > _WHOLE_SECONDS
        known = {} if whole else dict(self._runs)
        for page in self._pages(experiment, _LARGE_PAGE if whole else _PAGE):
            met = {run.info.run_id: self._training_run(run) for run in page}
            if not whole and met.items() <= known.items():
                break
            known |= met
        if whole:
            self._read_whole = time.monotonic()
        self._runs = known
        return tuple(sorted(known.values(), key=lambda run: run.started, reverse=True))

    def _pages(self, experiment: str, size: int) -> Iterator[list[Run]]:
        token = None
        while True:
            page = self._client.search_runs(
                [experiment], f"tags.`{RUN}` != ''", 1, size, _NEWEST_FIRST, token
            )
            yield list(page)
            token = page.token
            if not token:
                return

    def _arrival(self, experiments: list[str]) -> Arrival | None:
        found = self._client.search_runs(
            experiments, f"tags.`{ARRIVALS}` = '{self._spec}'", 1, 1, _NEWEST_FIRST
        )
        points = _points(found[0]) if found else {}
        point, rows = points.get(self._metric), points.get("rows")
        if point is None or rows is None:
            return None
        return Arrival(point.value, int(rows.value), _seconds(point))

    def _training_run(self, run: Run) -> TrainingRun:
        ended = run.info.end_time
        return TrainingRun(
            run.info.start_time / 1000,
            None if ended is None else ended / 1000,
            run.data.tags.get(VERDICT, ""),
            {name: float(one) for name, one in run.data.metrics.items() if self._is_kept(name)},
        )

    def _is_kept(self, name: str) -> bool:
        of_contenders = [contender_metric(one, self._metric) for one in ("challenger", "champion")]
        return any(
            name == one or (one[-1] == "_" and name.startswith(one))
            for one in (*of_contenders, *RUN_METRICS)
        )


def _points(run: Run) -> Mapping[str, Any]:
    """Return the newest point of each metric by name; unlike in `data.metrics` it has a time."""
    return {point.key: point for point in run.data.to_proto().metrics}


def _seconds(point: Any) -> float:
    return float(point.timestamp) / 1000
