"""What is odd about a file as a whole is told, whether it is taken in or not."""

import logging
from pathlib import Path

import pytest

from include.context.step_context import StepContext
from tests.contract.bank import bank_at, deliver
from tests.logs import records_of

pytestmark = pytest.mark.models_in_memory

HEADER = "age,balance,job,y\n"


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    """Return a context that has seen no file."""
    return bank_at(tmp_path)


def body(*labels: str, start: int = 0, balance: str = "{}.5") -> str:
    """Return a row for each label, no two alike."""
    return "".join(
        f"{20 + n % 60},{balance.format(start + n)},admin,{label}\n"
        for n, label in enumerate(labels)
    )


def warned(caplog: pytest.LogCaptureFixture) -> str:
    """Return the warnings of the product."""
    return "\n".join(
        one.getMessage() for one in records_of(caplog, "ratchet") if one.levelno >= logging.WARNING
    )


@pytest.mark.parametrize("called", ["Y", "Y_", "yy"])
def test_a_target_under_a_near_name_is_named(context: StepContext, called: str) -> None:
    """With what to write in the file, or in the spec."""
    text = HEADER.replace(",y\n", f",{called}\n") + body("yes", "no")
    note = deliver(context, text).note
    assert "no target column 'y'; the header starts age, balance, job" in note
    assert f"did you mean {called}? Call it y in the file, or write target = " in note
    assert note.endswith(f'target = "{called}" under [data] in the spec')


def test_a_target_under_no_near_name_is_guessed_at_by_nobody(context: StepContext) -> None:
    """A wrong file is called that and nothing else."""
    note = deliver(context, "left,right\n1,2\n").note
    assert note.endswith("no target column 'y'; the header starts left, right")


def test_a_missing_column_beside_a_new_one_is_asked_about(tmp_path: Path) -> None:
    """Where the column may not be missing, too."""
    context = bank_at(tmp_path, missing=(), required=("age",))
    deliver(context, HEADER + body(*["yes", "no"] * 20))
    note = deliver(context, HEADER.replace("age", "Age") + body("yes", "no", start=90)).note
    assert note.endswith(
        "1 of 3 feature columns are missing: age; new are Age: where one was renamed, give it its "
        "old name"
    )


def test_a_target_that_is_empty_in_every_row_is_called_empty(context: StepContext) -> None:
    """In the refusal, and in the note for its sender."""
    batch = deliver(context, HEADER + body(*[""] * 40), "march.csv")
    why = 'The target y is empty in 40 rows: each needs "yes" (positive) or "no" (negative) there'
    assert why in batch.note
    assert why in Path(context.landing.url, "refused", "march.csv.txt").read_text()


def test_a_first_file_without_a_positive_row_is_told(
    context: StepContext, caplog: pytest.LogCaptureFixture
) -> None:
    """Before a run skips for want of them."""
    deliver(context, HEADER + body(*["no"] * 40))
    assert 'no row is positive (y = "yes"): nothing can be learned until some come' in warned(
        caplog
    )


def test_a_later_file_without_a_positive_row_is_as_usual(
    context: StepContext, caplog: pytest.LogCaptureFixture
) -> None:
    """Small files often have none."""
    deliver(context, HEADER + body(*["yes", "no", "no"] * 20))
    deliver(context, HEADER + body(*["no"] * 5, start=500))
    assert "positive" not in warned(caplog)


@pytest.mark.parametrize("which", ["first", "later"])
def test_a_column_without_any_value_is_told(
    context: StepContext, caplog: pytest.LogCaptureFixture, which: str
) -> None:
    """A feature that nobody fills teaches a model nothing."""
    if which == "later":
        deliver(context, HEADER + body(*["yes", "no", "no"] * 20))
        assert "has no value" not in warned(caplog)
    batch = deliver(context, HEADER + body(*["no", "no", "yes"] * 10, balance=""), "march.csv")
    assert batch.new
    assert "march.csv: column balance has no value in any row" in warned(caplog)


@pytest.mark.parametrize("labels", [("1", "0"), ("true", "false"), ("Y", "N"), ("1", "-1")])
def test_the_label_that_affirms_is_proposed_as_the_positive_one(
    context: StepContext, labels: tuple[str, str]
) -> None:
    """Whichever comes first or is the rarer."""
    positive, negative = labels
    for rows in ([positive, negative] * 20, [negative] * 5 + [positive] * 35):
        note = deliver(context, HEADER + body(*rows, start=len(set(rows[:3])))).note
        shown = [word if word.strip("-").isdigit() else f'"{word}"' for word in labels]
        assert f"for example positive = {shown[0]} and negative = {shown[1]}" in note


def test_a_mark_of_a_gap_far_behind_the_start_is_told(
    context: StepContext, caplog: pytest.LogCaptureFixture
) -> None:
    """As one in the first rows, in the run in which its file came."""
    rows = [f"{n % 90},{n},x,{'yes' if n % 3 else 'no'}" for n in range(600_000)]
    rows[-1] = "?,7,x,no"
    batch = deliver(context, HEADER + "\n".join(rows) + "\n", "march.csv")
    assert (batch.note, batch.refused) == ("", 0)
    assert "march.csv: column age: ? among its numbers counts as missing" in warned(caplog)


def test_a_mark_of_a_gap_in_a_later_file_is_told_too(
    context: StepContext, caplog: pytest.LogCaptureFixture
) -> None:
    """Where gaps are allowed it costs no row, so that nobody else would ask what it means."""
    deliver(context, HEADER + body(*["yes", "no", "no"] * 20) + ",7,x,no\n")
    assert "counts as missing" not in warned(caplog)
    later = deliver(context, HEADER + "?,6,x,no\n41,8,x,yes\n-,9,x,no\n", "march.csv")
    assert (later.note, later.refused, later.new) == ("", 0, 3)
    assert "march.csv: column age: ?, - among its numbers count as missing" in warned(caplog)


def test_a_column_of_numbers_and_many_words_is_asked_about(context: StepContext) -> None:
    """In a first file; the words would be lost with their rows, and nobody could ask for them."""
    rows = [f"{n},{'several' if n % 4 == 0 else n},x,{'yes' if n % 3 else 'no'}" for n in range(99)]
    text = HEADER + "\n".join(rows) + "\n"
    refused = deliver(context, text)
    assert "column balance holds numbers, and other texts in 25 of 99 rows" in refused.note
    assert "list the column in `categorical`" in refused.note
    assert "first on line 2: several" in refused.note
    deliver(context, text.replace("several", ""))
    later = deliver(context, text.replace("several", "many"))
    assert (later.note, later.refused) == ("", 25)
