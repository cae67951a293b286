"""What the doctor says of the replicas of the endpoint."""

from collections.abc import Iterator

from include.adapters.endpoint import ReplicaState, WantedVersion
from include.cli.doctor.findings import Finding
from include.context import running_stack
from include.context.step_context import StepContext
from serving.bundle.registered import Role


def replica_states(context: StepContext) -> dict[str, ReplicaState]:
    """Ask every replica what it holds."""
    return {one.url: one.state() for one in context.endpoint.replicas()}


def _way_out(context: StepContext) -> str:
    """Return what a person can do about an endpoint that does not respond."""
    if not running_stack.stack_runs(context.settings.home):
        return "Start it: make up"
    return running_stack.where_it_shows(context.settings.home, "serving")


def of_endpoint(
    context: StepContext, states: dict[str, ReplicaState], champion: WantedVersion | None
) -> Iterator[Finding]:
    """Yield which replicas do not answer, refuse a version, or hold another champion."""
    for url, one in states.items():
        held = one.versions.get(Role.CHAMPION)
        if one.problem:
            yield Finding(f"not asked, the endpoint {url}: {one.problem}. {_way_out(context)}")
        for role, no in one.refused.items():
            yield Finding(
                f"{url} refuses version {no.version} of {context.spec.model} as {role}: {no.reason}"
            )
        if not one.problem and champion is not None and not one.holds(champion):
            yield Finding(
                f"{url} serves version {held or 'none'} of {context.spec.model}"
                f"{' of another registration' * (held == champion.version)}, the registry names "
                f"{champion.version}: look at its /v2/health/ready and its log"
            )
        yield Finding(f"endpoint {url}: champion {held or 'none'}", is_fault=False)
