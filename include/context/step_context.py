"""A spec and all the doors that its steps go through."""

from dataclasses import dataclass

from include.adapters.endpoint import Endpoint
from include.adapters.registry import Registry
from include.adapters.train_matrix import TrainSides
from include.context.intake_context import Dock, dock
from include.settings import Settings
from include.spec.model_spec import Spec


@dataclass(frozen=True)
class Workplace(Dock):
    """Everything that a step of one spec reads from and writes to."""

    registry: Registry
    endpoint: Endpoint
    train_sides: TrainSides


def workplace(spec: Spec, settings: Settings) -> Workplace:
    """Open the doors of a spec."""
    at = dock(spec, settings)
    return Workplace(
        spec,
        settings,
        at.landing,
        at.lake,
        at.ledger,
        at.notes,
        Registry(settings.registry_url, spec.name, spec.model),
        Endpoint(settings.serving_url, spec.model, settings.serving_key),
        TrainSides(settings.scratch / "train_sides" / spec.name),
    )
