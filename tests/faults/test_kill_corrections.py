"""Deliveries that correct rows, taken in by a process that is killed: the end is the same."""

import multiprocessing
import random
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from demo.data import pulsar_rows
from include.spec.model_spec import Spec
from tests.faults import history
from tests.suite_profile import PROFILE

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["tests.faults.history"])
PATIENCE_SECONDS = 60
ROWS = 400


@pytest.fixture(scope="module")
def stars(spec: Spec) -> Spec:
    """Return a spec whose rows have an id."""
    return spec.model_copy(update={"data": spec.data.model_copy(update={"id": "star"})})


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, stars: Spec) -> dict[str, Any]:
    """Return the state after these deliveries when nothing fails."""
    home = tmp_path_factory.mktemp("undisturbed")
    lay_out(home, stars)
    assert finish(start(home, stars, None)) == 0
    return history.state(home, stars)


def lay_out(home: Path, spec: Spec) -> None:
    """Drop the files, in their order."""
    history.lay_out(home, spec, dropped=deliveries())


def deliveries() -> dict[str, str]:
    """Return files of new rows, of corrections, of twins, and one whose ids begin anew."""
    rows = pulsar_rows(3 * ROWS, seed=7).with_row_index("star")
    first, second, third = (rows[start : start + ROWS] for start in range(0, 3 * ROWS, ROWS))
    is_changed = pl.col("star").is_in([3, 50, 120])
    features = [name for name in first.columns if name not in {"star", "class"}]
    corrected = first.with_columns(
        pl.when(is_changed).then(pl.col(features[0]) + 1).otherwise(features[0]),
        pl.when(pl.col("star") == 7).then(1 - pl.col("class")).otherwise("class").alias("class"),
    )
    twins = first.tail(20).with_columns(pl.col("star") + 5000)
    like = pl.concat([corrected[:3], first[200:203]]).select(features)
    moved = corrected[:3].select("star", "class").hstack(like[3:]).select(first.columns)
    return {
        "1 first.csv": first.write_csv(),
        "2 corrected.csv": pl.concat([second, corrected]).write_csv(),
        "3 twins.csv": pl.concat([third, twins]).write_csv(),
        "4 moved.csv": pl.concat([moved, corrected[3:]]).write_csv(),
        "5 anew.csv": second.with_columns(pl.col("star") - ROWS).write_csv(),
        "6 the first again.csv": first.write_csv(),
    }


def start(home: Path, spec: Spec, die_at: int | None, *, again: bool = False) -> BaseProcess:
    """Start a run."""
    process = FORK.Process(
        target=history.take_in, args=(home, spec, die_at), kwargs={"again": again}
    )
    process.start()
    return process


def finish(process: BaseProcess) -> int:
    """Wait for a run and return its exit code."""
    process.join(PATIENCE_SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
        pytest.fail("a run did not end")
    return process.exitcode


def run_on(home: Path, spec: Spec, *, again: bool) -> None:
    """Run until nothing waits; every such run has to succeed."""
    assert finish(start(home, spec, None, again=again)) == 0
    if history.waiting(home, spec):
        assert finish(start(home, spec, None)) == 0


def test_the_deliveries_are_worth_killing(undisturbed: dict[str, Any]) -> None:
    """Rows are replaced and added, a file waits as suspicious, and one comes twice."""
    assert len(undisturbed["rows"]) == 3 * ROWS + 20
    assert undisturbed["notes"] == ["refused/5 anew.csv.txt"]
    assert any("suspicious/" in name for name in undisturbed["refusals"])
    assert any("trained/" in name for name in undisturbed["kept beside the archive"])
    assert undisturbed["landing"] == undisturbed["staged"] == {}


@pytest.mark.parametrize("again", [True, False], ids=["retried", "new run"])
def test_corrections_survive_a_kill_at_every_door(
    undisturbed: dict[str, Any], tmp_path: Path, stars: Spec, *, again: bool
) -> None:
    """Killed before and after calls to landing or lake, then run on: the same end."""
    die_at, killed = 0, True
    while killed:
        die_at += 2 * PROFILE.kill_stride + 1
        home = tmp_path / str(die_at)
        lay_out(home, stars)
        killed = finish(start(home, stars, die_at)) != 0
        run_on(home, stars, again=again)
        assert history.state(home, stars) == undisturbed, f"killed at call {die_at}"
    assert die_at > 50


def test_corrections_survive_a_kill_at_any_instant(
    undisturbed: dict[str, Any], tmp_path: Path, stars: Spec
) -> None:
    """Killed at random instants, several times in one history: the same end."""
    chance = random.Random(5)
    began = time.monotonic()
    lay_out(tmp_path / "timed", stars)
    finish(start(tmp_path / "timed", stars, None))
    span = time.monotonic() - began
    for number in range(max(2, PROFILE.kills // 4)):
        home = tmp_path / str(number)
        lay_out(home, stars)
        for _ in range(chance.randint(1, 3)):
            process = start(home, stars, None, again=chance.random() < 0.5)
            process.join(chance.uniform(0, span))
            process.kill()
            finish(process)
        run_on(home, stars, again=chance.random() < 0.5)
        assert history.state(home, stars) == undisturbed, f"instant {number}"
