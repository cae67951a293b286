"""What is said of a file that is refused, whole or in part, and of labels that look wrong."""

import logging
from pathlib import Path

import polars as pl
import pytest

from include.context.step_context import StepContext
from include.records.data import Fate
from tests.contract.bank import bank_at, bank_rows, deliver, ratchet
from tests.contract.pipeline import rows, take_in
from tests.logs import records_of

pytestmark = pytest.mark.models_in_memory

FIRST = bank_rows(60, seed=1)
MORE = bank_rows(100, seed=2)
HEADER = "age,balance,job,y\n"


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    """Return a context whose contract and table a good file has fixed."""
    context = bank_at(tmp_path)
    deliver(context, FIRST.write_csv(), "first.csv")
    return context


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings of the product, and forget them."""
    found = [one.getMessage() for one in records_of(caplog, "ratchet") if one.levelno > 20]
    caplog.clear()
    return found


def lines(*labels: str, start: int = 0) -> str:
    """Return a file with a row for each label, no two alike."""
    body = [f"{20 + n % 60},{start + n}.5,admin,{label}\n" for n, label in enumerate(labels)]
    return HEADER + "".join(body)


def test_a_file_refused_for_its_rows_says_why(
    context: StepContext, caplog: pytest.LogCaptureFixture
) -> None:
    """In the warning, the record, reason.txt and the list; every bad row is in rows.csv."""
    text = HEADER + "".join(f'"$60,{n:03}.00",{n},admin,no\n' for n in range(50))
    caplog.clear()
    batch = deliver(context, text + "41,2,,maybe\n42,3,,no\n", "march.csv")
    why = (
        "51 of 52 lines are in bad rows, more than the share of 0.5 that the spec allows. "
        "50 rows: column age holds a number in another notation than it should be, "
        "first on line 2: $60,000.00; "
        "1 row: the target y holds neither of the two labels, first on line 52: maybe"
    )
    (warning,) = warnings(caplog)
    assert warning == f"march.csv: {batch.note}"
    assert batch.note.endswith(why)
    assert (batch.fate, batch.read, batch.refused) == (Fate.REFUSED, 52, 51)
    assert [(one.column, one.rows) for one in batch.refused_for] == [("age", 50), ("y", 1)]
    kept = context.landing.read_quarantine(batch.digest)
    assert kept.reason == why
    listed = pl.read_csv(kept.rows or b"", infer_schema=False)
    assert listed["line"].to_list() == [str(number) for number in range(2, 53)]
    assert why in ratchet(context.settings.home, "quarantine", "bank").out
    said = ratchet(context.settings.home, "replay", "bank", batch.digest, "--rows", __file__)
    assert "march.csv was refused whole" in said.err


def test_a_file_refused_for_another_reason_has_no_rows_beside_it(context: StepContext) -> None:
    """Nor those of an earlier try."""
    batch = deliver(context, lines(*["maybe"] * 3), "a.csv")
    assert context.landing.read_quarantine(batch.digest).rows
    ratchet(context.settings.home, "replay", "bank", batch.digest)
    (again,) = take_in(bank_at(context.settings.home, columns=("age", "y"))).batches
    kept = context.landing.read_quarantine(again.digest)
    assert "the first row has 4 fields" in (kept.reason or "")
    assert kept.rows is None


@pytest.mark.parametrize("bad", [1, 37])
def test_rows_refused_in_part_are_a_warning(
    context: StepContext, caplog: pytest.LogCaptureFixture, bad: int
) -> None:
    """The file goes on; the sentence says how many did not, why, and where to look."""
    ages = pl.when(pl.int_range(100) < bad).then(pl.lit("old")).otherwise(pl.col("age"))
    caplog.clear()
    batch = deliver(context, MORE.with_columns(age=ages).write_csv(), "march.csv")
    rows_ = "rows" if bad > 1 else "row"
    assert warnings(caplog) == [
        (
            f"march.csv: {bad} of 100 rows ({bad}.0%) are refused and wait in quarantine, the "
            f"others go on. {bad} {rows_}: column age holds a text where a number belongs, first "
            "on line 2: old. To mend them: ./ratchet quarantine bank"
        )
    ]
    assert (batch.fate, batch.new) == (Fate.GOES_ON, 100 - bad)


def test_a_conflict_is_told_like_any_reason(
    context: StepContext, caplog: pytest.LogCaptureFixture
) -> None:
    """With its row as it came, once, however often history is subtracted."""
    first = FIRST.row(0, named=True)
    other = {"yes": "no", "no": "yes"}[first["y"]]
    text = pl.concat([FIRST[:1].with_columns(y=pl.lit(other)), MORE]).write_csv()
    batch = deliver(context, text, "again.csv")
    (reason,) = batch.refused_for
    assert (reason.column, reason.rows, reason.line) == ("y", 1, 2)
    assert reason.text == text.splitlines()[1]
    assert "the same features are known with another label in y" in warnings(caplog)[-1]


FIRST_LABELS = {
    "two other labels": (
        ["ja"] * 3 + ["nein"] * 17,
        (
            'The target y holds 2 values, where "yes" (positive) and "no" (negative) belong: nein '
            "(17 rows), ja (3 rows). Write in the spec under [data] which is which, for example "
            'positive = "ja" and negative = "nein"'
        ),
    ),
    "two numbers": (["1"] * 3 + ["2.0"] * 17, "for example positive = 1 and negative = 2"),
    "one value": (["ja"] * 20, 'what the two labels are, for example positive = "ja"'),
    "three values": (
        ["red"] * 8 + ["green"] * 7 + ["blue"] * 5,
        (
            'holds 3 values, where "yes" (positive) and "no" (negative) belong: red (8 rows), '
            "green (7 rows), blue (5 rows). Two classes are learned: write them in the spec"
        ),
    ),
    "a number to predict": ([f"{n}.5" for n in range(30)], "That is a number or a name"),
    "one label and another": (["no"] * 17 + ["Yes"] * 3, "no (17 rows), Yes (3 rows). Write in"),
    "seven values": ([*"abcdefg", "a"], "a (2 rows), b (1 row), c (1 row), d (1 row), e (1 row) a"),
}


@pytest.mark.parametrize("kind", FIRST_LABELS)
def test_a_target_without_the_two_labels_is_told(tmp_path: Path, kind: str) -> None:
    """With the values found and the line to write; the file fixes no contract."""
    labels, said = FIRST_LABELS[kind]
    context = bank_at(tmp_path)
    batch = deliver(context, lines(*labels))
    assert said in batch.note
    assert batch.fate is Fate.REFUSED
    assert context.lake.contract() is None


def test_the_line_that_is_said_is_the_line_that_helps(tmp_path: Path) -> None:
    """Written into the spec, the file is taken in as it came."""
    batch = deliver(bank_at(tmp_path), lines("ja", *["nein"] * 19))
    assert 'positive = "ja" and negative = "nein"' in batch.note
    mended = bank_at(tmp_path, positive="ja", negative="nein")
    assert deliver(mended, lines("ja", *["nein"] * 19)).new == 20


@pytest.mark.parametrize("labels", [["1"] * 10 + ["2"] * 10, ["1"] * 98 + ["2"] * 2])
def test_labels_of_another_coding_are_refused(tmp_path: Path, labels: list[str]) -> None:
    """1 and 2 where 1 and 0 belong: the half that looks good would all be positive."""
    context = bank_at(tmp_path, positive=1, negative=0)
    deliver(context, lines(*["0"] * 18, "1", "1"), "first.csv")
    batch = deliver(context, lines(*labels, start=100), "coded.csv")
    assert batch.fate is Fate.REFUSED
    for label in ("1", "2"):
        assert f"{label} ({labels.count(label)} rows)" in batch.note
    assert "made with positive = 1 and negative = 0: write the labels of this file so" in batch.note
    assert rows(context).height == 20


def test_a_slip_of_the_pen_refuses_its_row_alone(context: StepContext) -> None:
    """One odd label in a file of one class says nothing about the others."""
    batch = deliver(context, lines(*["no"] * 19, "maybe", start=500))
    assert (batch.fate, batch.new, batch.refused) == (Fate.GOES_ON, 19, 1)


def test_a_third_value_is_told_though_the_file_is_taken_in(
    context: StepContext, caplog: pytest.LogCaptureFixture
) -> None:
    """Half of the rows, as many as are still allowed: that is said, too."""
    caplog.clear()
    half = ["yes"] * 2 + ["no"] * 8 + ["unknown"] * 10
    batch = deliver(context, lines(*half, start=500), "half.csv")
    assert (batch.fate, batch.new) == (Fate.GOES_ON, 10)
    about_labels, refused = warnings(caplog)
    assert "holds 3 values" in about_labels
    assert "unknown (10 rows), no (8 rows), yes (2 rows)" in about_labels
    assert "10 of 20 rows (50.0%), as many as the spec still allows, are refused" in refused


@pytest.mark.parametrize(
    ("positives", "warned"), [(2, False), (5, False), (18, True), (15, True), (11, False)]
)
def test_exchanged_labels_are_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, positives: int, *, warned: bool
) -> None:
    """A later file with the mirrored share of positives is taken in, and asked about."""
    caplog.set_level(logging.WARNING)
    context = bank_at(tmp_path)
    deliver(context, lines(*["yes"] * 3, *["no"] * 27), "first.csv")
    assert warnings(caplog) == []
    labels = ["yes"] * positives + ["no"] * (20 - positives)
    batch = deliver(context, lines(*labels, start=100), "later.csv")
    assert batch.new == 20
    asked = "were the labels of this file exchanged?"
    assert [asked in one for one in warnings(caplog)] == [True] * warned


def test_a_first_file_that_is_mostly_positive_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Which label is the positive one is easily mistaken."""
    deliver(bank_at(tmp_path), lines(*["yes"] * 18, "no", "no"), "first.csv")
    (warning,) = warnings(caplog)
    assert 'first.csv: 90.0% of the rows are positive (y = "yes"), more than half' in warning
