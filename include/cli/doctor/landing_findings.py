"""What the doctor says of the landing place and of the Dag that empties it."""

from collections.abc import Iterator

from include.adapters.dag_switch import DagSwitch
from include.cli.doctor.findings import Finding
from include.context.step_context import StepContext
from include.steps import settle as settle_step


def of_landing(context: StepContext) -> Iterator[Finding]:
    """Yield what lies in the landing place, waits, or is in quarantine."""
    for one in context.landing.left_alone():
        yield Finding(f"left alone in {context.landing.url}, {one.name}: {one.why}")
    seen = settle_step.look(context)
    yield Finding(
        f"landing place: {seen.waiting} files wait, {seen.claimed} are claimed by a run; in "
        f"quarantine {seen.refused_files} whole files and rows of {seen.refused_rows} batches "
        f"(./ratchet quarantine {context.spec.name})",
        is_fault=False,
    )
    yield from _switch(context, seen.waiting + seen.claimed)


def _switch(context: StepContext, waiting: int) -> Iterator[Finding]:
    """Tell of a paused Dag; it is wrong only where files wait for it."""
    is_paused = DagSwitch(context.settings.airflow_url, context.spec.name).is_paused()
    if is_paused:
        yield Finding(
            f"the Dag {context.spec.name} is paused in Airflow, and {waiting} files wait for it: "
            f"switch it on, beside its title at {context.settings.airflow_url}/dags/"
            f"{context.spec.name}",
            is_fault=waiting > 0,
        )
    elif is_paused is None:
        yield Finding(
            f"Airflow at {context.settings.airflow_url} does not say whether the Dag is paused",
            is_fault=False,
        )
