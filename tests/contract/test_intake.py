"""From dropped files to rows in the lake, and where everything else stays."""

import polars as pl
import pytest

from demo.data import pulsar_rows
from include.context.step_context import StepContext
from include.errors import NothingToDoError
from include.records.data import Intake
from include.records.training import Form
from tests import steps
from tests.contract.pipeline import drop, rows, take_in

pytestmark = pytest.mark.models_in_memory


def test_broken_rows_stay_in_quarantine_with_their_reasons(context: StepContext) -> None:
    """Line, column, reason and text of a bad row are kept; a conflict of labels is one of them."""
    header, one, two, *others = pulsar_rows(50, seed=3).write_csv().splitlines()
    spoilt = "broken" + two[two.index(",") :]
    conflict = f"{one[:-1]}{1 - int(one[-1])}"
    short = b"1,\xff"
    text = "\n".join([header, one, spoilt, conflict, *others]).encode() + b"\n" + short + b"\n"
    context.landing.drop("bad.csv", text)
    (batch,) = take_in(context).batches
    assert (batch.read, batch.new, batch.refused) == (52, 49, 3)
    assert sum(batch.reasons.values()) == 3
    table = pl.read_csv(
        context.landing.read_quarantine(batch.digest).rows or b"", infer_schema=False
    )
    assert table.select("line", "column", "reason", "raw").rows() == [
        ("3", "profile_0", "not a number", spoilt),
        ("4", "class", "the same features are known with another label", conflict),
        ("53", "", "bytes that are not UTF-8", r"1,\xff"),
    ]


def test_a_file_that_cannot_be_trusted_harms_no_other(context: StepContext) -> None:
    """It lies in quarantine with its reason; the good one beside it is committed."""
    drop(context, "what,is,this\n1,2,3\n", "bad.csv")
    drop(context, pulsar_rows(50, seed=3), "good.csv")
    by_name = {batch.name: batch for batch in take_in(context).batches}
    assert "no target column 'class'" in by_name["bad.csv"].note
    assert by_name["good.csv"].new == 50
    kept = context.landing.read_quarantine(by_name["bad.csv"].digest)
    assert "no target column 'class'" in (kept.reason or "")
    with context.landing.open_refused(by_name["bad.csv"].digest) as (name, file):
        assert (name, file.readline()) == ("bad.csv", b"what,is,this\n")


def test_a_header_alone_is_refused_and_fixes_nothing(context: StepContext) -> None:
    """It says nothing about its columns, so the file after it is the first."""
    for name, text in {"1.csv": "profile_0,class\n", "2.csv": "profile_0,class\n\n"}.items():
        drop(context, text, name)
    assert {batch.note.rpartition(": ")[2] for batch in take_in(context).batches} == {
        "the file has a header and no row"
    }
    assert context.lake.contract() is None
    drop(context, pulsar_rows(50, seed=3), "3.csv")
    assert take_in(context).batches[0].new == 50


def test_two_files_of_the_same_bytes_in_one_run_count_once(context: StepContext) -> None:
    """Their rows are committed, and nothing of either file is left to claim."""
    same = pulsar_rows(50, seed=3)
    drop(context, same, "one.csv")
    drop(context, same, "two.csv")
    assert sum(batch.new for batch in take_in(context).batches) == 50
    assert rows(context).height == 50
    assert steps.ingest(context) == []


def test_files_of_the_first_run_agree_on_their_columns(context: StepContext) -> None:
    """The first file's columns hold for those after it, though nothing is committed yet."""
    some = pulsar_rows(90, seed=3)
    drop(context, some[:30], "1.csv")
    drop(
        context,
        some[30:60].with_columns(extra=pl.lit(1.0)).select(sorted([*some.columns, "extra"])),
    )
    drop(context, some[60:].drop("profile_0"), "3.csv")
    batches = {batch.name: batch for batch in take_in(context).batches}
    known = set(context.lake.require_contract().features)
    assert batches["1.csv"].new == batches["batch.csv"].new == 30
    assert "1 of 8 feature columns are missing" in batches["3.csv"].note
    assert known == {f"profile_{number}" for number in range(8)}


def test_with_nothing_landed_ever_a_run_ends_early(context: StepContext) -> None:
    """An empty folder is no error."""
    intake = take_in(context)
    assert intake == Intake((), None)
    with pytest.raises(NothingToDoError, match="no row has ever landed"):
        steps.plan(context, intake, Form(), "manual__empty")


def test_too_few_rows_of_a_class_end_a_run_with_the_counts(context: StepContext) -> None:
    """Five folds want five positives on the train side."""
    many = pulsar_rows(300, seed=4)
    drop(context, pl.concat([many.filter(pl.col("class") == side)[:5] for side in (0, 1)]))
    with pytest.raises(NothingToDoError, match=r"too few .* for 5 folds: train .*4 positive"):
        steps.plan(context, take_in(context), Form(), "manual__few")


def test_a_run_that_died_after_ingest_loses_nothing(context: StepContext) -> None:
    """The next run claims what the dead one had claimed, and commits it."""
    drop(context, pulsar_rows(50, seed=3))
    steps.ingest(context)
    (batch,) = take_in(context).batches
    assert (batch.new, rows(context).height) == (50, 50)
