"""How a task calls a step: records in and out as plain JSON, the time spent written down.

Steps know nothing of Airflow. This is the one place where a record becomes an XCom, a reason to
stop becomes a skip, and the time inside a step is kept beside its result.
"""

import inspect
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException


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
    from include.settings import read_settings
    from include.spec import read_spec
    from include.workplace import workplace

    task_instance = get_current_context()["ti"]
    at = workplace(read_spec(Path(spec_path)), read_settings())
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
