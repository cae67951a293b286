"""What a server is asked before it may serve a challenger, and what counts as another answer."""

import numpy as np
import pytest

from include.stages.preflight import differences, golden_rows
from serving.bundle import Layout

PLAIN = Layout(("height", "width"))
WOODS = Layout(("height", "wood"), {"wood": ("ash", "oak")}, ("height", "wood"))
SAID = np.array([0.2, 0.7, 0.5])
LABELS = ["no", "yes", "yes"]


def test_plain_rows_are_asked_as_they_are() -> None:
    """Where nothing may be missing and nothing is a category there is nothing to vary."""
    rows = [(1.0, 2.0), (3.0, 4.0)]
    assert golden_rows(rows, PLAIN) == rows
    assert golden_rows([], WOODS) == []


def test_gaps_and_unknown_categories_are_asked_too() -> None:
    """Each optional feature missing alone, all of them missing, and a category never seen."""
    rows = [(1.0, "ash"), (2.0, "oak")]
    asked = golden_rows(rows, WOODS)
    assert asked[:2] == rows
    assert (None, "ash") in asked
    assert (2.0, None) in asked
    assert (None, None) in asked
    unseen = {wood for _, wood in asked} - {"ash", "oak", None}
    assert len(unseen) == 1
    assert all(len(row) == 2 for row in asked)


def test_the_same_answers_differ_in_nothing() -> None:
    """Within a millionth, the labels exactly."""
    assert differences(SAID, LABELS, SAID + 9e-7, LABELS) == []


@pytest.mark.parametrize(
    ("answered", "labels", "told"),
    [
        (SAID + np.array([0, 2e-6, 0]), LABELS, "row 1 got yes at 0.700002000"),
        (SAID, ["no", "yes", "no"], "row 2 got no at 0.5"),
        (np.array([0.2, np.nan, 0.5]), LABELS, "row 1 got yes at nan"),
        (SAID[:2], LABELS[:2], "2 answers for 3 rows"),
    ],
    ids=["probability", "label", "no number", "too few"],
)
def test_another_answer_is_told(answered: np.ndarray, labels: list[str], told: str) -> None:
    """One sentence an answer, with both sides of it."""
    (sentence,) = differences(SAID, LABELS, answered, labels)
    assert told in sentence
