"""Rows that have ids: what a later delivery says of an id replaces what the table has of it."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from include.context.step_context import StepContext
from include.errors import NothingToDoError
from include.records.data import Fate
from include.records.row_columns import Side
from include.steps.migrate import migrate
from include.steps.recover import recover
from include.steps.replay import take
from tests.contract.bank import bank_at, bank_rows, deliver
from tests.contract.pipeline import rows, take_in
from tests.released.first_format import write_first_format

pytestmark = pytest.mark.models_in_memory
WHAT = ["id", "age", "balance", "job", "label"]


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    """Return a context of rows that have an id."""
    return bank_at(tmp_path, id="customer")


def customers(number: int, seed: int = 1, start: int = 0) -> pl.DataFrame:
    """Return rows with ids that count on from `start`."""
    found = bank_rows(number, seed)
    return found.with_columns(customer=pl.int_range(start, start + found.height))


def changed(frame: pl.DataFrame, customer: int, **values: object) -> pl.DataFrame:
    """Return rows of which one customer's has other values."""
    is_it = pl.col("customer") == customer
    return frame.with_columns(
        pl.when(is_it).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


def held(context: StepContext) -> pl.DataFrame:
    """Return the rows of the table by id: what they hold, and where they stand."""
    return rows(context).select(*WHAT, "side").sort("id")


def the_row(context: StepContext, customer: int) -> dict[str, object]:
    """Return the row of a customer."""
    return rows(context).filter(id=str(customer)).row(0, named=True)


def on_side(context: StepContext, side: Side) -> list[int]:
    """Return the customers on a side."""
    found = rows(context).filter(side=side)["id"].cast(pl.Int64).sort()
    return found.to_list()


def test_equal_features_under_two_ids_are_two_rows_on_one_side(context: StepContext) -> None:
    """Whatever their labels; nothing is a conflict."""
    first = customers(60)
    twins = first.head(20).with_columns(customer=pl.col("customer") + 1000, y=pl.lit("yes"))
    assert deliver(context, first.write_csv(), "a.csv").new == first.height
    batch = deliver(context, twins.write_csv(), "b.csv")
    assert (batch.new, batch.duplicates, batch.refused, batch.corrections) == (20, 0, 0, 0)
    sides = rows(context).group_by("key_high", "key_low").agg(pl.col("side").n_unique(), pl.len())
    assert sides["side"].max() == 1
    assert sides.filter(pl.col("len") == 2).height == 20


def test_a_correction_replaces_the_row_on_its_side(context: StepContext) -> None:
    """In one commit; the old row stays readable in the old version."""
    first = customers(150)
    deliver(context, first.write_csv(), "a.csv")
    before = the_row(context, 7)
    batch = deliver(context, changed(first, 7, age=17, y="yes").write_csv(), "b.csv")
    assert (batch.new, batch.duplicates, batch.corrections) == (0, first.height - 1, 1)
    assert batch.committed == 1
    now = the_row(context, 7)
    assert (now["age"], now["label"], now["side"]) == (17, 1, before["side"])
    assert rows(context).height == first.height
    older = pl.read_delta(f"{context.lake.url}/rows", version=0).filter(id="7")
    assert (older.height, older["age"][0]) == (1, before["age"])


def test_the_data_set_counts_what_is_there(context: StepContext) -> None:
    """Rows per side and class, from the log alone."""
    first = customers(150)
    deliver(context, first.write_csv(), "a.csv")
    relabelled = first.with_columns(y=pl.lit("yes"))
    deliver(context, relabelled.write_csv(), "b.csv")
    dataset = context.lake.dataset()
    assert dataset is not None
    assert (dataset.rows, dataset.positives) == (first.height, first.height)
    assert dataset.train_rows == rows(context).filter(side="train").height


def test_the_same_rows_in_another_file_change_nothing(context: StepContext, tmp_path: Path) -> None:
    """No version comes of it, whatever the format."""
    first = customers(60)
    deliver(context, first.write_csv(), "a.csv")
    first.write_parquet(tmp_path / "b.parquet")
    batch = deliver(context, (tmp_path / "b.parquet").read_bytes(), "b.parquet")
    assert (batch.new, batch.duplicates, batch.corrections) == (0, first.height, 0)
    assert context.lake.version() == 0


def test_a_file_that_was_corrected_since_is_still_known(context: StepContext) -> None:
    """Its bytes say nothing new, though the table has not all of its rows any more."""
    first = customers(150)
    deliver(context, first.write_csv(), "a.csv")
    deliver(context, changed(first, 7, age=17).write_csv(), "b.csv")
    assert deliver(context, first.write_csv(), "a.csv").fate is Fate.KNOWN
    assert the_row(context, 7)["age"] == 17
    assert list(recover(context, yes=False)) == ["the table lacks nothing that was ingested"]


def test_a_correction_with_a_twin_that_trains_leaves_the_holdout(context: StepContext) -> None:
    """No row of the holdout has the features of one that trains."""
    first = customers(150)
    deliver(context, first.write_csv(), "a.csv")
    mine, other = on_side(context, Side.HOLDOUT)[0], on_side(context, Side.TRAIN)[0]
    like = first.filter(customer=other).row(0, named=True)
    values = {name: like[name] for name in ("age", "balance", "job")}
    deliver(context, changed(first, mine, **values).write_csv(), "b.csv")
    assert mine in on_side(context, Side.TRAIN)


def test_a_correction_that_trains_takes_its_twins_along(context: StepContext) -> None:
    """They leave the holdout in the same commit, and stay of their batch."""
    first = customers(150)
    deliver(context, first.write_csv(), "a.csv")
    batch_of_first = rows(context)["batch"][0]
    mine, other = on_side(context, Side.TRAIN)[0], on_side(context, Side.HOLDOUT)[0]
    like = first.filter(customer=other).row(0, named=True)
    values = {name: like[name] for name in ("age", "balance", "job")}
    deliver(context, changed(first, mine, **values).write_csv(), "b.csv")
    assert {mine, other} <= set(on_side(context, Side.TRAIN))
    assert the_row(context, other)["batch"] == batch_of_first
    assert rows(context).height == first.height


def test_features_that_trained_train_again(context: StepContext) -> None:
    """A champion was fitted on them, though the row with them was corrected."""
    first = customers(150)
    deliver(context, first.write_csv(), "a.csv")
    trained = on_side(context, Side.TRAIN)[:20]
    for number, customer in enumerate(trained[:4]):
        first = changed(first, customer, age=200 + number)
        deliver(context, first.write_csv(), f"b{number}.csv")
    original = customers(150).filter(pl.col("customer").is_in(trained[:4]))
    again = original.with_columns(customer=pl.col("customer") + 1000)
    deliver(context, again.write_csv(), "c.csv")
    assert {one + 1000 for one in trained[:4]} <= set(on_side(context, Side.TRAIN))


@pytest.mark.parametrize("loss", ["table", "file"])
def test_a_table_that_was_lost_comes_back_with_its_corrections(
    context: StepContext, loss: str
) -> None:
    """Batches come again in their order, each row on its side; nothing is corrected back."""
    first = customers(150)
    deliver(context, first.write_csv(), "a.csv")
    second = changed(changed(first, 7, age=17), 9, y="yes")
    deliver(context, pl.concat([second, customers(40, 2, 500)]).write_csv(), "b.csv")
    was = held(context)
    table = Path(context.lake.url, "rows")
    if loss == "table":
        shutil.rmtree(table)
    else:
        max(table.glob("side=train/*.parquet"), key=lambda path: path.stat().st_size).unlink()
    list(recover(context, yes=True))
    take_in(context)
    assert held(context).equals(was)
    assert list(recover(context, yes=False)) == ["the table lacks nothing that was ingested"]


def test_too_many_other_features_wait_until_a_person_takes_them(context: StepContext) -> None:
    """As where ids begin at 0 again; what is new in such a file waits with them."""
    first = customers(100)
    deliver(context, first.write_csv(), "a.csv")
    restarted = customers(100, seed=5)
    batch = deliver(context, restarted.write_csv(), "b.csv")
    assert batch.fate is Fate.REFUSED
    assert "known ids in customer (100.0%) come with other features than before" in batch.note
    assert context.lake.version() == 0
    take(context, batch.digest)
    (taken,) = take_in(context).batches
    assert (taken.new + taken.corrections + taken.duplicates, taken.fate) == (
        restarted.height,
        Fate.GOES_ON,
    )
    with pytest.raises(NothingToDoError):
        take(context, batch.digest)


def test_two_files_of_one_run_correct_one_another_in_their_order(context: StepContext) -> None:
    """The second is compared with what the first has changed."""
    first = customers(150)
    deliver(context, first.write_csv(), "a.csv")
    context.landing.drop("b.csv", changed(first, 7, age=17).write_csv().encode())
    context.landing.drop("c.csv", changed(first, 7, age=18).write_csv().encode())
    batches = take_in(context).batches
    assert [batch.corrections for batch in batches] == [1, 1]
    assert the_row(context, 7)["age"] == {"b.csv": 17, "c.csv": 18}[batches[-1].name]


def test_files_that_wait_together_are_one_commit_as_far_as_they_are_of_other_ids(
    context: StepContext,
) -> None:
    """One that speaks of an id before it is compared with what that file has changed."""
    rows_of = customers(200, 3)
    for number in range(10):
        context.landing.drop(
            f"{number}.csv", rows_of[number * 20 : number * 20 + 20].write_csv().encode()
        )
    batches = take_in(context).batches
    assert {batch.committed for batch in batches} == {0}
    more = customers(150, 4, 1000)
    context.landing.drop("a.csv", more.write_csv().encode())
    context.landing.drop("b.csv", changed(more, 1007, age=17).write_csv().encode())
    context.landing.drop("c.csv", customers(10, 5, 2000).write_csv().encode())
    done = {batch.name: batch for batch in take_in(context).batches}
    assert done["b.csv"].corrections + done["a.csv"].corrections == 1
    assert {batch.committed for batch in done.values()} == {1, 2}
    assert rows(context).height == 200 + more.height + 10


def test_rows_of_an_older_release_get_their_ids_when_they_come_again(context: StepContext) -> None:
    """On the sides where they stand; from then on they can be corrected."""
    first = customers(150)
    side = pl.when(pl.col("age") % 5 == 0).then(pl.lit("holdout")).otherwise(pl.lit("train"))
    label = (pl.col("y") == "yes").cast(pl.Int8)
    older = first.select(pl.col("age").cast(pl.Float64), "balance", "job", label=label, side=side)
    write_first_format(context, [older])
    list(migrate(context))
    batch = deliver(context, first.head(100).write_csv(), "again.csv")
    assert (batch.new, batch.duplicates, batch.rewritten) == (0, 100, 100)
    assert rows(context)["id"].null_count() == first.height - 100
    assert (
        held(context)["side"].value_counts(sort=True).equals(older["side"].value_counts(sort=True))
    )
    batch = deliver(context, changed(first, 7, age=17).write_csv(), "changed.csv")
    assert (batch.new, batch.corrections) == (0, 1)
    assert rows(context).height == first.height
    assert rows(context)["id"].null_count() == 0
