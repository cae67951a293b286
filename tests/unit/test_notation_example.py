"""What a person is shown of how a column writes its values."""

import pytest

from serving.values.notation import PLAIN, Notation, example, number_reader

NOTATIONS = [
    PLAIN,
    Notation(decimal=",", thousands=".", currency="€"),
    Notation(thousands=" ", percent=True),
    Notation(currency="$", thousands=",", parentheses=True),
]


@pytest.mark.parametrize("notation", NOTATIONS)
def test_an_example_is_read_in_its_own_notation(notation: Notation) -> None:
    """Whoever writes such a text is understood."""
    assert number_reader(notation)(example(notation)) == 1234.5


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%d-%b-%y", "%Y-%m-%d", "%b %Y"])
def test_an_example_of_a_date_is_read_as_that_date(form: str) -> None:
    """Its day cannot be taken for a month."""
    read = number_reader(Notation(date=form))(example(Notation(date=form)))
    assert read in {20088.0, 20058.0}


def test_an_example_of_truths_names_both() -> None:
    """There are no others."""
    assert example(Notation(boolean=True)) == "true or false"
