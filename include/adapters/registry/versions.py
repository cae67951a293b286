"""The registered model: its versions and their bundles."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import polars as pl
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from include.adapters.registry.connection import (
    DATA,
    DIGEST,
    FITTED_KEYS,
    MOVES,
    NOTE,
    ORIGIN,
    SPEC,
    TABLE,
    Connection,
)
from include.errors import ModelRefusedError
from include.records import ModelVersion, Origin
from include.showable import showable_values
from serving.bundle import Bundle, BundleRefusedError, Manifest, answered, encode, load, save

_MOVES_NOTE = (
    "Every move of the champion: a parameter each, numbered. `./ratchet promotions SPEC` lists "
    "them. Do not delete this run: rolling back and the next promotion read it."
)


_ADOPTED, _KEYS = "ratchet.adopted", "fitted_keys.parquet"


class Versions(Connection):
    """What is registered."""

    def register(
        self,
        run_id: str,
        model: Any,
        manifest: Manifest,
        requirements: Sequence[str],
        metadata: Mapping[str, str],
    ) -> ModelVersion:
        """Store a fitted model with its bundle and make it a version of the registered model."""
        found = self.registered(run_id)
        if found is not None:
            return found
        with tempfile.TemporaryDirectory() as folder:
            digest = save(Path(folder), model, answered(manifest, model))
            model_id = self._log_model(run_id, model, manifest, requirements)
            self._client.log_model_artifacts(model_id, folder)
        self._ensure_registered_model()
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
        """Return the version that a run registered, None while it has not."""
        found = self._client.search_model_versions(f"name='{self.model}' and run_id='{run_id}'")
        return self._record(min(found, key=lambda one: int(one.version))) if found else None

    def is_followed(self) -> bool:
        """Say whether servers look at the registered model: they know it by its tag."""
        model = self._registered()
        return model is not None and SPEC in model.tags

    def data_versions(self) -> set[int]:
        """Return the versions of the lake's table that model versions were fitted on.

        What they name must stay readable: a vacuum has to leave them alone.
        """
        found = self._search_versions(f"name='{self.model}'")
        return {int(version.tags[DATA]) for version in found if DATA in version.tags}

    def open_adoption(self, digest: str, tags: Mapping[str, str]) -> str:
        """Return the MLflow run of the adoption of a file, made when there is none yet."""
        condition = f"tags.`{_ADOPTED}` = '{digest}'"
        found = self._client.search_runs([self._experiment()], condition, max_results=1)
        if found:
            return str(found[0].info.run_id)
        name = f"adoption of {digest[:12]}"
        return self._created(name, {**tags, SPEC: self._spec, _ADOPTED: digest})

    def keep_fitted_keys(self, run_id: str, keys: pl.DataFrame) -> str:
        """Keep the keys of the rows that an adopted model was fitted on; return their digest."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / _KEYS
            keys.write_parquet(path)
            self._client.log_artifact(run_id, str(path))
            return _digest(path)

    def fitted_keys(self, version: ModelVersion) -> pl.DataFrame:
        """Return the kept keys of an adopted version; ModelRefusedError when altered or gone."""
        recorded = self._client.get_model_version(self.model, version.version).tags[FITTED_KEYS]
        uri = f"runs:/{version.run_id}/{_KEYS}"
        with tempfile.TemporaryDirectory() as folder:
            try:
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
        """Return a model version by its number, None when it was deleted."""
        found = self._client.search_model_versions(
            f"name='{self.model}' and version_number={number}"
        )
        return self._record(found[0]) if found else None

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
        # Searched for: of a model that is not there yet a server with accounts says "denied".
        registered = self._registered()
        version = registered.aliases.get(alias) if registered is not None else None
        return None if version is None else self.version(str(version))

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
        """Make the registered model, and with it in one write the run that records its moves."""
        if self._registered() is not None:
            return
        moves = self._new_log_run()
        try:
            self._client.create_registered_model(self.model, tags={SPEC: self._spec, MOVES: moves})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            self._client.delete_run(moves)

    def _new_log_run(self) -> str:
        run_id = self._created("promotions", {MOVES: self._spec, NOTE: _MOVES_NOTE})
        self._client.set_terminated(run_id)
        return run_id

    def _registered(self) -> Any:
        """Return the registered model, None before the first version."""
        found = self._client.search_registered_models(f"name='{self.model}'")
        return found[0] if found else None

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
            self.model,
            str(version.version),
            tags[DIGEST],
            int(tags[DATA]),
            version.run_id,
            table=tags.get(TABLE, ""),
            origin=Origin(tags.get(ORIGIN, Origin.FITTED)),
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
