"""Waits until every replica of the endpoint holds the champion and answers as the pipeline does.

When killed: a second attempt waits again. If the first has already given the champion back, the
log of moves says so and the second fails with the same reason.
"""

import logging

from include.context.step_context import StepContext
from include.errors import (
    EndpointError,
    NothingToDoError,
)
from include.records.models import ServedVersion
from include.records.training import Plan
from include.steps.golden_rows import SERVING_PATIENCE_SECONDS, differences, golden_rows
from include.steps.roll_back import give_back, require_not_given_back

log = logging.getLogger("ratchet")


def serve(context: StepContext, plan: Plan | None) -> ServedVersion:
    """Wait until the endpoint holds the champion and answers as the pipeline does.

    Answers are compared on holdout rows of the plan's data version; without a plan, of the newest
    one. When this run has promoted the champion and it is not served, the champion before it
    becomes champion again and GivenBackError is raised, as it also is when an earlier attempt did
    so. In any other case of failure EndpointError is raised, and NothingToDoError without champion.
    """
    if plan is None:
        return await_champion(context, context.lake.version() or 0)
    require_not_given_back(context, plan)
    try:
        return await_champion(context, plan.dataset.version)
    except EndpointError as failure:
        give_back(context, plan, str(failure))
        require_not_given_back(context, plan)
        raise


def await_champion(context: StepContext, data_version: int) -> ServedVersion:
    """Wait for every replica, then compare its answers on golden rows with the pipeline's.

    Raises EndpointError when a replica does not load the champion within
    `SERVING_PATIENCE_SECONDS`, or answers otherwise; NothingToDoError when there is no champion.
    """
    champion = context.registry.champion.current()
    if champion is None:
        raise NothingToDoError(
            f"{context.spec.model} has no champion yet, so there is none to serve"
        )
    waited = context.endpoint.wait_for(
        champion.version, SERVING_PATIENCE_SECONDS, digest=champion.digest
    )
    golden = golden_rows(context, data_version, context.registry.versions.bundle(champion))
    wrong = differences(context, golden, champion.version, by_number=False)
    if wrong:
        raise EndpointError(
            f"{context.spec.model} version {champion.version} answers {len(wrong)} golden rows "
            f"otherwise than the pipeline, as {wrong[0]}: look at the serving log"
        )
    log.info("%s version %s answers after %.1f s", context.spec.model, champion.version, waited)
    replicas = len(context.endpoint.replicas())
    return ServedVersion(context.spec.model, champion.version, len(golden.rows), waited, replicas)
