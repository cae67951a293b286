"""Pins the spec of a run when the run is planned, whatever happens to the file afterwards.

A person may edit, break or copy a spec at any moment. The task `plan` stores the text of the file
as an XCom, and every later task of the run reads that, so that a change takes effect in the next
run. When `plan` is cleared, the run reads the file again.
"""

from pathlib import Path
from typing import Any

from run_account import DEDUP, INGEST, SPLIT

from include.errors import SpecError
from include.spec.model_spec import Spec
from include.spec.spec_files import parse_spec, spec_text

FIRST, PLAN = INGEST, "plan"
_INTAKE = frozenset({FIRST, DEDUP, SPLIT, PLAN})
_KEY = "spec"


def spec_of_run(path: Path, task_instance: Any) -> Spec:
    """Return the spec for a task of a run, or raise SpecError where the run has none.

    Up to `plan` that is the file, or what it was when the run began where it is broken by now.
    """
    is_intake = task_instance.task_id in _INTAKE
    pinned = "" if is_intake else _pinned(task_instance, PLAN)
    if pinned:
        return parse_spec(path, pinned)
    try:
        text = spec_text(path)
        spec = parse_spec(path, text)
    except SpecError:
        text = "" if task_instance.task_id == FIRST else _pinned(task_instance, FIRST)
        if not text:
            raise
        spec = parse_spec(path, text)
    if task_instance.task_id in {FIRST, PLAN}:
        task_instance.xcom_push(_KEY, text)
    return spec


def _pinned(task_instance: Any, by: str) -> str:
    """Return the text of the spec that a task of this run has pinned; empty without one."""
    return str(task_instance.xcom_pull(task_ids=by, key=_KEY) or "")
