"""The one door to a spec's experiment and registered model."""

from include.adapters.registry.promotions import Promotions
from include.adapters.registry.runs import Runs


class Registry(Runs, Promotions):
    """One spec's experiment and registered model."""
