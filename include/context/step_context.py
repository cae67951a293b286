"""The context of a step: a spec and the adapters that its steps read from and write to."""

from dataclasses import dataclass

from include.adapters.endpoint import Endpoint
from include.adapters.registry import open_registry
from include.adapters.train_matrix import TrainMatrices
from include.context.intake_context import IntakeContext, intake_context
from include.context.model_registry import ModelRegistry
from include.settings import Settings
from include.spec.model_spec import Spec


@dataclass(frozen=True)
class StepContext(IntakeContext):
    """The spec, the settings and all adapters of a step."""

    registry: ModelRegistry
    endpoint: Endpoint
    train_sides: TrainMatrices


def step_context(spec: Spec, settings: Settings) -> StepContext:
    """Return the context of a spec's steps; SpecError when no files may land in its place."""
    context = intake_context(spec, settings)
    return StepContext(
        spec,
        settings,
        context.landing,
        context.lake,
        context.ledger,
        context.notes,
        open_registry(settings.registry_url, spec.name, spec.model),
        Endpoint(settings.serving_url, spec.model, settings.serving_key),
        TrainMatrices(settings.scratch / "train_sides" / spec.name),
    )
