"""The Dag of each model spec: from a landed file, a schedule or a manual run to a champion."""

import hashlib
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import assets
from airflow.sdk import (
    DAG,
    AssetOrTimeSchedule,
    CronTriggerTimetable,
    Param,
    chain,
    dag,
    get_current_context,
    task,
    task_group,
)
from airflow.sdk.exceptions import AirflowFailException
from approval import Approval
from owners import newcomers, remembered
from run_spec import spec_of_run
from task_call import (
    PATIENCE,
    SHOWABLE,
    call,
    is_left_to_a_person,
    run_account,
    run_id,
    run_plan,
    stage_task,
    words_kept,
)

from include.errors import SpecError
from include.settings import Settings, read_settings
from include.spec.model_spec import OWN_DAGS, Spec
from include.spec.spec_files import is_name, read_specs

TRAINING_POOL = "training"
# What computes for long goes to workers of its own, so that a new file never waits behind a fit.
TRAINING: dict[str, Any] = {"pool": TRAINING_POOL, "queue": "training"}
MOST_OF_A_NAME = 100
TRIALS = "trials"
JOB_TITLE = "{{ task.op_kwargs['fit_job']['title'] }}"
FORM = {
    "no_new_data": Param(
        "skip",
        type="string",
        enum=["skip", "retrain"],
        title="When no row is new",
        description="skip: end early. retrain: train again on the rows there are.",
    ),
    "force": Param(
        False,  # noqa: FBT003 - the default of a check box
        type="boolean",
        title="Force the promotion",
        description="Promote the challenger even if it does not beat the champion. "
        "A challenger without skill is rejected all the same. Written into the decision.",
    ),
    "note": Param(
        "",
        type=["null", "string"],
        title="Note",
        description="Why this run was started; kept with the MLflow run and the decision.",
        pattern=SHOWABLE,
    ),
}


def continuous_training(path: Path, spec: Spec, settings: Settings) -> DAG:
    """Return the Dag of one spec."""

    @dag(
        dag_id=spec.name,
        dag_display_name=spec.title,
        description=spec.description,
        doc_md=_documentation(spec, settings),
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


@stage_task()
def ingest(spec_path: str) -> Any:
    """Claim the files that wait and type their rows.

    Bad rows go to quarantine with line, column and reason; a file that cannot be trusted goes
    there whole. The same bytes again are a no-op. A file that waits because a person stopped the
    run that had taken it is taken by a run that is triggered by hand.
    """
    return call("ingest", spec_path, run_id(), is_left_to_a_person)


@stage_task()
def dedup(spec_path: str, batches: Any) -> Any:
    """Subtract all history from each batch.

    A row with known features but another label is a conflict and goes to quarantine.
    """
    return call("dedup", spec_path, batches)


@stage_task()
def split(spec_path: str, batches: Any) -> Any:
    """Give each new row its side for good and commit: 80/20 per class over all history."""
    return call("split", spec_path, batches)


@stage_task()
def refusals(spec_path: str, taken_in: Any) -> Any:
    """Fail, to be seen, when a delivery was refused whole; its log says which and why.

    Nothing waits for this and the run does not fail by it: what else came is trained on.
    """
    return call("refusals", spec_path, taken_in)


@stage_task()
def plan(spec_path: str, intake: Any) -> Any:
    """Open the MLflow run, or skip with the reason when there is nothing to train."""
    return call("plan", spec_path, intake, _form(), run_id())


@stage_task()
def enter(spec_path: str, planned: Any) -> list[str]:  # noqa: ARG001 - it comes after the plan
    """Name the families that race, as the spec of this run has them."""
    spec = spec_of_run(Path(spec_path), get_current_context()["ti"])
    return [family.name for family in spec.families]


@stage_task(**TRAINING, map_index_template="{{ task.op_kwargs['family'] }}")
def screen(spec_path: str, planned: Any, family: str) -> Any:
    """Judge every candidate of a family on small parts of the train side, one fold."""
    return call("screen", spec_path, planned, family)


@stage_task()
def shortlist(spec_path: str, planned: Any, screened: Any) -> Any:
    """Drop the clearly beaten; who is left meets in the semifinal, where the rows are many."""
    return _handed_on(call("shortlist", spec_path, planned, list(screened)))


@stage_task(**TRAINING, map_index_template=JOB_TITLE)
def semifinal(spec_path: str, planned: Any, fit_job: Any) -> Any:
    """Run who is left over two folds of a larger part; skipped where rows are few."""
    return call("run_job", spec_path, planned, fit_job)


# A semifinal that is not needed is skipped, and that must not skip the final.
@stage_task(trigger_rule="none_failed_min_one_success")
def finalists(spec_path: str, planned: Any, trials: Any) -> Any:
    """Drop who was clearly beaten in the semifinal; who is left runs over all train rows."""
    return _handed_on(call("finalists", spec_path, planned, trials))


def _handed_on(elimination: Any) -> Any:
    """Return the jobs that tasks are mapped over, and keep the trials as an XCom beside them."""
    get_current_context()["ti"].xcom_push(TRIALS, elimination["trials"])
    return elimination["fit_jobs"]


@stage_task(**TRAINING, map_index_template=JOB_TITLE)
def final(spec_path: str, planned: Any, fit_job: Any) -> Any:
    """Run finalists over folds of all train rows."""
    return call("run_job", spec_path, planned, fit_job)


# No final is left to run where a person cleared tasks of a run that has registered its version.
@stage_task(trigger_rule="none_failed_min_one_success", **TRAINING)
def fit(spec_path: str, planned: Any, trials: Any) -> Any:
    """Write the leaderboard, fit the winner on the whole train side, register the version."""
    return call("fit", spec_path, planned, trials)


@stage_task(**TRAINING)
def score(spec_path: str, planned: Any, challenger: Any) -> Any:
    """Score challenger and champion on the same holdout rows, now."""
    return call("score", spec_path, planned, challenger)


@stage_task()
def decide(spec_path: str, scores: Any) -> Any:
    """Decide with reasons, before the endpoint is asked; nothing moves yet."""
    return call("decide", spec_path, scores, _form())


@stage_task()
def preflight(spec_path: str, planned: Any, challenger: Any, decided: Any) -> Any:
    """Let the real server go first, when the challenger is going to be promoted.

    Every replica loads it beside the champion and answers golden rows of the holdout; the answers
    must be the pipeline's own. A failed pre-flight is a REJECT. Without an endpoint this task
    fails.
    """
    return call("preflight", spec_path, planned, challenger, decided)


def ask(spec_path: str, title: str, decided: Any, preflight_result: Any) -> Any:
    """Return what a person says to the decision, where the spec asks for an approval."""
    body = "{{ ti.xcom_pull(task_ids='decide')['reason'] }}; "
    body += "{{ ti.xcom_pull(task_ids='preflight')['sentence'] }}"
    approve = Approval(
        task_id="approve",
        subject=f"Promote the challenger of {title}?",
        body=body,
        decided=decided,
        preflight_result=preflight_result,
        spec_path=spec_path,
    )
    return approve.output


@stage_task()
def promote(  # noqa: PLR0913, PLR0917 - a task takes what its step is handed
    spec_path: str, planned: Any, challenger: Any, scores: Any, answer: Any, preflight_result: Any
) -> Any:
    """Decide with reasons; move the champion alias if the challenger earned it.

    The servers then let the challenger go, or keep it as their champion.
    """
    return call(
        "promote", spec_path, planned, challenger, scores, _form(), answer, preflight_result
    )


@stage_task()
def serve(spec_path: str, planned: Any) -> Any:
    """Wait until every replica holds the champion and answers as the pipeline does.

    If one does not, the champion before is champion again, and this task fails with the reason.
    """
    return call("serve", spec_path, planned)


@stage_task(trigger_rule="all_done")
def report(spec_path: str) -> Any:
    """Tell what came, what was decided and why: in this log, the run's note and MLflow.

    The run ends as this task does, so it fails when another one did.
    """
    told = run_account()
    sentences = call("report", spec_path, told, run_plan())
    if told.failures:
        get_current_context()["ti"].xcom_push("return_value", sentences)
        failed = ", ".join(failure.task for failure in told.failures)
        raise AirflowFailException(f"the run fails because {failed} failed")
    return sentences


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
        doc_md=_as_code(sentence),
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


def _as_code(sentence: str) -> str:
    """Return a sentence in Markdown that shows every character of it, as two underscores."""
    fence = "`" * (1 + max(map(len, re.findall("`+", sentence)), default=0))
    return f"{fence} {sentence} {fence}"


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


def _form() -> dict[str, Any]:
    params = get_current_context()["params"]
    # A field that was emptied comes as null and means its default.
    return {name: params[name] for name in FORM if params[name] is not None}


def _documentation(spec: Spec, settings: Settings) -> str:
    families = ", ".join(family.name for family in spec.families)
    return (
        f"## {spec.title}\n{spec.description}\n\n"
        f"- drop files in `{settings.landing_url(spec.name, spec.landing)}`\n"
        f"- candidates: {families}\n"
        f"- registered model and endpoint: `{spec.model}`{_own_page(settings)}\n"
        f"{_in_mlflow(spec, settings)}"
        f"- by itself at `{spec.schedule.cron}` ({spec.schedule.timezone})\n"
    )


def _in_mlflow(spec: Spec, settings: Settings) -> str:
    """Return a line with MLflow's page of the model, none where callers know another address."""
    if settings.registry:
        return ""
    # Without the last part MLflow opens in the mode for generative models.
    page = f"{settings.registry_url}/#/models/{quote(spec.model, safe='')}"
    return f"- versions in MLflow: [{spec.model}]({page}?workflowType=machine_learning)\n"


def _own_page(settings: Settings) -> str:
    """Return a link to the endpoint's page, empty where callers know it by another address."""
    page = f"{settings.serving_url}/docs"
    return "" if settings.endpoint else f", [{page}]({page})"


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
