"""Writes the manifest of a new model: what the server has to know of it beside the model file."""

from dataclasses import dataclass

from include.context.step_context import StepContext
from include.records.row_columns import Side
from serving.bundle import Layout, Manifest, libraries

_EXAMPLES = 5


@dataclass(frozen=True)
class ExampleRows:
    """Where the example rows of a manifest are from: a side of a version, in the model's layout."""

    data_version: int
    side: Side
    layout: Layout


def manifest_of(
    context: StepContext, examples: ExampleRows, family: str, threshold: float
) -> Manifest:
    """Return the manifest of a model of `family` that calls rows positive from `threshold` on."""
    version, layout = examples.data_version, examples.layout
    rows = context.lake.sample(version, examples.side, layout, _EXAMPLES)
    return Manifest(
        name=context.spec.model,
        family=family,
        layout=layout,
        threshold=threshold,
        problem=context.spec.problem,
        labels=context.spec.data.label_names,
        data_version=version,
        example=tuple(map(tuple, rows)),
        libraries=libraries(),
    )
