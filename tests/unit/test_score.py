import numpy as np
import pytest
from sklearn import metrics

from include.metrics.expected_calibration_error import calibration_error
from include.records.arrays import Matrix
from include.spec.model_spec import Slice
from include.stages.score import members
from serving.bundle import Layout
from tests.judged import F1, score, score_slice

Y = np.array([1, 1, 1, 0, 0, 0, 0, 0], np.int8)
PROBABILITY = np.array([0.9, 0.6, 0.2, 0.7, 0.4, 0.3, 0.1, 0.0])


def test_the_counts_are_those_of_a_case_done_by_hand() -> None:
    """Two of three positives found at 0.6, with one false alarm; the threshold itself counts."""
    card = score(Y, PROBABILITY, 0.6, "3", 7)
    assert (card.model_version, card.data_version, card.rows) == ("3", 7, 8)
    figures = card.figures
    assert figures["threshold"] == 0.6
    assert (figures["true_positives"], figures["false_negatives"]) == (2, 1)
    assert (figures["true_negatives"], figures["false_positives"]) == (4, 1)
    assert figures["f1"] == pytest.approx(4 / 6)
    assert figures["accuracy"] == pytest.approx(6 / 8)
    assert figures["brier"] == pytest.approx(np.mean((PROBABILITY - Y) ** 2))


def test_figures_are_those_of_scikit_learn() -> None:
    """Every metric has the library's own definition."""
    card = score(Y, PROBABILITY, 0.35, "3", 7).figures
    called = PROBABILITY >= 0.35
    assert card["f1"] == metrics.f1_score(Y, called)
    assert card["precision"] == metrics.precision_score(Y, called)
    assert card["recall"] == metrics.recall_score(Y, called)
    assert card["balanced_accuracy"] == metrics.balanced_accuracy_score(Y, called)
    assert card["mcc"] == metrics.matthews_corrcoef(Y, called)
    assert card["roc_auc"] == metrics.roc_auc_score(Y, PROBABILITY)
    assert card["average_precision"] == metrics.average_precision_score(Y, PROBABILITY)
    assert card["log_loss"] == metrics.log_loss(Y, PROBABILITY)


def test_no_skill_is_the_f1_of_calling_every_row_positive() -> None:
    """The bound that the first champion has to beat is one that anybody can reach."""
    card = score(Y, PROBABILITY, 0.5, "3", 7)
    assert F1.no_skill(card.numbers()) == pytest.approx(metrics.f1_score(Y, np.ones(8)))


def test_a_model_that_calls_nothing_positive_has_f1_zero() -> None:
    """No figure is undefined."""
    figures = score(Y, PROBABILITY, 1.0, "3", 7).figures
    assert [figures[name] for name in ("f1", "precision", "recall", "mcc")] == [0, 0, 0, 0]


def test_the_calibration_error_is_that_of_a_case_done_by_hand() -> None:
    """In each of ten bins the mean probability is 0.05 above the share that happened."""
    share = np.repeat(np.arange(10) / 10, 20)
    y = np.tile(np.arange(20), 10) < share * 20
    assert calibration_error(y.astype(np.int8), share + 0.05) == pytest.approx(0.05)
    assert calibration_error(y.astype(np.int8), share) == pytest.approx(0.0)


def test_a_model_that_says_the_same_of_every_row_may_be_calibrated() -> None:
    """Rows of equal probability share a bin, so nothing is made of their order."""
    assert calibration_error(Y, np.full(8, 3 / 8)) == pytest.approx(0.0)
    assert calibration_error(Y, np.full(8, 1.0)) == pytest.approx(5 / 8)


LAYOUT = Layout(("age", "job"), {"job": ("clerk", "nurse")}, ("age", "job"))
ROWS: Matrix = np.array(
    [[17.5, 0], [18, 1], [64.9, 1], [65, np.nan], [np.nan, 0], [0.1, 1]], np.float32
)


@pytest.mark.parametrize(
    ("part", "inside"),
    [
        ({"column": "age", "at_least": 18}, [0, 1, 1, 1, 0, 0]),
        ({"column": "age", "below": 18}, [1, 0, 0, 0, 0, 1]),
        ({"column": "age", "at_least": 18, "below": 65}, [0, 1, 1, 0, 0, 0]),
        ({"column": "age", "at_least": 0.1}, [1, 1, 1, 1, 0, 1]),
        ({"column": "age", "below": 0.1}, [0, 0, 0, 0, 0, 0]),
        ({"column": "age", "values": (18, 0.1)}, [0, 1, 0, 0, 0, 1]),
        ({"column": "job", "values": ("nurse",)}, [0, 1, 1, 0, 0, 1]),
        ({"column": "job", "values": ("nurse", "clerk")}, [1, 1, 1, 0, 1, 1]),
        ({"column": "job", "values": ("baker",)}, [0, 0, 0, 0, 0, 0]),
    ],
)
def test_which_rows_belong_to_a_slice(part: dict[str, object], inside: list[int]) -> None:
    """By categories, by numbers as the matrix rounds them, by a range; what is missing never."""
    found = members(ROWS, LAYOUT, Slice.model_validate({"name": "s"} | part))
    assert found.tolist() == [bool(one) for one in inside]


def test_a_slice_is_scored_by_the_calls_on_its_rows() -> None:
    """Both contenders' F1 and how they agree; without a champion only the challenger's."""
    mine, theirs = PROBABILITY >= 0.6, PROBABILITY >= 0.15
    both = score_slice("young", Y[:5], mine[:5], theirs[:5])
    assert (both.name, both.rows, both.counts) == ("young", 5, {"positives": 3})
    assert both.challenger == metrics.f1_score(Y[:5], mine[:5])
    assert both.champion == metrics.f1_score(Y[:5], theirs[:5])
    assert both.agreement is not None
    assert both.agreement.rows == 5
    alone = score_slice("young", Y[:5], mine[:5])
    assert (alone.champion, alone.agreement) == (None, None)


def test_a_slice_without_a_row_is_no_error() -> None:
    """A category may be so rare that no holdout row has it."""
    none = score_slice("rare", Y[:0], Y[:0] > 0, Y[:0] > 0)
    assert (none.rows, none.counts["positives"]) == (0, 0)
    assert (none.challenger, none.champion) == (0, 0)
