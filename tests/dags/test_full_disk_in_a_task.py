"""A task on a full disk says so, and where."""

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest
import task_call

from include.context.step_context import StepContext
from include.errors import FullDiskError
from include.spec.model_spec import Spec


def _full(_: StepContext) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_task_names_the_disk_that_is_full(
    tmp_path: Path, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a step was writing, its error names the place and not a number of the system."""
    task = SimpleNamespace(xcom_push=lambda *_: None, try_number=1, task_id="ingest")
    monkeypatch.setattr(task_call, "get_current_context", lambda: {"ti": task})
    monkeypatch.setattr(task_call, "spec_of_run", lambda *_: spec)
    monkeypatch.setattr(task_call, "step_named", lambda _: _full)
    monkeypatch.setenv("RATCHET_HOME", str(tmp_path))
    with pytest.raises(FullDiskError, match="no space is left on the disk with"):
        task_call.call("ingest", "pulsars.toml")
