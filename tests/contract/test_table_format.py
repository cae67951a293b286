"""The table of format 2: how it is laid out, and which rows are the same row."""

import os
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import polars as pl
import pytest
from deltalake import DeltaTable

from include.context.step_context import StepContext
from include.records.row_columns import Side
from tests.contract.lost_rows import land_again, lose_table
from tests.contract.pipeline import drop, stored_rows, take_in

pytestmark = pytest.mark.models_in_memory
TARGET = "class"


def frame(rows: int, seed: int = 0) -> pl.DataFrame:
    """Return numbers that no float32 holds, and a target."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(0, 1, (rows, 4)) / 3
    return pl.DataFrame(numbers, [f"x{at}" for at in range(4)]).with_columns(
        pl.Series(TARGET, (numbers[:, 0] > 0.2).astype(np.int64))
    )


def parquet(rows: pl.DataFrame) -> bytes:
    """Return a file of rows, their types kept."""
    buffer = BytesIO()
    rows.write_parquet(buffer)
    return buffer.getvalue()


def test_rows_that_a_model_cannot_tell_apart_are_one_row(context: StepContext) -> None:
    """As float64, as float32, and as decimal texts with fewer or more digits: all are known."""
    rows = frame(5000)
    narrow = rows.cast({pl.Float64: pl.Float32})
    context.landing.drop("a.parquet", parquet(rows))
    assert [batch.new for batch in take_in(context).batches] == [5000]
    context.landing.drop("b.parquet", parquet(narrow))
    drop(context, narrow, "c.csv")
    drop(context, rows, "d.csv")
    drop(context, narrow.cast({pl.Float32: pl.Float64}), "e.csv")
    taken = {batch.name: (batch.new, batch.duplicates) for batch in take_in(context).batches}
    assert taken == dict.fromkeys(("b.parquet", "c.csv", "d.csv", "e.csv"), (0, 5000))


def test_equal_rows_of_two_types_share_a_side(context: StepContext) -> None:
    """With another label as well: what a train row says of features is not asked of the holdout."""
    rows = frame(500)
    context.landing.drop("a.parquet", parquet(rows))
    take_in(context)
    other = rows.cast({pl.Float64: pl.Float32}).with_columns((1 - pl.col(TARGET)).alias(TARGET))
    context.landing.drop("b.parquet", parquet(other))
    assert [batch.conflicts for batch in take_in(context).batches] == [500]


def test_the_table_says_its_format_and_the_side_alone_parts_it(filled: StepContext) -> None:
    """The label is a text, the time of arrival is the batch's, and two files come with a batch."""
    table = DeltaTable(f"{filled.lake.url}/rows")
    assert table.metadata().configuration["ratchet.format"] == "2"
    assert table.metadata().partition_columns == ["side"]
    assert len(table.file_uris()) == 6
    rows = stored_rows(filled)
    assert set(rows["label"]) == {"negative", "positive"}
    assert rows["arrived_at"].dtype == pl.Datetime("us", "UTC")
    assert rows.group_by("batch").agg(pl.col("arrived_at").n_unique())["arrived_at"].max() == 1
    assert rows["arrived_at"].n_unique() == 3


def test_classes_are_counted_without_a_look_at_a_row(filled: StepContext) -> None:
    """The log states them for every file, also for merged ones."""
    rows = stored_rows(filled)
    for path in DeltaTable(f"{filled.lake.url}/rows").file_uris():
        os.truncate(path, 4)
    dataset = filled.lake.dataset()
    assert dataset is not None
    for side, counts in ((Side.TRAIN, dataset.train), (Side.HOLDOUT, dataset.holdout)):
        for label, count in counts.items():
            assert rows.filter(side=side, label=label).height == count


def test_a_window_of_time_is_a_condition_on_a_scan(filled: StepContext) -> None:
    """Rows that arrived since the second delivery."""
    version, contract = filled.lake.version(), filled.lake.require_contract()
    assert version is not None
    rows = stored_rows(filled)
    since = sorted(rows["arrived_at"].unique())[1]
    layout = filled.lake.layout(version, contract)
    X, y = filled.lake.matrix(version, Side.TRAIN, layout, pl.col("arrived_at") >= since)
    wanted = rows.filter(pl.col("arrived_at") >= since, side="train")
    assert len(X) == len(y) == wanted.height < rows.filter(side="train").height
    assert int(y.sum()) == wanted.filter(label="positive").height
    counts = filled.lake.classes(version, Side.TRAIN, pl.col("arrived_at") < since)
    assert sum(counts.values()) == rows.filter(pl.col("arrived_at") < since, side="train").height


def test_a_batch_that_comes_again_from_the_archive_arrived_when_it_did(filled: StepContext) -> None:
    """Its first arrival is stored beside the archive."""
    before = stored_rows(filled).select("batch", "arrived_at").unique().sort("batch")
    assert max(before["arrived_at"].to_list()) < datetime.now(UTC)
    lose_table(filled)
    land_again(filled)
    take_in(filled)
    after = stored_rows(filled).select("batch", "arrived_at").unique().sort("batch")
    assert after.equals(before)
