"""The tasks of a training: each calls one step, and its docstring is what Airflow shows."""

from pathlib import Path
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowFailException
from approval import Approval
from run_form import form_of_run
from run_spec import spec_of_run
from task_call import call, is_left_to_a_person, run_account, run_id, run_plan, stage_task

TRAINING_POOL = "training"
# What computes for long goes to workers of its own, so that a new file never waits behind a fit.
TRAINING: dict[str, Any] = {"pool": TRAINING_POOL, "queue": "training"}
TRIALS = "trials"
JOB_TITLE = "{{ task.op_kwargs['fit_job']['title'] }}"


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

    A row with known features but another label is a conflict and goes to quarantine. Where rows
    have ids they are compared by these: other content under a known id corrects the row.
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
    return call("plan", spec_path, intake, form_of_run(), run_id())


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
    return call("decide", spec_path, scores, form_of_run())


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
        "promote", spec_path, planned, challenger, scores, form_of_run(), answer, preflight_result
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
