"""Asks all sources at once and yields what is said of each, in a fixed order."""

from collections.abc import Iterator
from functools import partial

from include.cli.doctor.endpoint_findings import of_endpoint, replica_states
from include.cli.doctor.findings import Finding
from include.cli.doctor.lake_findings import of_data, of_lake, table_state
from include.cli.doctor.landing_findings import of_landing
from include.cli.doctor.registry_findings import (
    artifacts_reading,
    models_state,
    of_artifacts,
    of_registry,
)
from include.cli.doctor.sources import Source
from include.context.places import Need
from include.context.step_context import StepContext
from include.errors import UnhealthyError


def doctor(context: StepContext) -> Iterator[str]:
    """Yield a sentence for each check, faults with a `!`; UnhealthyError at the end if any."""
    findings = 0
    for line in _findings(context):
        findings += line.is_fault
        yield f"{'! ' if line.is_fault else '  '}{line.words}"
    if findings:
        raise UnhealthyError(
            f"{findings} findings about {context.spec.name}, each with a ! before it"
        )


def _findings(context: StepContext) -> Iterator[Finding]:
    lake = Source(context, "lake", Need.LAKE, lambda: list(of_lake(context)))
    table = Source(context, "lake's table", Need.LAKE, lambda: table_state(context))
    landing = Source(context, "landing place", Need.LANDING, lambda: list(of_landing(context)))
    models = Source(context, "registry", Need.REGISTRY, lambda: models_state(context))
    files = Source(context, "model files", Need.REGISTRY, lambda: artifacts_reading(context))
    serving = Source(context, "endpoint", None, lambda: replica_states(context))
    about_the_lake = _lines(lake.answer())
    yield from about_the_lake
    yield from _lines(landing.answer())
    said, kept, held, newest = models.answer(), files.answer(), serving.answer(), table.answer()
    yield from [said] if isinstance(said, Finding) else of_registry(context, said)
    if isinstance(newest, Finding):
        yield from [] if any(line.is_fault for line in about_the_lake) else [newest]
    elif not isinstance(said, Finding):
        rows = partial(of_data, context, said, newest)
        data = Source(context, "champion's rows", Need.LAKE, lambda: list(rows()))
        yield from _lines(data.answer())
    yield from [kept] if isinstance(kept, Finding) else of_artifacts(context, kept)
    champion = None if isinstance(said, Finding) else said.wanted
    yield from [held] if isinstance(held, Finding) else of_endpoint(context, held, champion)


def _lines(answer: list[Finding] | Finding) -> list[Finding]:
    return [answer] if isinstance(answer, Finding) else answer
