"""Addresses of pages in MLflow, for people."""

from dataclasses import dataclass
from urllib.parse import quote

from include.adapters.registry.experiment import SpecExperiment
from include.adapters.registry.tags import KIND, TRAINING
from include.records.models import ModelVersion

_TRAINING_PAGES = "workflowType=machine_learning"
"""Query parameter that opens MLflow's pages for training, not for generative models."""


@dataclass(frozen=True)
class Pages:
    """The pages of a spec's runs and model versions."""

    url: str
    experiment: SpecExperiment

    def of_run(self, run_id: str) -> str:
        """Return the address of a run's page."""
        return f"{self.url}/#/experiments/{self.experiment.id()}/runs/{run_id}?{_TRAINING_PAGES}"

    def of_trainings(self) -> str:
        """Return the address of the list of trainings, without candidates, moves and arrivals."""
        only = quote(f"tags.`{KIND}` = '{TRAINING}'", safe="")
        listed = f"{self.url}/#/experiments/{self.experiment.id()}/runs"
        return f"{listed}?searchFilter={only}&{_TRAINING_PAGES}"

    def of_version(self, version: ModelVersion) -> str:
        """Return the address of a model version's page."""
        name = quote(version.name, safe="")
        return f"{self.url}/#/models/{name}/versions/{version.version}?{_TRAINING_PAGES}"
