"""Logs a fitted model the way MLflow's own pages and loaders know it, beside its bundle."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import mlflow
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from serving.bundle import Manifest, encode


def log_mlflow_model(
    run_id: str, model: Any, manifest: Manifest, requirements: Sequence[str]
) -> str:
    """Log a model in a run, with its signature and an example; return its id in MLflow."""
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
            signature=ModelSignature(Schema(columns), Schema([ColSpec(DataType.long, "label")])),
            input_example=pd.DataFrame(example, columns=names),
            pip_requirements=list(requirements),
        )
    return str(info.model_id)


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
