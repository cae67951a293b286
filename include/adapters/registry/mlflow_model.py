"""Logs a fitted model as its bundle and, of the same file, as MLflow's own loaders know it.

The folder that MLflow keeps has one model file, the bundle's: MLflow's description of the model
names that file instead of a copy, so what the registry pins is also what MLflow's loaders open.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from serving.bundle import Manifest, encode, save
from serving.bundle.registered import MANIFEST_FILE, MODEL_FILE

_COPY, _DESCRIPTION = "model.pkl", "MLmodel"


@dataclass(frozen=True)
class LoggedBundle:
    """A model that MLflow has stored."""

    model_id: str
    """Its id in MLflow."""
    digest: str
    """SHA-256 of `bundle.json`, which contains that of the model file."""
    others: Mapping[str, str]
    """SHA-256 of each other file of the folder, by its path there."""


class _BundleFlavor:
    """Saves what `Model.log` uploads: an object with the one function that it asks of a flavor."""

    def __init__(self, model: Any, manifest: Manifest, requirements: Sequence[str]) -> None:
        self._model = model
        self._manifest = manifest
        self._requirements = requirements
        self.digest = ""
        self.others: dict[str, str] = {}

    def save_model(self, path: str, mlflow_model: Model, **_: object) -> None:
        """Write MLflow's files and the bundle into a new folder, and note their digests."""
        import pandas as pd
        from mlflow import sklearn as flavor

        # MLflow sees the model as it is, behind its layout: of a category its place, and NaN.
        names = list(self._manifest.features)
        columns = [ColSpec(DataType.double, name) for name in names]
        example = encode(self._manifest.layout, self._manifest.example).astype(np.float64)
        flavor.save_model(
            self._model,
            path,
            mlflow_model=mlflow_model,
            serialization_format="pickle",
            signature=ModelSignature(Schema(columns), Schema([ColSpec(DataType.long, "label")])),
            input_example=pd.DataFrame(example, columns=names),
            pip_requirements=list(self._requirements),
        )
        folder = Path(path)
        (folder / _COPY).unlink()
        self.digest = save(folder, self._model, self._manifest)
        mlflow_model.flavors["sklearn"]["pickled_model"] = MODEL_FILE
        mlflow_model.flavors["python_function"]["model_path"] = MODEL_FILE
        mlflow_model.save(folder / _DESCRIPTION)
        self.others = _digests(folder)


def log_bundle(
    run_id: str, model: Any, manifest: Manifest, requirements: Sequence[str]
) -> LoggedBundle:
    """Log a model in a run: its bundle, and the signature and example that MLflow shows."""
    flavor = _BundleFlavor(model, manifest, requirements)
    with mlflow.start_run(run_id=run_id), _without_advice():
        info = Model.log(
            None,
            flavor,
            name="model",
            flavor_name="sklearn",
            # Bundles are opened by Ratchet's restricted unpickler, and not by MLflow to try one.
            validate_serving_input=False,
        )
    return LoggedBundle(str(info.model_id), flavor.digest, flavor.others)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence two warnings that MLflow gives for every model: about pickles, and not loading it."""
    loggers = [logging.getLogger(name) for name in ("mlflow.sklearn", "mlflow.models.model")]
    before = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for one, level in zip(loggers, before, strict=True):
            one.setLevel(level)


def _digests(folder: Path) -> dict[str, str]:
    """Return the digest of every file but the bundle's two."""
    files = (one for one in sorted(folder.rglob("*")) if one.is_file())
    return {
        str(one.relative_to(folder)): hashlib.sha256(one.read_bytes()).hexdigest()
        for one in files
        if one.name not in {MODEL_FILE, MANIFEST_FILE}
    }
