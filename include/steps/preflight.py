"""Lets every replica of the endpoint answer golden rows with the challenger before a promotion.

When killed: the challenger's alias may stay in the registry, so that replicas hold it beside the
champion; a second attempt sets it again and compares again.
"""

import logging

from include.context.step_context import StepContext
from include.errors import (
    VersionRefusedError,
)
from include.records.judging import Decision, Preflight, Verdict
from include.records.models import ModelVersion
from include.records.training import Plan
from include.steps.golden_rows import SERVING_PATIENCE_SECONDS, differences, golden_rows
from serving.bundle.registered import Role

log = logging.getLogger("ratchet")


ABSENCE_PATIENCE_SECONDS = 10.0
"""After so many seconds without an answer of any replica, a pre-flight ends with an error."""


def preflight(
    context: StepContext, plan: Plan, challenger: ModelVersion, decision: Decision
) -> Preflight:
    """Let every replica load the challenger beside the champion and answer golden rows with it.

    Not needed, and passed, when the decision is not to promote. Fails when a replica refuses the
    version or answers otherwise than the pipeline. Raises EndpointError when there is no endpoint,
    or when a replica neither loads the version nor gives a reason: then the challenger is not at
    fault.
    """
    if decision.verdict is not Verdict.PROMOTE:
        return Preflight.spared(f"not needed: {decision.verdict} anyhow")
    context.endpoint.require_any(ABSENCE_PATIENCE_SECONDS)
    context.registry.challenger.put_up(challenger)
    version, replicas = challenger.version, len(context.endpoint.replicas())
    try:
        waited = context.endpoint.wait_for(
            version, SERVING_PATIENCE_SECONDS, Role.CHALLENGER, challenger.digest
        )
    except VersionRefusedError as refused:
        return _preflight_result(f"{refused}", replicas, rows=0, differences=1)
    golden = golden_rows(
        context, plan.dataset.version, context.registry.versions.bundle(challenger)
    )
    wrong = differences(context, golden, version, by_number=True)
    sentence = (
        f"{replicas} of {replicas} replicas held version {version} after {waited:.1f} s and "
        f"answered {len(golden.rows)} golden rows "
    )
    sentence += f"otherwise, as {wrong[0]}" if wrong else "as the pipeline does"
    return _preflight_result(sentence, replicas, len(golden.rows), len(wrong))


def _preflight_result(sentence: str, replicas: int, rows: int, differences: int) -> Preflight:
    log.info("pre-flight: %s", sentence)
    return Preflight.held(f"pre-flight: {sentence}", replicas, rows, differences)
