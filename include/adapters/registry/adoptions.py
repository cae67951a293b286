"""Adoption of models from elsewhere: a run for each, and the keys of the rows it was fitted on."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mlflow
import polars as pl
from mlflow.exceptions import MlflowException

from include.adapters.registry.connection import Connection
from include.adapters.registry.experiment import SpecExperiment
from include.adapters.registry.registered_model import RegisteredModel
from include.adapters.registry.tags import ADOPTED, ADOPTION, KIND
from include.errors import ModelRefusedError
from include.records.fitted_keys import FittedKeys
from include.records.models import FITTED_KEYS, ModelVersion
from include.records.row_columns import TableFormat
from serving.bundle.registered import SPEC_TAG

_KEYS = "fitted_keys.parquet"
# Release 0.1.0 states none: its keys are of the first.
_FORMAT = "ratchet.format"


@dataclass(frozen=True)
class Adoptions:
    """The runs of adoptions."""

    connection: Connection
    model: RegisteredModel
    experiment: SpecExperiment

    def open(self, digest: str, tags: Mapping[str, str]) -> str:
        """Return the id of the MLflow run of an adoption, created when there is none yet.

        `digest` is the SHA-256 of the adopted files.
        """
        found = self.experiment.run_with({ADOPTED: digest})
        if found is not None:
            return str(found.info.run_id)
        name = f"adoption of {digest[:12]}"
        said = {**tags, KIND: ADOPTION, SPEC_TAG: self.connection.spec, ADOPTED: digest}
        return self.experiment.new_run(name, said)

    def keep_fitted_keys(self, run_id: str, keys: FittedKeys) -> str:
        """Store the row keys that an adopted model was fitted on; return their digest."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / _KEYS
            keys.rows.write_parquet(path, metadata={_FORMAT: str(int(keys.form))})
            self.connection.client.log_artifact(run_id, str(path))
            return _digest(path)

    def fitted_keys(self, version: ModelVersion) -> FittedKeys:
        """Return the stored row keys of an adopted version.

        Raises ModelRefusedError when they were changed or are missing.
        """
        found = self.model.version(version.version)
        recorded = "" if found is None else found.tags.get(FITTED_KEYS, "")
        uri = f"runs:/{version.run_id}/{_KEYS}"
        with tempfile.TemporaryDirectory() as folder:
            try:
                kept = {one.path for one in self.connection.client.list_artifacts(version.run_id)}
                if _KEYS not in kept:
                    raise FileNotFoundError(uri)
                path = Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder))
            except (MlflowException, OSError) as error:
                raise ModelRefusedError(f"{uri} cannot be read, so it proves nothing") from error
            if _digest(path) != recorded:
                raise ModelRefusedError(
                    f"{uri} was changed after {version.name} version {version.version} was "
                    "adopted, so it proves nothing: adopt the model again"
                )
            stated = pl.read_parquet_metadata(path).get(_FORMAT, str(int(TableFormat.FIRST)))
            return FittedKeys(pl.read_parquet(path), TableFormat(int(stated)))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
