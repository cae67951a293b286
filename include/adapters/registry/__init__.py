"""The MLflow server: experiments, runs, model versions, and the moves of the champion.

Every write can be repeated: a run is found again by the id of its Dag run, a nested run by its
candidate, a model version by its MLflow run, a move of the champion by its key. So a step that runs
again finds what it recorded before and records nothing twice.
"""

from include.adapters.registry.artifacts import Artifacts
from include.adapters.registry.connection import Connection, connect
from include.adapters.registry.mlflow_requests import ask_once, asking_for
from include.adapters.registry.registry import Registry, open_registry, registry_over
from include.adapters.registry.registry_watch import RegistryWatch

__all__ = [
    "Artifacts",
    "Connection",
    "Registry",
    "RegistryWatch",
    "ask_once",
    "asking_for",
    "connect",
    "open_registry",
    "registry_over",
]
