"""A file whose ids seem to name other things than before waits until a person takes it."""

from pathlib import Path

import polars as pl
import pytest

from include.context.step_context import StepContext
from include.errors import NothingToDoError
from include.records.data import Fate
from include.steps.replay import list_quarantine, take
from tests.contract import bank
from tests.contract.bank import bank_at, bank_rows, deliver, ratchet
from tests.contract.pipeline import rows, take_in

pytestmark = pytest.mark.models_in_memory
SPEC = bank.SPEC.replace('target = "y"', 'target = "y"\nid = "customer"')


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    """Return a context of rows that have an id."""
    return bank_at(tmp_path, id="customer")


def customers(number: int, seed: int, repeated: int = 0) -> pl.DataFrame:
    """Return rows with ids, of which the last ones have the ids of the first."""
    found = bank_rows(number, seed)
    ids = pl.int_range(found.height, eager=True)
    last = ids >= found.height - repeated
    return found.with_columns(
        customer=pl.select(pl.when(last).then(found.height - 1 - ids).otherwise(ids)).to_series()
    )


def note(context: StepContext, name: str) -> str:
    """Return a note to the sender of a file."""
    return Path(context.landing.url, "refused", name).read_text()


def test_a_first_file_whose_ids_come_again_waits_and_fixes_nothing(context: StepContext) -> None:
    """A column of something that has many rows names no row."""
    batch = deliver(context, customers(100, 1, repeated=40).write_csv(), "first.csv")
    assert batch.fate is Fate.REFUSED
    assert "40 of 40 known ids in customer (100.0%) come with other features" in batch.note
    assert f"./ratchet take bank {batch.digest[:12]}" in batch.note
    assert context.lake.contract() is None
    assert context.lake.version() is None


def test_a_later_file_waits_and_stops_no_other(context: StepContext) -> None:
    """It stands in quarantine as a file that was refused whole, and its sender is told."""
    deliver(context, customers(60, 1).write_csv(), "first.csv")
    context.landing.drop("good.csv", customers(50, 2).with_columns(
        customer="g" + pl.col("customer").cast(pl.String)
    ).write_csv().encode())  # fmt: skip
    odd = customers(90, 3, repeated=30).with_columns("o" + pl.col("customer").cast(pl.String))
    context.landing.drop("odd.csv", odd.write_csv().encode())
    fates = {batch.name: batch.fate for batch in take_in(context).batches}
    assert fates == {"good.csv": Fate.GOES_ON, "odd.csv": Fate.REFUSED}
    (waiting,) = list_quarantine(context)
    assert waiting.name == "odd.csv"
    assert "come with other features than before" in waiting.reason
    assert "come with other features" in note(context, "odd.csv.txt")


def test_what_a_person_takes_is_taken_in_as_it_is(context: StepContext) -> None:
    """Under its own digest, and nothing of it waits any more."""
    odd = deliver(context, customers(100, 1, repeated=40).write_csv(), "first.csv")
    name = take(context, odd.digest[:8])
    (batch,) = take_in(context).batches
    assert (batch.digest, batch.name, batch.fate) == (odd.digest, name, Fate.GOES_ON)
    assert rows(context).height > 0
    assert list_quarantine(context) == []


def test_only_what_waits_as_suspicious_can_be_taken(context: StepContext) -> None:
    """Another refusal is no question to a person."""
    deliver(context, customers(60, 1).write_csv(), "first.csv")
    refused = deliver(context, "a,b\n1,2\n", "other.csv")
    with pytest.raises(NothingToDoError, match="does not wait as suspicious"):
        take(context, refused.digest)
    with pytest.raises(NothingToDoError, match="no batch in quarantine begins with ffffffff"):
        take(context, "ffffffff")


def test_labels_that_differ_do_not_make_a_file_wait(context: StepContext) -> None:
    """The same features under the same id, with another label."""
    first = customers(60, 1)
    both = pl.concat([first, first.with_columns(y=pl.lit("yes"))])
    assert deliver(context, both.write_csv(), "first.csv").fate is Fate.GOES_ON


def test_the_command_takes_it(context: StepContext, tmp_path: Path) -> None:
    """As the sentence says."""
    odd = deliver(context, customers(100, 1, repeated=40).write_csv(), "first.csv")
    said = ratchet(tmp_path, "take", "bank", odd.digest[:12], spec=SPEC)
    assert (said.code, said.err) == (0, "")
    assert said.out.endswith("; the next run takes it as it is\n")
    assert take_in(context).batches[0].fate is Fate.GOES_ON


def test_quarantine_lists_the_ids_of_refused_rows(context: StepContext) -> None:
    """Beside line and column, and in the note to the sender."""
    first = customers(60, 1)
    bad = first.with_columns(
        age=pl.when(pl.col("customer") == 7).then(pl.lit("old")).otherwise(pl.col("age")),
        customer=pl.when(pl.col("customer") == 9).then(None).otherwise(pl.col("customer")),
    )
    batch = deliver(context, bad.write_csv(), "first.csv")
    table = context.landing.read_quarantine(batch.digest).rows
    assert table is not None
    listed = pl.read_csv(table, schema_overrides={"id": pl.String})
    assert listed.columns == ["line", "id", "column", "reason", "raw"]
    assert listed.select("line", "id", "column", "reason").rows() == [
        (9, "7", "age", "not a number"),
        (11, "", "customer", "missing value"),
    ]
    assert "line 9 (id 7), age: " in note(context, "first.csv.txt")
