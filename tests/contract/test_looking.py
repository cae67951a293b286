"""Both ledgers looked at from outside: on a folder, in a bucket, in MLflow."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import polars as pl
import pytest

from demo.data import pulsar_rows
from include.adapters import lake as lakes
from include.adapters.landing import Landing
from include.adapters.registry import Connection, RegistryWatch, connect, registry_watch
from include.context.step_context import StepContext
from include.records.ledger_state import LakeReading, LandingReading, RegistryReading
from include.records.moves import RollBack
from include.records.training import Form
from include.steps.roll_back import roll_back
from tests.contract.pipeline import drop, run, take_in
from tests.seaweed import Bucket

ROWS = pulsar_rows(900, seed=3)
WRITES = (
    *("create_experiment", "create_run", "log_param", "log_metric", "log_batch", "set_tag"),
    *("set_registered_model_alias", "delete_registered_model_alias", "set_registered_model_tag"),
    *("create_registered_model", "set_terminated", "delete_run"),
)


@pytest.fixture(params=["disk", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, str], Path]:
    """Return a place for landing and lake, how to reach it, and a folder to work in."""
    if request.param == "disk":
        return str(tmp_path), {}, tmp_path / "scratch"
    bucket: Bucket = request.getfixturevalue("bucket")
    return bucket.url, dict(bucket.options), tmp_path / "scratch"


def part(key: int, side: str = "train") -> pl.DataFrame:
    """Return a batch of one row."""
    return pl.DataFrame(
        {"a": [1.0], "key_high": [key], "key_low": [0], "side": [side]}
    ).with_columns(label=pl.lit(1, pl.Int8))


def reading(context: StepContext) -> RegistryReading:
    """Return what somebody sees who has never looked before."""
    return RegistryWatch(connected(context), context.spec.gate.metric).look()


def connected(context: StepContext) -> Connection:
    """Return a connection of its own to a context's MLflow."""
    return connect(context.settings.registry_url, context.spec.name, context.spec.model)


class Questions:
    """MLflow's client, which notes every question and forbids every write."""

    def __init__(self, client: Any) -> None:
        """Nothing was asked yet."""
        self._client = client
        self.names: list[str] = []

    def __getattr__(self, name: str) -> Any:
        """Return the client's own method."""
        assert name not in WRITES
        self.names.append(name)
        return getattr(self._client, name)


def watched(context: StepContext) -> tuple[Questions, RegistryWatch]:
    """Return a watch that reads through a client whose questions are noted."""
    connection = connected(context)
    questions = Questions(connection.client)
    return questions, RegistryWatch(replace(connection, client=questions), "f1")


@contextmanager
def requests_counted(questions: Questions) -> Iterator[list[str]]:
    """Note the questions of a block alone."""
    questions.names.clear()
    yield questions.names


def test_landing_tells_what_waits_and_what_was_refused(
    place: tuple[str, dict[str, str], Path],
) -> None:
    """From listings alone; what is still being written counts, markers and drafts do not."""
    url, options, scratch = place
    landing = Landing(f"{url}/landing", f"{url}/lake", options, scratch)
    assert landing.look() == LandingReading(0, 0, None, 0, 0, 0)
    before = time.time()
    landing.drop("one.csv", b"a,b\n1,")
    for name in ("one.csv.done", "two.csv.part", ".hidden"):
        landing.drop(name, b"")
    landing.write_quarantine("a" * 64, [b"line,column,reason,raw\n"])
    seen = landing.look()
    assert (seen.waiting, seen.claimed, seen.refused_files, seen.refused_rows) == (1, 0, 0, 1)
    assert seen.quarantine_bytes == len(b"line,column,reason,raw\n")
    assert seen.oldest == pytest.approx(before, abs=5)
    (delivery,) = landing.claim()
    assert landing.look().claimed == 1
    assert landing.look().oldest is None
    landing.refuse(delivery, "no target column")
    seen = landing.look()
    assert (seen.waiting, seen.claimed, seen.refused_files, seen.refused_rows) == (0, 0, 1, 1)


def test_a_batch_is_told_from_tidying(place: tuple[str, dict[str, str], Path]) -> None:
    """Batches are counted by their ids in the log; a commit that only merges files is none."""
    url, options, scratch = place
    lake = lakes.Lake(f"{url}/lake", options, scratch)
    seen = lakes.LakeWatch(lake)
    assert seen.look() == LakeReading(None, 0, None)
    before = time.time()
    for number in range(33):
        lake.commit(f"{number:064d}", [part(number)], None if number == 0 else number - 1)
    assert seen.look().batches == 33
    lake.compact([])
    after = seen.look()
    assert after.dataset is not None
    assert (after.dataset.version, after.dataset.grown, after.batches) == (33, 32, 33)
    assert after.committed == pytest.approx(before, abs=60)
    assert lakes.LakeWatch(lake).look() == after


def test_a_look_reads_new_commits_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the log is; and all of it when another table came to the place."""
    lake = lakes.Lake(str(tmp_path / "lake"), {}, tmp_path)
    seen, asked = lakes.LakeWatch(lake), []
    commits = lake.commits

    def noted(after: int, up_to: int) -> Any:
        asked.append((after, up_to))
        return commits(after, up_to)

    monkeypatch.setattr(lake, "commits", noted)
    for number in range(3):
        lake.commit(f"{number:064d}", [part(number)], None if number == 0 else number - 1)
        assert seen.look().batches == number + 1
    assert asked == [(-1, 0), (0, 1), (1, 2)]
    (tmp_path / "lake" / "rows").rename(tmp_path / "old")
    assert seen.look() == LakeReading(None, 0, None)
    lake.commit("f" * 64, [part(9)], None)
    assert seen.look().batches == 1
    (tmp_path / "lake" / "rows").rename(tmp_path / "newer")
    (tmp_path / "old").rename(tmp_path / "lake" / "rows")
    assert seen.look().batches == 3


def test_the_registry_before_anything_was_trained(new_context: Callable[[], StepContext]) -> None:
    """Nothing, and looking makes no experiment either."""
    context = new_context()
    questions, seen = watched(context)
    with requests_counted(questions):
        assert seen.look() == RegistryReading(None, (), (), None)
    assert mlflow.MlflowClient().get_experiment_by_name(context.spec.name) is None


def test_runs_decisions_moves_and_arrivals_are_what_the_pipeline_recorded(
    new_context: Callable[[], StepContext],
) -> None:
    """Two trainings, a forced promotion, a roll back and a batch that trained nothing."""
    context = new_context()
    drop(context, ROWS[:300])
    first = run(context, Form(force=True))
    drop(context, ROWS[300:600], "more.csv")
    second = run(context, Form(force=True))
    roll_back(context, RollBack("back", 1, "worse", "Ada"))
    seen = reading(context)
    assert seen.champion == "1"
    assert [str(move.kind) for move in seen.moves] == ["promotion", "promotion", "roll back"]
    assert seen.moves == context.registry.champion.moves()
    assert [one.verdict for one in seen.runs] == ["PROMOTE", "PROMOTE"]
    newest = seen.runs[0]
    assert newest.metrics["challenger_f1"] == second.scores.challenger.figures["f1"]
    assert second.scores.champion is not None
    assert newest.metrics["champion_f1"] == second.scores.champion.figures["f1"]
    assert newest.metrics["batch_new"] == second.batches[0].new
    assert seen.runs[1].metrics["challenger_f1"] == first.scores.challenger.figures["f1"]
    assert all(one.ended and one.ended >= one.started for one in seen.runs)
    assert seen.arrival is not None
    assert seen.arrival.rows == second.batches[0].new
    assert seen.arrival.at <= (newest.ended or 0)


def test_a_look_that_finds_nothing_new_asks_for_the_newest_runs_alone(
    new_context: Callable[[], StepContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four questions; older runs are read when those before them changed, or after an hour."""
    context = new_context()
    ids = [context.registry.runs.open(f"manual__{number}", number, {}) for number in range(25)]
    asked, seen = watched(context)
    assert [one.verdict for one in seen.look().runs] == [""] * 25

    def decide(run_id: str) -> None:
        mlflow.MlflowClient().set_tag(run_id, "ratchet.verdict", "HOLD")

    def decided() -> int:
        with requests_counted(asked) as names:
            found = seen.look().runs
        assert len(found) == 25
        questions.append(len(names))
        return sum(one.verdict == "HOLD" for one in found)

    questions: list[int] = []
    assert decided() == 0
    decide(ids[-1])
    assert decided() == 1
    decide(ids[0])
    assert decided() == 1
    monkeypatch.setattr(registry_watch, "_WHOLE_SECONDS", 0.0)
    found = seen.look().runs
    assert sum(one.verdict == "HOLD" for one in found) == 2
    assert questions == [4, 5, 4]


def test_take_in_without_a_training_is_in_the_lake_alone(
    new_context: Callable[[], StepContext],
) -> None:
    """Batches count when they are committed, not when something is fitted on them."""
    context = new_context()
    drop(context, ROWS[:300])
    take_in(context)
    look = lakes.LakeWatch(context.lake).look()
    assert (look.batches, look.dataset and look.dataset.rows) == (1, 300)
    assert reading(context).runs == ()
