"""The connection to the MLflow server that the parts of a registry share."""

from dataclasses import dataclass
from typing import Any

import mlflow

from include.adapters.registry.healing import HealingClient


@dataclass(frozen=True)
class Connection:
    """An MLflow server, and the names that a spec has on it."""

    client: Any
    """A HealingClient."""
    url: str
    spec: str
    """The name of the spec, and of its experiment."""
    model: str
    """The name of the spec's registered model."""


def connect(url: str, spec: str, model: str) -> Connection:
    """Return a connection to the MLflow server at `url`; nothing is requested yet."""
    mlflow.set_tracking_uri(url)
    return Connection(HealingClient(mlflow.MlflowClient(url)), url, spec, model)
