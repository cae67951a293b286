"""Compares the answers of the endpoint on golden rows with those of the pipeline. Writes nothing.

Every replica is asked. Replicas learn of a challenger as they learn of a champion, by its alias in
the registry, so the pipeline does not need to know how many server processes there are, or where.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from include.context.step_context import StepContext
from include.errors import (
    EndpointError,
    VersionRefusedError,
)
from include.records.row_columns import Side
from include.stages import preflight as preflight_stage
from serving.bundle import Bundle, Layout, encode

log = logging.getLogger("ratchet")


SERVING_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class GoldenRows:
    """Rows to send to the endpoint, in feature order, and the pipeline's own answers to them."""

    layout: Layout
    rows: Sequence[preflight_stage.Row]
    outputs: preflight_stage.Outputs


def golden_rows(context: StepContext, data_version: int, bundle: Bundle) -> GoldenRows:
    """Return sampled holdout rows and rows with extreme values, with a bundle's answers to them."""
    layout, manifest = bundle.manifest.layout, bundle.manifest
    sampled = context.lake.sample_classes(
        data_version, Side.HOLDOUT, layout, preflight_stage.ROWS_OF_A_LABEL
    )
    rows = preflight_stage.golden_rows(sampled, bundle)
    with np.errstate(all="ignore"):  # numbers at the edge overflow in some models, and no harm done
        scores = bundle.scores(encode(layout, rows))
    return GoldenRows(layout, rows, bundle.problem.columns(manifest).values(scores))


def differences(
    context: StepContext, golden: GoldenRows, version: str, *, by_number: bool
) -> list[str]:
    """Return one sentence for each answer of a replica that differs from the pipeline's.

    With `by_number` the version is requested by its number, otherwise the champion is requested.
    Raises EndpointError when a replica answers as another version.
    """
    sentences: list[str] = []
    for replica in context.endpoint.replicas():
        requested = version if by_number else None
        try:
            answered = replica.infer(golden.layout, golden.rows, requested)
        except VersionRefusedError as refused:
            sentences.append(str(refused))
            continue
        if answered.version != version:
            raise EndpointError(
                f"{replica.url} answered as version {answered.version} where {version} was asked"
            )
        wrong = preflight_stage.differences(golden.outputs, answered.outputs)
        sentences += [f"{sentence} (at {replica.url})" for sentence in wrong]
    return sentences
