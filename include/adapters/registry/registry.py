"""The one door to a spec's experiment and registered model."""

from include.adapters.registry.ownership import Ownership
from include.adapters.registry.runs import Runs


class Registry(Runs, Ownership):
    """One spec's experiment and registered model."""
