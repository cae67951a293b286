"""What a person is told who mistyped a name."""

import pytest

from include.text.nearest import did_you_mean, nearest_name


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("default", ["loan_id", "defaulted"], "defaulted"),
        ("c", ["C", "max_iter"], "C"),
        ("AMOUNT", ["amount", "opened"], "amount"),
        ("x", ["amount", "opened"], None),
        ("amount", [], None),
    ],
)
def test_the_nearest_name_is_found_whatever_its_case(
    word: str, known: list[str], meant: str | None
) -> None:
    """One letter in another case is no other word."""
    assert nearest_name(word, known) == meant


def test_names_that_differ_only_in_case_are_all_named() -> None:
    """Which of them was meant is for the person to say."""
    assert did_you_mean("amont", ["amount", "Amount"]) == "; did you mean Amount or amount?"
