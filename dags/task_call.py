"""How a task calls a step: records in and out as plain JSON, the time spent written down.

Steps know nothing of Airflow. This is the one place where a record becomes an XCom, a reason to
stop becomes a skip, and the time inside a step is kept beside its result.
"""

import inspect
import time
from collections.abc import Callable
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
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowSkipException
from landing_trigger import S3_CONNECTION, connection_options, is_bucket

from include.errors import (
    ChampionMovedError,
    ContractError,
    GivenBackError,
    ModelRefusedError,
    RollBackError,
    SpecError,
)
from include.settings import Settings, read_settings
from include.spec import Spec, read_spec

_FOR_A_PERSON = (
    SpecError,
    ContractError,
    ChampionMovedError,
    GivenBackError,
    ModelRefusedError,
    RollBackError,
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
    """Make a task of a function whose docstring is what the Airflow UI shows of it."""

    def decorate(function: Callable[..., Any]) -> Any:
        return task(doc_md=inspect.getdoc(function), **options)(function)

    return decorate


def call(step_name: str, spec_path: str, *arguments: Any) -> Any:
    """Run a step of `include.steps` on a spec and return its result as JSON values.

    Arguments arrive as the JSON of an earlier result and become the records that the step's
    annotations name.
    """
    from pydantic import validate_call

    from include import steps
    from include.errors import NothingToDoError
    from include.records import pack
    from include.workplace import workplace

    task_instance = get_current_context()["ti"]
    spec = read_spec(Path(spec_path))
    at = workplace(spec, reachable(spec, read_settings()))
    step: Callable[..., Any] = getattr(steps, step_name)
    checked = validate_call(config={"arbitrary_types_allowed": True})(step)
    started = time.time()
    try:
        return pack(checked(at, *arguments))
    except NothingToDoError as error:
        task_instance.xcom_push("skipped_because", str(error))
        raise AirflowSkipException(str(error)) from error
    finally:
        task_instance.xcom_push("inside", {"from": started, "to": time.time()})


def run_id() -> str:
    """Return the run of the Dag that the calling task belongs to."""
    return str(get_current_context()["run_id"])


def reachable(spec: Spec, settings: Settings) -> Settings:
    """Return the settings with the bucket's endpoint and keys from Airflow, if it knows them.

    Nobody is asked while everything is in folders; without a connection `ratchet_s3` the
    environment counts.
    """
    if not any(map(is_bucket, (settings.lake_url, settings.landing_url(spec.name, spec.landing)))):
        return settings
    try:
        connection = Connection.get(S3_CONNECTION)
    except AirflowNotFoundException:
        return settings
    return replace(settings, s3=connection_options(connection, connection.extra_dejson))
