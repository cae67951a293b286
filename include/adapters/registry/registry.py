"""Everything that steps read from and write to a spec's experiment and registered model."""

from include.adapters.registry.ownership import Ownership
from include.adapters.registry.runs import Runs


class Registry(Runs, Ownership):
    """The experiment and the registered model of one spec."""
