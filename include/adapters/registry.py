"""The MLflow server: the ledger of runs and models.

Every write can be repeated: a run is found again by the run of the Dag that opened it, a nested
run by its candidate, a model version by its MLflow run. So a retried step finds what it did and
records nothing twice.
"""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from matplotlib.figure import Figure
from mlflow.entities import Dataset, DatasetInput, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from include.arrays import Probabilities
from include.bundle import Bundle, BundleRefusedError, Manifest, encode, load, save
from include.errors import ChampionMovedError, ModelRefusedError
from include.records import Decision, ModelVersion, Scorecard, Trial

CHAMPION, PREVIOUS = "champion", "previous_champion"
_RUN, _CANDIDATE, _VERDICT = "ratchet.dag_run", "ratchet.candidate", "ratchet.verdict"
_SPEC, _DATA, _DIGEST = "ratchet.spec", "ratchet.data_version", "ratchet.digest"
_PARENT, _NOTE = "mlflow.parentRunId", "mlflow.note.content"


class Registry:
    """One spec's experiment and registered model."""

    def __init__(self, url: str, spec: str, model: str) -> None:
        """`url` is the MLflow server, `spec` names the experiment, `model` the registered model."""
        mlflow.set_tracking_uri(url)
        self._client = mlflow.MlflowClient(url)
        self._url = url
        self._spec = spec
        self.model = model

    def open_run(self, dag_run: str, data_version: int, tags: Mapping[str, str]) -> str:
        """Return the MLflow run of a run of the Dag, made when there is none yet."""
        found = self._find({_RUN: dag_run})
        if found is not None:
            return str(found.info.run_id)
        run = self._client.create_run(
            self._experiment(),
            run_name=f"{self._spec} data {data_version}",
            tags={**tags, _RUN: dag_run, _SPEC: self._spec, _DATA: str(data_version)},
        )
        return str(run.info.run_id)

    def page(self, run_id: str) -> str:
        """Return the address of a run's page."""
        return f"{self._url}/#/experiments/{self._experiment()}/runs/{run_id}"

    def log_dataset(self, run_id: str, url: str, data_version: int) -> None:
        """Record which version of which table a run trains on."""
        table = Dataset(self._spec, str(data_version), "delta", json.dumps({"url": url}))
        self._client.log_inputs(run_id, [DatasetInput(table, [])])

    def log_failed_trial(self, parent: str, trial: Trial) -> str:
        """Record a candidate that could not be fitted as a failed nested run; return the run."""
        run_id = self._nested(parent, trial.candidate.title)
        self.log(run_id, params=trial.candidate.params, tags={_NOTE: trial.failure})
        self._client.set_terminated(run_id, "FAILED")
        return run_id

    def log_trial(self, parent: str, trial: Trial, probability: Probabilities) -> str:
        """Record a candidate as a nested run with its out-of-fold probabilities; return the run."""
        run_id = self._nested(parent, trial.candidate.title)
        metrics = {"f1": trial.f1, "threshold": trial.threshold, "seconds": trial.seconds}
        folds = {f"fold_{i}_f1": f1 for i, f1 in enumerate(trial.fold_f1)}
        self.log(
            run_id, params=trial.candidate.params, metrics=metrics | folds | {"rows": trial.rows}
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "out_of_fold.npy"
            np.save(path, probability)
            self._client.log_artifact(run_id, str(path))
        self._client.set_terminated(run_id)
        return run_id

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Record parameters, metrics and tags of a run in one request."""
        known = self._client.get_run(run_id).data.metrics
        now = time.time_ns() // 1_000_000
        self._client.log_batch(
            run_id,
            # Of points at one time MLflow shows the largest: a new value needs a new time, and an
            # old value no new point.
            metrics=[
                Metric(key, float(value), now, 0)
                for key, value in (metrics or {}).items()
                if known.get(key) != float(value)
            ],
            params=[Param(key, str(value)) for key, value in (params or {}).items()],
            tags=[RunTag(key, value) for key, value in (tags or {}).items()],
        )

    def log_table(self, run_id: str, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Record rows as a JSON artifact that the MLflow page shows."""
        self._client.log_text(run_id, json.dumps(list(rows), indent=1), name)

    def log_scorecard(self, run_id: str, contender: str, card: Scorecard) -> None:
        """Record a scorecard's figures as metrics under the contender's name."""
        figures = {k: v for k, v in asdict(card).items() if isinstance(v, int | float)}
        self.log(run_id, metrics={f"{contender}_{name}": value for name, value in figures.items()})

    def log_figures(self, run_id: str, figures: Mapping[str, Figure]) -> None:
        """Record pictures as PNG artifacts."""
        with tempfile.TemporaryDirectory() as folder:
            for name, figure in figures.items():
                figure.savefig(Path(folder) / f"{name}.png", dpi=90)
            self._client.log_artifacts(run_id, folder, "pictures")

    def log_decision(self, run_id: str, version: ModelVersion, decision: Decision) -> None:
        """Record a decision on its run and its model version, and close the run."""
        self._client.log_text(run_id, json.dumps(asdict(decision), indent=1), "decision.json")
        verdict = str(decision.verdict)
        self._client.set_model_version_tag(self.model, version.version, _VERDICT, verdict)
        self.log(run_id, tags={_VERDICT: verdict, _NOTE: decision.reason})
        self._client.set_terminated(run_id)

    def decided_data_version(self, but_for: str) -> int | None:
        """Return the data version of the newest run that reached a decision, None without one.

        `but_for` is a run of the Dag that does not count: the one that asks.
        """
        newest = self._search(f"tags.`{_VERDICT}` != '' and tags.`{_RUN}` != '{but_for}'")
        return int(newest[0].data.tags[_DATA]) if newest else None

    def register(
        self,
        run_id: str,
        model: Any,
        manifest: Manifest,
        requirements: Sequence[str],
        metadata: Mapping[str, str],
    ) -> ModelVersion:
        """Store a fitted model with its bundle and make it a version of the registered model."""
        found = self._version_of(run_id)
        if found is not None:
            return found
        with tempfile.TemporaryDirectory() as folder:
            digest = save(Path(folder), model, manifest)
            model_id = self._log_model(run_id, model, manifest, requirements)
            self._client.log_model_artifacts(model_id, folder)
        self._ensure_registered_model()
        made = self._client.create_model_version(
            self.model,
            source=f"models:/{model_id}",
            run_id=run_id,
            model_id=model_id,
            tags={_DIGEST: digest, _DATA: str(manifest.data_version), **metadata},
        )
        return self._record(made)

    def data_versions(self) -> set[int]:
        """Return the versions of the lake's table that model versions were fitted on.

        What they name must stay readable: a vacuum has to leave them alone.
        """
        found = self._search_versions(f"name='{self.model}'")
        return {int(version.tags[_DATA]) for version in found if _DATA in version.tags}

    def champion(self) -> ModelVersion | None:
        """Return the model version that the champion alias names, None while there is none."""
        return self._by_alias(CHAMPION)

    def opponent(self, challenger: ModelVersion) -> ModelVersion | None:
        """Return the champion that a challenger has to beat, None when there is none.

        For a challenger that is the champion already, the one that it took over from.
        """
        champion = self.champion()
        return self._by_alias(PREVIOUS) if champion == challenger else champion

    def promote(self, version: ModelVersion, judged_against: str | None) -> None:
        """Move the champion alias to a version, the old champion keeping an alias of its own.

        Raises ChampionMovedError when the champion is not the version that was judged against.
        """
        champion = self.champion()
        if champion == version:
            return
        now = champion.version if champion else None
        if now != judged_against:
            raise ChampionMovedError(
                f"{self.model} version {version.version} was judged against champion "
                f"{judged_against}, but the champion is now {now}: clear the score task to judge "
                "again"
            )
        if now is not None:
            self._client.set_registered_model_alias(self.model, PREVIOUS, now)
        self._client.set_registered_model_alias(self.model, CHAMPION, version.version)

    def bundle(self, version: ModelVersion) -> Bundle:
        """Download, verify and open a model version; ModelRefusedError when it was altered."""
        uri = self._client.get_model_version_download_uri(self.model, version.version)
        with tempfile.TemporaryDirectory() as folder:
            for name in ("bundle.json", "model.joblib"):
                mlflow.artifacts.download_artifacts(f"{uri}/{name}", dst_path=folder)
            try:
                return load(Path(folder), version.digest)
            except BundleRefusedError as error:
                sentence = f"{self.model} version {version.version} is refused: {error}"
                raise ModelRefusedError(sentence) from error

    def _by_alias(self, alias: str) -> ModelVersion | None:
        try:
            return self._record(self._client.get_model_version_by_alias(self.model, alias))
        except MlflowException as error:
            if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                return None
            raise

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self._spec)
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(self._spec))

    def _find(self, tags: Mapping[str, str]) -> Run | None:
        found = self._search(" and ".join(f"tags.`{key}` = '{tags[key]}'" for key in tags))
        return found[0] if found else None

    def _search(self, condition: str) -> list[Run]:
        newest = ["attributes.start_time DESC"]
        return list(self._client.search_runs([self._experiment()], condition, 1, 1, newest))

    def _nested(self, parent: str, title: str) -> str:
        tags = {_PARENT: parent, _CANDIDATE: title}
        found = self._find(tags)
        if found is None:
            found = self._client.create_run(self._experiment(), run_name=title, tags=tags)
        return str(found.info.run_id)

    def _log_model(
        self, run_id: str, model: Any, manifest: Manifest, requirements: Sequence[str]
    ) -> str:
        import pandas as pd
        from mlflow import sklearn as flavor

        # MLflow sees the model as it is, behind its layout: of a category its place, and NaN.
        names = list(manifest.features)
        columns = [ColSpec(DataType.double, name) for name in names]
        example = encode(manifest.layout, manifest.example).astype(np.float64)
        with mlflow.start_run(run_id=run_id):
            info = flavor.log_model(
                model,
                name="model",
                serialization_format="pickle",
                signature=ModelSignature(
                    Schema(columns), Schema([ColSpec(DataType.long, "label")])
                ),
                input_example=pd.DataFrame(example, columns=names),
                pip_requirements=list(requirements),
            )
        return str(info.model_id)

    def _ensure_registered_model(self) -> None:
        try:
            self._client.create_registered_model(self.model, tags={_SPEC: self._spec})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _version_of(self, run_id: str) -> ModelVersion | None:
        found = self._client.search_model_versions(f"name='{self.model}' and run_id='{run_id}'")
        return self._record(found[0]) if found else None

    def _search_versions(self, condition: str) -> Iterator[Any]:
        """Yield every model version that meets a condition, page by page."""
        token = None
        while True:
            page = self._client.search_model_versions(condition, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _record(self, version: Any) -> ModelVersion:
        tags = version.tags
        return ModelVersion(
            self.model, str(version.version), tags[_DIGEST], int(tags[_DATA]), version.run_id
        )
