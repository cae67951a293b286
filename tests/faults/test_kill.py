import multiprocessing
import random
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from include.spec.model_spec import Spec
from tests.faults import history
from tests.suite_profile import PROFILE

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["tests.faults.history"])
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, spec: Spec) -> dict[str, Any]:
    """Return the state after a history in which nothing fails."""
    home = tmp_path_factory.mktemp("undisturbed")
    history.lay_out(home, spec)
    _run_on(home, spec)
    return history.state(home, spec)


def test_the_history_is_worth_killing(undisturbed: dict[str, Any]) -> None:
    """It has a commit of three batches, repeats, conflicts, bad rows, and a file twice."""
    assert undisturbed["commits"] == 0
    assert len(undisturbed["rows"]) == 3 * history.ROWS
    assert sorted(Path(name).name for name in undisturbed["archive"]) == [
        "1 first.csv",
        "2 repeats and conflicts.csv",
        "4 bad rows.csv",
        "5 the first again.csv",
    ]
    assert sorted(Path(name).name for name in undisturbed["quarantine"]) == [
        "3 nothing of ours.csv",
        "reason.txt",
        "rows.csv",
        "rows.csv",
    ]
    assert undisturbed["notes"] == [
        "refused/2 repeats and conflicts.csv.txt",
        "refused/3 nothing of ours.csv.txt",
        "refused/4 bad rows.csv.txt",
    ]
    assert undisturbed["landing"] == undisturbed["staged"] == {}


@pytest.mark.parametrize("again", [True, False], ids=["retried", "new run"])
def test_killed_at_every_door(
    undisturbed: dict[str, Any], tmp_path: Path, spec: Spec, *, again: bool
) -> None:
    """Killed before and after each call to landing or lake, then run on: the same end."""
    die_at, killed = 0, True
    while killed:
        die_at += PROFILE.kill_stride
        home = tmp_path / str(die_at)
        history.lay_out(home, spec)
        killed = _finish(_start(home, spec, die_at, again=False)) != 0
        _run_on(home, spec, again=again)
        assert history.state(home, spec) == undisturbed, f"killed at call {die_at}"
    assert die_at > 50


def test_killed_at_any_instant(undisturbed: dict[str, Any], tmp_path: Path, spec: Spec) -> None:
    """Killed at random instants, several times in one history: the same end."""
    chance = random.Random(3)
    span = _timed(lambda: _finish(_whole(tmp_path / "timed", spec)))
    killed = 0
    for number in range(PROFILE.kills):
        home = tmp_path / str(number)
        history.lay_out(home, spec)
        for _ in range(chance.randint(1, 3)):
            process = _start(home, spec, None, again=chance.random() < 0.5)
            process.join(chance.uniform(0, span))
            process.kill()
            killed += _finish(process) != 0
        _run_on(home, spec, again=chance.random() < 0.5)
        assert history.state(home, spec) == undisturbed, f"instant {number}"
    assert killed > PROFILE.kills // 2


def test_two_runs_at_once_count_every_row_once(
    undisturbed: dict[str, Any], tmp_path: Path, spec: Spec
) -> None:
    """Two processes claim, ingest and commit the same files at the same time."""
    for number in range(max(2, PROFILE.kills // 10)):
        home = tmp_path / str(number)
        history.lay_out(home, spec)
        both = [_start(home, spec, None, again=False, run=name) for name in ("one", "two")]
        for process in both:
            _finish(process)
        _run_on(home, spec, again=False)
        found = history.state(home, spec)
        assert found["rows"] == undisturbed["rows"], f"round {number}"
        assert found["archive"] == undisturbed["archive"]
        assert found["landing"] == {}


def _whole(home: Path, spec: Spec) -> BaseProcess:
    history.lay_out(home, spec)
    return _start(home, spec, None, again=False)


def _start(
    home: Path, spec: Spec, die_at: int | None, *, again: bool, run: str = "run"
) -> BaseProcess:
    process = FORK.Process(
        target=history.take_in, args=(home, spec, die_at), kwargs={"again": again, "run": run}
    )
    process.start()
    return process


def _finish(process: BaseProcess) -> int:
    process.join(PATIENCE_SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
        pytest.fail("a run did not end")
    return process.exitcode


def _run_on(home: Path, spec: Spec, *, again: bool = False) -> None:
    """Run until nothing waits; every such run has to succeed."""
    assert _finish(_start(home, spec, None, again=again)) == 0
    if history.waiting(home, spec):
        assert _finish(_start(home, spec, None, again=False)) == 0


def _timed(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began
