"""The Dag of each model spec: from a landed file, a schedule or a manual run to a champion."""

import hashlib
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import assets
from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, chain, dag, task, task_group
from dag_page import as_code, documentation
from owners import newcomers, remembered
from run_form import FORM
from task_call import PATIENCE, words_kept
from training_tasks import (
    TRIALS,
    ask,
    decide,
    dedup,
    enter,
    final,
    finalists,
    fit,
    ingest,
    plan,
    preflight,
    promote,
    refusals,
    report,
    score,
    screen,
    semifinal,
    serve,
    shortlist,
    split,
)

from include.errors import SpecError
from include.settings import Settings, read_settings
from include.spec.model_spec import OWN_DAGS, Spec
from include.spec.spec_files import is_name, read_specs

MOST_OF_A_NAME = 100


def continuous_training(path: Path, spec: Spec, settings: Settings) -> DAG:
    """Return the Dag of one spec."""

    @dag(
        dag_id=spec.name,
        dag_display_name=spec.title,
        description=spec.description,
        doc_md=documentation(spec, settings),
        schedule=AssetOrTimeSchedule(
            timetable=_night(spec),
            assets=[assets.landing(spec, settings)],
        ),
        params=FORM,
        max_active_runs=1,
        catchup=False,
        default_args=PATIENCE,
        tags=["ratchet", spec.model],
    )
    def pipeline() -> None:
        flow(str(path), spec.title, asks=spec.gate.approval)

    return pipeline()


def flow(spec_path: str, title: str, *, asks: bool) -> None:
    """Lay the tasks out: the same ones whatever the spec says, but for the question to a person.

    So a run that has begun finds all its tasks again when the file is edited or broken.
    """
    arrived: Any = data(spec_path)
    taken_in, refused = arrived
    planned = plan(spec_path, taken_in)
    raced: Any = select(spec_path, planned)
    trials, finals = raced
    challenger = fit(spec_path, planned, trials)
    chain(finals, challenger)
    scores = score(spec_path, planned, challenger)
    decided = decide(spec_path, scores)
    preflight_result = preflight(spec_path, planned, challenger, decided)
    answer = ask(spec_path, title, decided, preflight_result) if asks else None
    decision = promote(spec_path, planned, challenger, scores, answer, preflight_result)
    served, told = serve(spec_path, planned), report(spec_path)
    chain(decision, served, told)
    chain(refused, told)


@task_group
def data(spec_path: str) -> Any:
    """From waiting files to rows that have a side for good."""
    taken_in = split(spec_path, dedup(spec_path, ingest(spec_path)))
    return taken_in, refusals(spec_path, taken_in)


@task_group
def select(spec_path: str, planned: Any) -> Any:
    """Race all candidates over growing parts of the train side; the last part is all of it."""
    of_race: Any = {"spec_path": spec_path, "planned": planned}
    screened = screen.partial(**of_race).expand(family=enter(**of_race))
    shortlisted = shortlist(**of_race, screened=screened)
    semifinals = semifinal.partial(**of_race).expand(fit_job=shortlisted)
    left = finalists(**of_race, trials=shortlisted[TRIALS])
    chain(semifinals, left)
    return left[TRIALS], final.partial(**of_race).expand(fit_job=left)


def unusable_spec(path: Path, error: SpecError, schedule: Any = None) -> DAG:
    """Return a Dag that stands for a spec that cannot be used, so that the others keep running.

    It has the tasks of a usable one: a run that began when the spec was sound goes on with what it
    has pinned. A new one ends in its first task, with the reason. `schedule` is for a spec that may
    be usable by its next run; no file starts a run of it.
    """
    sentence = str(error)

    @dag(
        dag_id=_name_of_a_dag(path.stem),
        description=sentence,
        doc_md=as_code(sentence),
        schedule=schedule,
        params=FORM,
        max_active_runs=1,
        catchup=False,
        default_args=PATIENCE,
        tags=["broken spec"],
    )
    def broken() -> None:
        if is_name(path.stem):
            flow(str(path), path.stem, asks=True)
        else:
            read_the_spec(sentence)

    return broken()


def _name_of_a_dag(stem: str) -> str:
    """Return the name of a file as one that a Dag can bear, and no other file's Dag bears."""
    plain = re.sub(r"[^\w.-]", "_", stem, flags=re.ASCII)[:MOST_OF_A_NAME]
    if plain == stem and stem not in OWN_DAGS:
        return stem
    return f"{plain}-{hashlib.sha256(os.fsencode(stem)).hexdigest()[:8]}"


@task
def read_the_spec(sentence: str) -> None:
    """Fail with the reason why the spec cannot be used."""
    with words_kept():
        raise SpecError(sentence)


def _night(spec: Spec) -> CronTriggerTimetable:
    """Return the timetable of a spec, whose first tick is the next one.

    By default a new Dag also makes up for a tick that is less than a tenth of the interval ago: a
    stack set up at three would train at once.
    """
    schedule = spec.schedule
    return CronTriggerTimetable(
        schedule.cron, timezone=schedule.timezone, run_immediately=timedelta(milliseconds=1)
    )


def dag_of(
    path: Path, spec_or_reason: Spec | SpecError, settings: Settings, refused: SpecError | None
) -> DAG:
    """Return the Dag of a spec, or one that says why there is none and harms no other spec.

    What is another spec's may be handed over, so a `refused` one asks again every night.
    """
    if isinstance(spec_or_reason, SpecError):
        return unusable_spec(path, spec_or_reason)
    try:
        if refused is not None:
            return unusable_spec(path, refused, _night(spec_or_reason))
        return continuous_training(path, spec_or_reason, settings)
    except Exception as error:  # noqa: BLE001 - whatever Airflow does not take of it
        return unusable_spec(path, SpecError(f"{path.name} makes no Dag: {error}"))


SETTINGS = read_settings()
SPECS = read_specs(SETTINGS.specs)
REFUSED = newcomers(SPECS, SETTINGS, remembered())
for spec_path, spec_or_reason in SPECS.items():
    # No spec can take this name from the tasks above: `data.toml` is a fine spec.
    globals()[f"dag of {spec_path.name}"] = dag_of(
        spec_path, spec_or_reason, SETTINGS, REFUSED.get(spec_path)
    )
