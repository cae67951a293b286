"""Decisions about challengers: recorded with their runs, and how often a holdout was looked at."""

import json
import logging

from mlflow.entities import RunTag
from mlflow.exceptions import MlflowException

from include.adapters.registry.connection import Connection
from include.adapters.registry.experiment import SpecExperiment
from include.adapters.registry.healing import ABSENT
from include.adapters.registry.log_run import LogRun
from include.adapters.registry.tags import DATA, NOTE, RUN, RUN_NAME, VERDICT
from include.metrics import objective
from include.records.judging import Decision
from include.records.models import ModelVersion
from include.records.packing import fields_of
from include.text.showable import showable, showable_values

log = logging.getLogger("ratchet")
_JUDGED = "judged_holdout_rows"


class Decisions:
    """Records decisions, and reads what earlier ones were about."""

    def __init__(self, connection: Connection, experiment: SpecExperiment, log_run: LogRun) -> None:
        """`log_run` also holds the number of rows that each version was judged on."""
        self._client = connection.client
        self._spec, self._model = connection.spec, connection.model
        self._experiment = experiment
        self._log_run = log_run

    def log(self, run_id: str, version: ModelVersion, decision: Decision) -> None:
        """Record a decision in its run and on its model version, and end the run."""
        fields = showable_values(fields_of(decision))
        self._client.log_text(run_id, json.dumps(fields, indent=1), "decision.json")
        verdict = str(decision.verdict)
        self._tag_verdict(version, verdict)
        card = decision.scores.challenger
        metric = objective(decision.scores.metric)
        value = metric.written(card.value(metric))
        title = f"{metric.name} {value} {verdict.lower()}, {self._spec} data {card.data_version}"
        said = {VERDICT: verdict, NOTE: decision.reason, RUN_NAME: title}
        tags = [RunTag(key, showable(value)) for key, value in said.items()]
        self._client.log_batch(run_id, tags=tags)
        rows, number = card.rows, int(version.version)
        log_run = self._log_run.id()
        if log_run and (number, rows) not in self._judged(log_run):
            self._client.log_metric(log_run, _JUDGED, rows, step=number)
        self._client.set_terminated(run_id)

    def looks(self, challenger: ModelVersion, rows: int) -> int:
        """Return how many other challengers were judged on a holdout of at least half `rows`.

        That estimates how often the present holdout has been used: after it has doubled, most of
        its rows are unknown to earlier decisions.
        """
        judged = {number for number, held in self._judged(self._log_run.id()) if 2 * held >= rows}
        return len(judged - {int(challenger.version)})

    def newest_data_version(self, but_for: str) -> int | None:
        """Return the data version of the newest run with a decision; None when there is none.

        The Dag run `but_for`, which is the calling one, does not count.
        """
        # A run of an adoption decides too, but has no data version: it trained on none.
        decided = f"tags.`{VERDICT}` != '' and tags.`{DATA}` != '' and tags.`{RUN}` != '{but_for}'"
        numbers = (run.data.tags[DATA] for run in self._experiment.runs(decided))
        return next((int(number) for number in numbers if number.isdecimal()), None)

    def _tag_verdict(self, version: ModelVersion, verdict: str) -> None:
        try:
            self._client.set_model_version_tag(self._model, version.version, VERDICT, verdict)
        except MlflowException as error:
            if error.error_code != ABSENT:
                raise
            log.warning(
                "%s version %s was deleted in MLflow: what was decided on it stands with its run",
                self._model,
                version.version,
            )

    def _judged(self, run_id: str) -> set[tuple[int, int]]:
        """Return the model versions that were judged, each with its number of holdout rows."""
        points = self._client.get_metric_history(run_id, _JUDGED) if run_id else ()
        return {(point.step, int(point.value)) for point in points}
