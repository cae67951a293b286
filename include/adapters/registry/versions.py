"""Registers model versions with their bundles, and opens them."""

import hashlib
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import polars as pl
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from include.adapters.registry.artifacts import files_at
from include.adapters.registry.connection import (
    ADOPTION,
    DATA,
    DIGEST,
    FAMILY,
    FITTED_KEYS,
    KIND,
    ORIGIN,
    SPEC,
    TABLE,
)
from include.adapters.registry.registered_models import RegisteredModel
from include.errors import GoneError, ModelRefusedError
from include.records.models import ModelVersion, Origin
from include.text.showable import showable_values
from serving.bundle import (
    Bundle,
    BundleRefusedError,
    Manifest,
    encode,
    load,
    save,
    with_own_answers,
)

log = logging.getLogger("ratchet")
_ADOPTED, _KEYS = "ratchet.adopted", "fitted_keys.parquet"
_FILES = ("bundle.json", "model.joblib")


class Versions(RegisteredModel):
    """The model versions of a spec's registered model."""

    def register(
        self,
        run_id: str,
        model: Any,
        manifest: Manifest,
        requirements: Sequence[str],
        metadata: Mapping[str, str],
    ) -> ModelVersion:
        """Store a fitted model as a bundle in a run, and register it as a model version.

        `requirements` are pinned packages, such as `numpy==2.0.0`; `metadata` are the version's
        tags.
        """
        found = self.registered(run_id)
        if found is not None:
            return found
        self._client.active_run(run_id)
        self._ensure_registered_model()
        with tempfile.TemporaryDirectory() as folder:
            digest = save(Path(folder), model, with_own_answers(manifest, model))
            model_id = self._log_model(run_id, model, manifest, requirements)
            self._client.log_model_artifacts(model_id, folder)
        made = self._client.create_model_version(
            self.model,
            source=f"models:/{model_id}",
            run_id=run_id,
            model_id=model_id,
            tags=showable_values({DIGEST: digest, DATA: str(manifest.data_version), **metadata}),
        )
        # A server that dies between the write and its answer is asked again by MLflow's client.
        return self.registered(run_id) or self._record(made)

    def registered(self, run_id: str) -> ModelVersion | None:
        """Return the version that a run has registered; None when it has not."""
        found = self._client.search_model_versions(f"name='{self.model}' and run_id='{run_id}'")
        ours = [one for one in found if DIGEST in one.tags]  # and not what a person made of the run
        return self._record(min(ours, key=lambda item: int(item.version))) if ours else None

    def data_versions(self) -> set[int]:
        """Return the table versions that model versions were fitted on.

        Their data files must not be deleted.
        """
        versions = self._search_versions(f"name='{self.model}'")
        return {int(text) for one in versions if (text := one.tags.get(DATA, "")).isdecimal()}

    def open_adoption(self, digest: str, tags: Mapping[str, str]) -> str:
        """Return the id of the MLflow run of an adoption, created when there is none yet.

        `digest` is the SHA-256 of the adopted files.
        """
        found = self._find({_ADOPTED: digest})
        if found is not None:
            return str(found.info.run_id)
        name = f"adoption of {digest[:12]}"
        said = {**tags, KIND: ADOPTION, SPEC: self._spec, _ADOPTED: digest}
        return self._created(name, said)

    def keep_fitted_keys(self, run_id: str, keys: pl.DataFrame) -> str:
        """Store the row keys that an adopted model was fitted on; return their digest."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / _KEYS
            keys.write_parquet(path)
            self._client.log_artifact(run_id, str(path))
            return _digest(path)

    def fitted_keys(self, version: ModelVersion) -> pl.DataFrame:
        """Return the stored row keys of an adopted version, `key_high` and `key_low`.

        Raises ModelRefusedError when they were changed or are missing.
        """
        found = self._version(version.version)
        recorded = "" if found is None else found.tags.get(FITTED_KEYS, "")
        uri = f"runs:/{version.run_id}/{_KEYS}"
        with tempfile.TemporaryDirectory() as folder:
            try:
                kept = {one.path for one in self._client.list_artifacts(version.run_id)}
                if _KEYS not in kept:
                    raise FileNotFoundError(uri)
                path = Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder))
            except (MlflowException, OSError) as error:
                raise ModelRefusedError(f"{uri} cannot be read, so it proves nothing") from error
            if _digest(path) != recorded:
                raise ModelRefusedError(
                    f"{uri} was changed after {self.model} version {version.version} was adopted, "
                    "so it proves nothing: adopt the model again"
                )
            return pl.read_parquet(path)

    def version(self, number: str) -> ModelVersion | None:
        """Return a model version by its number; None when it was deleted.

        Raises ModelRefusedError when it has lost its tags.
        """
        found = self._version(number)
        return None if found is None else self._record(found)

    def require_there(self, version: ModelVersion) -> None:
        """Raise GoneError when a version was deleted, also when another has its number now."""
        found = self.made(version.version)
        if found is None or found.run_id != version.run_id:
            raise GoneError(
                f"{self.model} version {version.version} was deleted in MLflow, so nothing can be "
                "done with it: start a new run of the Dag (Trigger, with 'no_new_data' set to "
                "'retrain')"
            )

    def bundle(self, version: ModelVersion) -> Bundle:
        """Download, verify and open the bundle of a model version.

        Raises ModelRefusedError when a file was changed or is missing, GoneError when the version
        was deleted.
        """
        self.require_there(version)
        uri = self._client.get_model_version_download_uri(self.model, version.version)
        there = files_at(uri)
        if lost := [name for name in _FILES if name not in there]:
            raise self._refused(version, f"has no {' and no '.join(lost)} in MLflow any more")
        with tempfile.TemporaryDirectory() as folder:
            for name in _FILES:
                mlflow.artifacts.download_artifacts(f"{uri}/{name}", dst_path=folder)
            try:
                return load(Path(folder), version.digest)
            except BundleRefusedError as error:
                raise self._refused(version, f"is refused: {error}") from error

    def _refused(self, version: ModelVersion, why: str) -> ModelRefusedError:
        return ModelRefusedError(
            f"{self.model} version {version.version} {why}: put back what was registered, or "
            "delete the version in MLflow and start a new run; of a champion the one before it "
            "is champion then"
        )

    def _log_model(
        self, run_id: str, model: Any, manifest: Manifest, requirements: Sequence[str]
    ) -> str:
        import pandas as pd
        from mlflow import sklearn as flavor

        # MLflow sees the model as it is, behind its layout: of a category its place, and NaN.
        names = list(manifest.features)
        columns = [ColSpec(DataType.double, name) for name in names]
        example = encode(manifest.layout, manifest.example).astype(np.float64)
        with mlflow.start_run(run_id=run_id), _without_advice():
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

    def _record(self, version: Any) -> ModelVersion:
        tags = version.tags
        try:
            return ModelVersion(
                self.model,
                str(version.version),
                tags[DIGEST],
                int(tags[DATA]),
                version.run_id,
                table=tags.get(TABLE, ""),
                origin=Origin(tags.get(ORIGIN, Origin.FITTED)),
                family=tags.get(FAMILY, ""),
            )
        except (KeyError, ValueError) as error:
            sound = f"{DIGEST}, {DATA}" + f" and {ORIGIN}" * (ORIGIN in tags)
            raise ModelRefusedError(
                f"{self.model} version {version.version} has lost the tags that Ratchet gave it, "
                f"or their values were changed ({sound}): put them back, or delete the version in "
                "MLflow and start a new run; of a champion the one before it is champion then"
            ) from error


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence two warnings that MLflow gives for every model: about pickles, and not loading it.

    Bundles are opened by Ratchet's restricted unpickler, and MLflow is told not to load them.
    """
    loggers = [logging.getLogger(name) for name in ("mlflow.sklearn", "mlflow.models.model")]
    before = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for one, level in zip(loggers, before, strict=True):
            one.setLevel(level)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
