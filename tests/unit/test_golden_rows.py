"""What a server is asked before it may serve a challenger, and what counts as another answer."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from include.stages.preflight import differences, golden_rows
from serving.bundle import Bundle, Layout, Manifest

PLAIN = Layout(("height", "width"))
WOODS = Layout(("height", "wood"), {"wood": ("ash", "oak")}, ("height", "wood"))
SAID = np.array([0.2, 0.7, 0.5])
LABELS = ["no", "yes", "yes"]
LARGEST = float(np.finfo(np.float32).max)


class Half:
    """A model that says .5, but raises at numbers above a limit and wavers above another."""

    def __init__(self, limit: float = np.inf, wavers: float = np.inf) -> None:
        """Keep the limits."""
        self.limit, self.wavers = limit, wavers

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[Any]:
        """Answer."""
        if (np.abs(X) > self.limit).any():
            raise ValueError("too large")
        said = np.where((np.abs(X) > self.wavers).any(axis=1), 1 / (1 + len(X)), 0.5)
        return np.column_stack([1 - said, said])


def bundle(layout: Layout, **limits: float) -> Bundle:
    """Return a bundle of such a model."""
    return Bundle(Manifest("boxes", "half", layout, 0.5, ("0", "1"), 1), Half(**limits))


def test_numbers_at_the_edges_are_asked() -> None:
    """Both zeros, the smallest and the largest that 32 bits hold, in one feature and in all."""
    rows = [(1.0, 2.0), (3.0, 4.0)]
    asked = golden_rows(rows, bundle(PLAIN))
    assert asked[:2] == rows
    assert {(LARGEST, LARGEST), (-LARGEST, -LARGEST), (0.0, 0.0)} <= {*asked}
    assert any((row[0] == LARGEST) != (row[1] == LARGEST) for row in asked)
    assert all(np.isfinite(np.float32(value)) for row in asked for value in row)
    assert golden_rows([], bundle(WOODS)) == []


@pytest.mark.parametrize("limits", [{"limit": 1e6}, {"wavers": 1e6}], ids=["raises", "wavers"])
def test_rows_of_which_the_model_is_not_sure_are_not_asked(limits: dict[str, float]) -> None:
    """What it cannot score, or scores otherwise in company, holds nobody to anything."""
    asked = golden_rows([(1.0, 2.0)], bundle(PLAIN, **limits))
    assert len(asked) > 5
    assert np.abs(np.array(asked, dtype=np.float64)).max() < 1e6


def test_gaps_and_unknown_categories_are_asked_too() -> None:
    """Each optional feature missing alone, all of them missing, a category never seen, no text."""
    rows = [(1.0, "ash"), (2.0, "oak")]
    asked = golden_rows(rows, bundle(WOODS))
    assert asked[:2] == rows
    assert {(None, None)} <= {*asked}
    assert any(height is None and wood is not None for height, wood in asked)
    assert any(height is not None and wood is None for height, wood in asked)
    unseen = {wood for _, wood in asked} - {"ash", "oak", None}
    assert "" in unseen
    assert len(unseen) == 2
    assert all(len(row) == 2 for row in asked)


def outputs(probability: np.ndarray, labels: list[str]) -> dict[str, list[Any]]:
    """Return the outputs of an answer."""
    return {"probability": probability.tolist(), "label": labels}


def test_the_same_answers_differ_in_nothing() -> None:
    """Within a millionth, the labels exactly."""
    assert differences(outputs(SAID, LABELS), outputs(SAID + 9e-7, LABELS)) == []


@pytest.mark.parametrize(
    ("answered", "labels", "sentence_given"),
    [
        (SAID + np.array([0, 2e-6, 0]), LABELS, "row 1 got yes at 0.700002000"),
        (SAID, ["no", "yes", "no"], "row 2 got no at 0.5"),
        (np.array([0.2, np.nan, 0.5]), LABELS, "row 1 got yes at nan"),
        (SAID[:2], LABELS[:2], "2 answers for 3 rows"),
    ],
    ids=["probability", "label", "no number", "too few"],
)
def test_another_answer_is_told(
    answered: np.ndarray, labels: list[str], sentence_given: str
) -> None:
    """One sentence an answer, with both sides of it."""
    (sentence,) = differences(outputs(SAID, LABELS), outputs(answered, labels))
    assert sentence_given in sentence
