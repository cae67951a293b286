"""Whether the endpoint answers as the pipeline does: before a challenger may win, and afterwards.

Every replica is asked. They learn of a challenger as they learn of a champion, by its alias in the
registry, so nobody has to know how many processes there are or where.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from include.adapters.endpoint import CHALLENGER
from include.context.step_context import StepContext
from include.errors import (
    EndpointError,
    NothingToDoError,
    VersionRefusedError,
)
from include.records.arrays import Probabilities
from include.records.records import Decision, ModelVersion, Plan, Preflight, Served, Verdict
from include.stages import preflight as preflight_stage
from include.stages.split import HOLDOUT
from serving.bundle import Bundle, Layout, encode

log = logging.getLogger("ratchet")
SERVING_PATIENCE_SECONDS = 60.0
ABSENCE_PATIENCE_SECONDS = 10.0
"""How long nothing may answer at all before a pre-flight fails."""


@dataclass(frozen=True)
class _Golden:
    """Rows to ask, and the pipeline's own answers."""

    layout: Layout
    rows: Sequence[preflight_stage.Row]
    probability: Probabilities
    labels: list[str]


def preflight(
    context: StepContext, plan: Plan, challenger: ModelVersion, decision: Decision
) -> Preflight:
    """Let every replica hold a challenger beside the champion and answer golden rows with it.

    A replica that refuses it or answers otherwise fails the pre-flight. Raises EndpointError when
    there is no endpoint, or when a replica neither takes the version nor says why: that is not the
    challenger's fault.
    """
    if decision.verdict is not Verdict.PROMOTE:
        return Preflight(
            needed=False, passed=True, sentence=f"not needed: {decision.verdict} anyhow"
        )
    context.endpoint.require_any(ABSENCE_PATIENCE_SECONDS)
    context.registry.put_up(challenger)
    version, replicas = challenger.version, len(context.endpoint.replicas())
    try:
        waited = context.endpoint.wait_for(
            version, SERVING_PATIENCE_SECONDS, CHALLENGER, challenger.digest
        )
    except VersionRefusedError as refused:
        return _flown(f"{refused}", replicas, rows=0, differences=1)
    golden = _golden(context, plan.dataset.version, context.registry.bundle(challenger))
    wrong = _differences(context, golden, version, by_number=True)
    sentence = (
        f"{replicas} of {replicas} replicas held version {version} after {waited:.1f} s and "
        f"answered {len(golden.rows)} golden rows "
    )
    sentence += f"otherwise, as {wrong[0]}" if wrong else "as the pipeline does"
    return _flown(sentence, replicas, len(golden.rows), len(wrong))


def await_champion(context: StepContext, data_version: int) -> Served:
    """Wait for every replica, then compare its answers on golden rows.

    Raises EndpointError when one does not come to hold the champion, or answers otherwise.
    """
    champion = context.registry.champion()
    if champion is None:
        raise NothingToDoError(
            f"{context.spec.model} has no champion yet, so there is none to serve"
        )
    waited = context.endpoint.wait_for(
        champion.version, SERVING_PATIENCE_SECONDS, digest=champion.digest
    )
    golden = _golden(context, data_version, context.registry.bundle(champion))
    wrong = _differences(context, golden, champion.version, by_number=False)
    if wrong:
        raise EndpointError(
            f"{context.spec.model} version {champion.version} answers {len(wrong)} golden rows "
            f"otherwise than the pipeline, as {wrong[0]}: look at the serving log"
        )
    log.info("%s version %s answers after %.1f s", context.spec.model, champion.version, waited)
    replicas = len(context.endpoint.replicas())
    return Served(context.spec.model, champion.version, len(golden.rows), waited, replicas)


def _golden(context: StepContext, data_version: int, bundle: Bundle) -> _Golden:
    layout, manifest = bundle.manifest.layout, bundle.manifest
    sampled = context.lake.sample_classes(
        data_version, HOLDOUT, layout, preflight_stage.ROWS_OF_A_LABEL
    )
    rows = preflight_stage.golden_rows(sampled, bundle)
    with np.errstate(all="ignore"):  # numbers at the edge overflow in some models, and no harm done
        probability = bundle.probability(encode(layout, rows))
    positive = probability >= manifest.threshold
    return _Golden(layout, rows, probability, [manifest.labels[int(one)] for one in positive])


def _differences(
    context: StepContext, golden: _Golden, version: str, *, by_number: bool
) -> list[str]:
    """Return a sentence an answer that is not the pipeline's own, from every replica."""
    found: list[str] = []
    for replica in context.endpoint.replicas():
        asked = version if by_number else None
        try:
            answered = replica.infer(golden.layout, golden.rows, asked)
        except VersionRefusedError as refused:
            found.append(str(refused))
            continue
        if answered.version != version:
            raise EndpointError(
                f"{replica.url} answered as version {answered.version} where {version} was asked"
            )
        wrong = preflight_stage.differences(
            golden.probability, golden.labels, answered.probability, answered.label
        )
        found += [f"{sentence} (at {replica.url})" for sentence in wrong]
    return found


def _flown(sentence: str, replicas: int, rows: int, differences: int) -> Preflight:
    log.info("pre-flight: %s", sentence)
    return Preflight(
        needed=True,
        passed=not differences,
        sentence=f"pre-flight: {sentence}",
        replicas=replicas,
        rows=rows,
        differences=differences,
    )
