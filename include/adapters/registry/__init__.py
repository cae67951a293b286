"""The MLflow server: the ledger of runs and models.

Every write can be repeated: a run is found again by the run of the Dag that opened it, a nested
run by its candidate, a model version by its MLflow run, a move of the champion by whoever asked
for it. So a retried step finds what it did and records nothing twice.
"""

from include.adapters.registry.artifacts import Artifacts
from include.adapters.registry.connection import ask_once, asking_for
from include.adapters.registry.registry import Registry
from include.adapters.registry.registry_watch import RegistryWatch
from include.adapters.registry.runs import BATCHES

__all__ = ["BATCHES", "Artifacts", "Registry", "RegistryWatch", "ask_once", "asking_for"]
