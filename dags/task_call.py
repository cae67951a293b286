"""Calls a step from an Airflow task: converts records from and to JSON, and measures time.

Steps know nothing of Airflow. Only here a record becomes an XCom, NothingToDoError becomes a
skipped task, and the seconds inside a step are stored beside its result.
"""

import inspect
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import (
    Connection,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    get_current_context,
    task,
)
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowSkipException
from landing_trigger import S3_CONNECTION, connection_options, is_bucket
from owners import remember
from run_account import (
    FAILED_BECAUSE,
    REPORT,
    RESULTS,
    SKIPPED_BECAUSE,
    WARNINGS,
    WORDS,
    Traces,
    account,
)
from run_spec import FIRST, spec_of_run

from include.errors import (
    ChampionMovedError,
    ContractError,
    DataFileError,
    DeliveryRefusedError,
    GivenBackError,
    ModelRefusedError,
    NothingToDoError,
    RaceResultsMissingError,
    RatchetError,
    RollBackError,
    SpecError,
    TableRefusedError,
    TakenError,
)
from include.settings import Settings, read_settings
from include.spec.model_spec import Spec
from include.steps import step_named

_FOR_A_PERSON = (
    SpecError,
    ContractError,
    ChampionMovedError,
    DeliveryRefusedError,
    GivenBackError,
    ModelRefusedError,
    RaceResultsMissingError,
    RollBackError,
    TakenError,
    TableRefusedError,
    DataFileError,
)
# What no database stores is refused by a form already: PostgreSQL has no NUL in a text.
SHOWABLE = r"^[^\x00\ud800-\udfff]*$"
PATIENCE = {
    "retries": 2,
    "retry_delay": timedelta(seconds=5),
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(exception=error, action=RetryAction.FAIL, reason="a person has to look first")
            for error in _FOR_A_PERSON
        ]
    ),
}


def stage_task(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that makes a task of a function; the Airflow UI shows its docstring."""

    def decorate(function: Callable[..., Any]) -> Any:
        return task(doc_md=inspect.getdoc(function), **options)(function)

    return decorate


def call(step_name: str, spec_path: str, *arguments: Any) -> Any:
    """Run a step of `include.steps` on a spec and return its result as JSON values.

    Arguments are the JSON values of earlier results; they are converted to the records that the
    step's annotations name. NothingToDoError skips the task.
    """
    task_instance = get_current_context()["ti"]
    inside = {"from": time.time()}
    try:
        # What cannot be imported, as in the middle of an upgrade, is a reason like any other.
        with words_kept():
            return _result(step_name, Path(spec_path), arguments, inside)
    except NothingToDoError as error:
        task_instance.xcom_push(SKIPPED_BECAUSE, str(error))
        raise AirflowSkipException(str(error)) from error
    finally:
        task_instance.xcom_push("inside", inside | {"to": time.time()})


def _result(step_name: str, spec_path: Path, arguments: Any, inside: dict[str, float]) -> Any:
    """Run a step; `inside` gets the time at which the step itself began."""
    from include.cli.deadline import blame_the_place
    from include.context.denied_access import access_required
    from include.context.full_disk import room_required
    from include.context.places import Need, places
    from include.context.step_context import step_context
    from include.records.packing import pack, unpack_arguments

    task_instance = get_current_context()["ti"]
    spec = spec_of_run(spec_path, task_instance)
    settings = reachable(spec, read_settings())
    with room_required(spec, settings), access_required(spec, settings):
        context = step_context(spec, settings)
        # Before a file is claimed, and once the first version is registered.
        asked = task_instance.task_id in {FIRST, "score"}
        if asked and (owner := context.registry.ownership.owner_if_told()):
            remember(spec.model, owner)
        step = step_named(step_name)
        records = unpack_arguments(step, arguments)
        inside["from"] = time.time()
        with blame_the_place(places([Need.REGISTRY], spec, settings), settings.patience):
            return pack(step(context, *records))


@contextmanager
def words_kept() -> Iterator[None]:
    """Store warnings of the block, and why it is skipped or fails, for the note of the run.

    Airflow deletes the XComs of a failed try, so its warnings are passed on to the next try.
    """
    from include.text.showable import showable_values

    context = get_current_context()
    task_instance = context["ti"]
    between_tries: Any = context.get("task_state_store")
    words: dict[str, Any] = {}
    heard = _Listener()
    if between_tries is not None and task_instance.try_number > 1:
        heard.sentences += between_tries.get(WORDS) or []
    logging.getLogger("ratchet").addHandler(heard)
    try:
        yield
    except NothingToDoError as error:
        words[SKIPPED_BECAUSE] = str(error)
        raise
    except Exception as error:
        is_ours = isinstance(error, RatchetError)
        words[FAILED_BECAUSE] = str(error) if is_ours else f"{type(error).__name__}: {error}"
        if between_tries is not None and heard.sentences:
            between_tries.set(WORDS, showable_values(heard.sentences))
        raise
    finally:
        logging.getLogger("ratchet").removeHandler(heard)
        if heard.sentences:
            words[WARNINGS] = list(dict.fromkeys(heard.sentences))
        if words:
            task_instance.xcom_push(WORDS, showable_values(words))


class _Listener(logging.Handler):
    """A logging handler that collects the messages of warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.sentences: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.sentences.append(record.getMessage())


def run_account() -> Any:
    """Return the account of the current run, from the XComs of the tasks that have ended."""
    context = get_current_context()
    task_instance: Any = context["ti"]
    dag_id, run = context["dag"].dag_id, run_id()
    ended = [
        (one["task_id"], one["state"])
        for one in task_instance.get_task_breadcrumbs(dag_id=dag_id, run_id=run)
    ]
    known = {task_id for task_id, _ in ended}
    traces = Traces(failed=[task_id for task_id, state in ended if state == "failed"])
    for task_id in (one.task_id for one in context["dag"].topological_sort()):
        if task_id in known:
            traces.words[task_id] = (
                BaseXCom.get_all(key=WORDS, dag_id=dag_id, task_id=task_id, run_id=run) or []
            )
    for task_id in known.intersection(RESULTS):
        traces.results[task_id] = task_instance.xcom_pull(task_ids=task_id)
    return account(traces)


def is_left_to_a_person(run: str) -> bool:
    """Return whether the files that a run had claimed are left alone, as a person stopped it.

    The last task of a run always runs. It is skipped only when a person sets the state of a running
    run, and missing when a person deletes the run. A run triggered by hand takes the files all the
    same.
    """
    context = get_current_context()
    if context["dag_run"].run_type == "manual":
        return False
    task_instance: Any = context["ti"]
    of_runs = task_instance.get_task_states(dag_id=context["dag"].dag_id, run_ids=[run])
    tasks = of_runs.get(run)
    return tasks is None or tasks.get(REPORT) == "skipped"


def run_plan() -> Any:
    """Return the JSON of the current run's plan; None when the run has none."""
    return get_current_context()["ti"].xcom_pull(task_ids="plan")


def run_id() -> str:
    """Return the id of the Dag run that the calling task belongs to."""
    return str(get_current_context()["run_id"])


def reachable(spec: Spec, settings: Settings) -> Settings:
    """Return the settings with the bucket's endpoint and keys of the Airflow connection.

    The connection is `ratchet_s3`; without it the environment counts. It is not read while all
    places are local folders.
    """
    if not any(map(is_bucket, (settings.lake_url, settings.landing_url(spec.name, spec.landing)))):
        return settings
    try:
        connection = Connection.get(S3_CONNECTION)
    except AirflowNotFoundException:
        return settings
    return replace(settings, s3=connection_options(connection, connection.extra_dejson))
