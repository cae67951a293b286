from dataclasses import asdict

import numpy as np
import pytest
from sklearn import metrics

from include.stages.score import score

Y = np.array([1, 1, 1, 0, 0, 0, 0, 0], np.int8)
PROBABILITY = np.array([0.9, 0.6, 0.2, 0.7, 0.4, 0.3, 0.1, 0.0])


def test_the_counts_are_those_of_a_case_done_by_hand() -> None:
    """Two of three positives found at 0.6, with one false alarm; the threshold itself counts."""
    card = score(Y, PROBABILITY, 0.6, "3", 7)
    assert (card.model_version, card.data_version, card.rows, card.threshold) == ("3", 7, 8, 0.6)
    assert (card.true_positives, card.false_negatives) == (2, 1)
    assert (card.true_negatives, card.false_positives) == (4, 1)
    assert card.f1 == pytest.approx(4 / 6)
    assert card.accuracy == pytest.approx(6 / 8)
    assert card.brier == pytest.approx(np.mean((PROBABILITY - Y) ** 2))


def test_figures_are_those_of_scikit_learn() -> None:
    """Every metric has the library's own definition."""
    card = asdict(score(Y, PROBABILITY, 0.35, "3", 7))
    called = PROBABILITY >= 0.35
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
    assert card.no_skill_f1 == pytest.approx(metrics.f1_score(Y, np.ones(8)))


def test_a_model_that_calls_nothing_positive_has_f1_zero() -> None:
    """No figure is undefined."""
    card = score(Y, PROBABILITY, 1.0, "3", 7)
    assert (card.f1, card.precision, card.recall, card.mcc) == (0, 0, 0, 0)
