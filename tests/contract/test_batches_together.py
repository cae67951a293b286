"""Files that wait together are one commit, in which each batch is whole or absent."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from demo.data import pulsar_rows
from include.adapters.lake import Lake
from include.context.step_context import StepContext
from include.steps.recover import recover
from tests import steps
from tests.contract.lost_rows import sided
from tests.contract.pipeline import drop, rows, take_in

pytestmark = pytest.mark.models_in_memory
ROWS = pulsar_rows(600, seed=5)
PARTS = (ROWS[:150], ROWS[100:300], ROWS[250:400], ROWS[400:])
"""Each of the first three repeats rows of the one before it."""
NEW = (150, 150, 100, 200)


def drop_all(context: StepContext, parts: Iterable[pl.DataFrame] = PARTS) -> None:
    """Drop files in an order that their names give."""
    for number, part in enumerate(parts):
        drop(context, part, f"{number}.csv")


def test_one_commit_names_every_batch(context: StepContext) -> None:
    """Rows that an earlier file of the run brings are duplicates of the later ones."""
    drop_all(context)
    intake = take_in(context)
    assert tuple(batch.new for batch in intake.batches) == NEW
    assert tuple(batch.duplicates for batch in intake.batches) == (0, 50, 50, 0)
    assert {batch.committed for batch in intake.batches} == {0}
    table = DeltaTable(f"{context.lake.url}/rows")
    assert (table.version(), len(table.file_uris())) == (0, 2)
    assert all(context.lake.holds(batch.digest) for batch in intake.batches)
    counted = dict(rows(context).group_by("batch").len().iter_rows())
    assert counted == {batch.digest: batch.new for batch in intake.batches}
    assert context.lake.sides.digests() == set(counted)
    assert not [*Path(context.landing.url).rglob("*.csv")]


def test_the_sides_are_those_of_one_commit_each(
    new_context: Callable[[], StepContext],
) -> None:
    """However files are cut into runs, each row has the same side, and each class its share."""
    together, apart = new_context(), new_context()
    drop_all(together)
    take_in(together)
    for number, part in enumerate(PARTS):
        drop(apart, part, f"{number}.csv")
        take_in(apart)
    assert sided(together).equals(sided(apart))
    dataset = together.lake.dataset()
    assert dataset is not None
    for name, held in dataset.holdout.items():
        assert abs(held - 0.2 * (dataset.train[name] + held)) <= 1


def test_another_label_in_a_later_file_is_a_conflict(context: StepContext) -> None:
    """The first file of the run is right, as the first row of a file is."""
    flipped = ROWS[:20].with_columns((1 - pl.col("class")).alias("class"))
    drop_all(context, (ROWS[:100], flipped, pl.concat([flipped, ROWS[100:110]])))
    intake = take_in(context)
    assert [batch.new for batch in intake.batches] == [100, 0, 10]
    assert [batch.conflicts for batch in intake.batches] == [0, 20, 20]
    assert rows(context).height == 110


def test_somebody_else_commits_in_between(
    context: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then all of them are compared with the table again."""
    drop_all(context, PARTS[1:])
    batches = steps.dedup(context, steps.ingest(context))
    commit, turns = Lake.commit_together, iter([True])

    def late(lake: Lake, *arguments: Any) -> int | None:
        if next(turns, False):
            drop(context, PARTS[0], "other.csv")
            other = [one for one in steps.ingest(context) if one.name == "other.csv"]
            steps.split(context, steps.dedup(context, other))
        return commit(lake, *arguments)

    monkeypatch.setattr(Lake, "commit_together", late)
    intake = steps.split(context, batches)
    assert [batch.new for batch in intake.batches] == [150, 100, 200]
    assert {batch.committed for batch in intake.batches} == {1}
    assert rows(context).select("key_high", "key_low").n_unique() == rows(context).height == 600


def test_a_lost_file_of_several_batches_brings_all_of_them_back(context: StepContext) -> None:
    """Each row on its side."""
    drop_all(context)
    take_in(context)
    before = sided(context)
    next(Path(context.lake.url, "rows").glob("side=train/*")).unlink()
    said = list(recover(context, yes=True))
    assert sum("brought to" in line for line in said) == 4
    take_in(context)
    assert sided(context).equals(before)
    assert not context.lake.repair.short()


def test_a_large_batch_goes_by_itself(
    context: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is compared together fits memory; the order of files stays."""
    monkeypatch.setattr("include.steps.staged_rows._MOST_TOGETHER", 350)
    drop_all(context)
    intake = take_in(context)
    assert tuple(batch.new for batch in intake.batches) == NEW
    assert [batch.committed for batch in intake.batches] == [0, 0, 1, 1]
