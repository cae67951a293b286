"""The runs of a spec in MLflow: one for each training, and a nested run for each candidate."""

import json
import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from matplotlib.figure import Figure
from mlflow.entities import Dataset, DatasetInput, Param, RunTag
from mlflow.entities import Metric as MetricPoint
from mlflow.exceptions import MlflowException

from include.adapters.registry.connection import Connection
from include.adapters.registry.experiment import SpecExperiment
from include.adapters.registry.mlflow_requests import asking_for
from include.adapters.registry.tags import (
    CANDIDATE,
    CANDIDATES,
    DATA,
    KIND,
    NOTE,
    PARENT,
    RUN,
    TRAINING,
)
from include.errors import GoneError
from include.metrics import Metric
from include.records.arrays import Probabilities
from include.records.data import Batch
from include.records.judging import Scorecard, Scores
from include.records.ledger_state import contender_metric
from include.records.packing import unpack
from include.records.proofs import LeakProof
from include.records.training import Trial
from include.text.showable import showable, showable_values
from serving.bundle.registered import SPEC_TAG

log = logging.getLogger("ratchet")
_BATCHES = "batches.json"
_SECONDS_FOR_A_DESCRIPTION = 20
_PICTURES = "pictures"


class Runs:
    """Records the runs of steps in MLflow, and reads them."""

    def __init__(self, connection: Connection, experiment: SpecExperiment) -> None:
        """`experiment` holds the runs."""
        self._client = connection.client
        self._spec = connection.spec
        self._experiment = experiment

    def open(self, dag_run: str, data_version: int, tags: Mapping[str, str]) -> str:
        """Return the id of the MLflow run of a Dag run, created when there is none yet."""
        found = self._experiment.run_with({RUN: dag_run})
        if found is not None:
            return str(found.info.run_id)
        return self._experiment.new_run(
            f"{self._spec} data {data_version}",
            {**tags, KIND: TRAINING, RUN: dag_run, SPEC_TAG: self._spec, DATA: str(data_version)},
        )

    def require(self, run_id: str) -> None:
        """Restore a run if it was deleted; GoneError when it does not exist any more."""
        self._client.active_run(run_id)

    def log_dataset(self, run_id: str, url: str, data_version: int) -> None:
        """Record the table and its version that a run trains on."""
        table = Dataset(self._spec, str(data_version), "delta", json.dumps({"url": url}))
        self._client.log_inputs(run_id, [DatasetInput(table, [])])

    def log_trial(
        self, parent: str, trial: Trial, metric: Metric, probability: Probabilities | None = None
    ) -> str:
        """Record a candidate as a nested run and return the run's id.

        Its values stand under the name of the metric. `probability` are a finalist's out-of-fold
        probabilities, shape (train rows,). A candidate that could not be fitted becomes a failed
        run.
        """
        run_id = self._nested(parent, trial.candidate.title)
        name = metric.name
        metrics = {name: trial.value, "threshold": trial.threshold, "seconds": trial.seconds}
        if trial.best_value is not None:
            metrics[f"best_{name}"] = trial.best_value
        folds = {f"fold_{i}_{name}": value for i, value in enumerate(trial.fold_values)}
        self.log(
            run_id,
            params=trial.candidate.params,
            metrics={} if trial.failure else metrics | folds | {"rows": trial.rows},
            tags={NOTE: trial.failure or trial.left},
        )
        if probability is not None:
            self._log_array(run_id, "out_of_fold.npy", probability)
        is_failed = trial.failure and trial.ended_early is None
        self._client.set_terminated(run_id, "FAILED" if is_failed else "FINISHED")
        return run_id

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Record parameters, metrics and tags of a run in one request; nothing without any."""
        if not params and not metrics and not tags:
            return
        run = self._client.run_or_none(run_id) or self._client.active_run(run_id)
        known = run.data.metrics
        now = time.time_ns() // 1_000_000
        self._client.log_batch(
            run_id,
            # Of points at one time MLflow shows the largest: a new value needs a new time, and an
            # old value no new point.
            metrics=[
                MetricPoint(key, float(value), now, 0)
                for key, value in (metrics or {}).items()
                if known.get(key) != float(value)
            ],
            params=[Param(key, showable(str(value))) for key, value in (params or {}).items()],
            tags=[RunTag(key, showable(value)) for key, value in (tags or {}).items()],
        )

    def log_table(self, run_id: str, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record rows as a JSON artifact that MLflow's UI shows as a table."""
        self._client.log_text(run_id, json.dumps(showable_values(list(rows)), indent=1), name)

    def log_scorecard(self, run_id: str, contender: str, card: Scorecard) -> None:
        """Record a scorecard as metrics whose names begin with the contender's name."""
        figures = {"data_version": card.data_version, **card.numbers()}
        metrics = {contender_metric(contender, name): one for name, one in figures.items()}
        self.log(run_id, metrics=metrics)

    def log_grounds(self, run_id: str, scores: Scores) -> None:
        """Record leak proofs, the number of looks at the holdout, and what bars a promotion."""
        proofs = [asdict(proof) | {"holds": proof.holds} for proof in scores.proofs]
        self.log_table(run_id, "proofs.json", proofs)
        metrics = {f"{who}_shared_rows": float(one.shared_rows) for who, one in _named(scores)}
        tags = {f"ratchet.{who}_proof": _sentence(one) for who, one in _named(scores)}
        tags |= {"ratchet.barred": scores.barred} if scores.barred else {}
        self.log(run_id, metrics=metrics | {"looks": scores.looks}, tags=tags)

    def log_figures(self, run_id: str, figures: Mapping[str, Figure]) -> None:
        """Record figures as PNG artifacts, by name."""
        with tempfile.TemporaryDirectory() as folder:
            for name, figure in figures.items():
                figure.savefig(Path(folder) / f"{name}.png", dpi=90)
            self._client.log_artifacts(run_id, folder, _PICTURES)

    def figures(self, run_id: str) -> dict[str, bytes]:
        """Return the PNG files that `log_figures` recorded, by name; missing ones are left out."""
        if not any(one.path == _PICTURES for one in self._client.list_artifacts(run_id)):
            log.warning("the pictures of run %s are no longer in MLflow: it goes without", run_id)
            return {}
        with tempfile.TemporaryDirectory() as folder:
            uri = f"runs:/{run_id}/{_PICTURES}"
            kept = mlflow.artifacts.download_artifacts(uri, dst_path=folder)
            return {path.stem: path.read_bytes() for path in sorted(Path(kept).glob("*.png"))}

    def log_page(self, run_id: str, page: str) -> None:
        """Record the decision page as an HTML artifact."""
        self._client.log_text(run_id, page, "decision.html")

    def describe(self, run_id: str, text: str) -> None:
        """Write the description of a run; a failure is only logged."""
        try:
            with asking_for(_SECONDS_FOR_A_DESCRIPTION):
                self._client.set_tag(run_id, NOTE, showable(text))
        except (GoneError, MlflowException) as error:
            log.warning("The description of MLflow run %s was not written: %s", run_id, error)

    def log_batches(self, run_id: str, batches: Sequence[Batch]) -> None:
        """Record the batches that came for a run."""
        self.log_table(run_id, _BATCHES, [asdict(batch) for batch in batches])

    def batches(self, run_id: str) -> tuple[Batch, ...]:
        """Return the batches that were recorded for a run; empty without any."""
        if _BATCHES not in {file.path for file in self._client.list_artifacts(run_id)}:
            return ()
        listed = mlflow.artifacts.load_dict(f"runs:/{run_id}/{_BATCHES}")
        batches: tuple[Batch, ...] = unpack(tuple[Batch, ...], listed)
        return batches

    def metric(self, run_id: str, name: str) -> float | None:
        """Return a metric of a run; None when the run or the metric does not exist."""
        run = self._client.run_or_none(run_id)
        found = None if run is None else run.data.metrics.get(name)
        return None if found is None else float(found)

    def _log_array(self, run_id: str, name: str, array: Probabilities) -> None:
        with tempfile.TemporaryDirectory() as folder:
            np.save(Path(folder) / name, array)
            self._client.log_artifact(run_id, str(Path(folder) / name))

    def _nested(self, parent: str, title: str) -> str:
        tags = {PARENT: parent, CANDIDATE: title}
        found = self._experiment.run_with(tags)
        made = {**tags, KIND: CANDIDATES}
        return self._experiment.new_run(title, made) if found is None else str(found.info.run_id)


def _named(scores: Scores) -> list[tuple[str, LeakProof]]:
    return list(zip(("challenger", "champion"), scores.proofs, strict=False))


def _sentence(proof: LeakProof) -> str:
    if proof.problem:
        return f"no proof: {proof.problem}"
    verb = "has" if proof.holds else "does not have"
    return (
        f"version {proof.model_version} {verb} a proof: {proof.shared_rows} holdout rows are among "
        f"the {proof.fitted_rows} rows it was fitted on"
    )
