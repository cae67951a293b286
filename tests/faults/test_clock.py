import time
from pathlib import Path
from typing import Any

import pytest

from include.spec.model_spec import Spec
from tests.faults import history

DAY = 86_400


def test_a_clock_set_back_changes_nothing(tmp_path: Path, spec: Spec) -> None:
    """Each delivery a day before the one that came earlier: the same rows, files and commits."""
    steady = _one_by_one(tmp_path / "steady", spec, 0)
    assert (steady["commits"], len(steady["rows"])) == (2, 3 * history.ROWS)
    assert _one_by_one(tmp_path / "back", spec, -DAY) == steady


@pytest.mark.parametrize("shift", [-DAY, DAY])
def test_a_file_from_another_time_is_taken(tmp_path: Path, spec: Spec, shift: int) -> None:
    """One that ends in the middle of a line waits for its writer, not until the clock agrees."""
    for name, text in history.files().items():
        history.drop(tmp_path, spec, name, text + "1,", time.time() + shift)
    history.take_in(tmp_path, spec, None, again=False)
    assert not history.waiting(tmp_path, spec)
    assert len(history.state(tmp_path, spec)["rows"]) == 3 * history.ROWS


def _one_by_one(home: Path, spec: Spec, shift: int) -> dict[str, Any]:
    """Deliver file after file, the clock and the files' times moved on by `shift` each time."""
    seconds, nanoseconds = time.time, time.time_ns
    for number, (name, text) in enumerate(history.files().items()):
        off = number * shift
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "time", lambda off=off: seconds() + off)
            patch.setattr(time, "time_ns", lambda off=off: nanoseconds() + off * 10**9)
            history.drop(home, spec, name, text, time.time())
            history.take_in(home, spec, None, again=False)
    return history.state(home, spec)
