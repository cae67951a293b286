"""The MLflow server: experiments, runs, model versions, and the moves of the champion.

Every write can be repeated: a run is found again by the id of its Dag run, a nested run by its
candidate, a model version by its MLflow run, a move of the champion by its key. So a step that runs
again finds what it recorded before and records nothing twice.
"""

from include.adapters.registry.artifacts import Artifacts
from include.adapters.registry.connection import ask_once, asking_for
from include.adapters.registry.registry import Registry
from include.adapters.registry.registry_watch import RegistryWatch
from include.adapters.registry.runs import BATCHES

__all__ = ["BATCHES", "Artifacts", "Registry", "RegistryWatch", "ask_once", "asking_for"]
