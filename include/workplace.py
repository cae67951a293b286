"""A spec and the doors that its steps go through."""

from dataclasses import dataclass

from include.adapters.endpoint import Endpoint
from include.adapters.lake import Lake
from include.adapters.landing import Landing
from include.adapters.registry import Registry
from include.settings import Settings
from include.spec import Spec


@dataclass(frozen=True)
class Workplace:
    """Everything that a step of one spec reads from and writes to."""

    spec: Spec
    settings: Settings
    landing: Landing
    lake: Lake
    registry: Registry
    endpoint: Endpoint


def workplace(spec: Spec, settings: Settings) -> Workplace:
    """Open the doors of a spec."""
    folder = settings.lake / spec.name
    return Workplace(
        spec,
        settings,
        Landing(settings.landing / spec.name, folder),
        Lake(folder),
        Registry(settings.registry_url, spec.name, spec.model),
        Endpoint(settings.serving_url, spec.model),
    )
