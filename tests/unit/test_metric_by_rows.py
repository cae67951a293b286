"""A metric that counts do not determine decides too: its gains are drawn where the rows are."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np
import pytest

from include import metrics
from include.metrics import Figures, Objective
from include.metrics.class_shares import positive_share
from include.metrics.predictions import Labels, Numbers, ThresholdedProbability
from include.metrics.resampling import DRAWS
from include.records.judging import Rival, Scorecard, Scores, Verdict
from include.records.proofs import LeakProof
from include.records.training import Form
from include.reports.decision_page import render
from include.spec.model_spec import Gate
from include.stages.decide import decide
from tests.judged import score

RNG = np.random.default_rng(3)
Y = (RNG.random(400) < 0.3).astype(np.int8)
PROVEN = (LeakProof("2", 4000, 0), LeakProof("1", 4000, 0))


@dataclass(frozen=True)
class DrawnGains:
    """The gains on resampled rows."""

    rows: int
    gains: tuple[float, ...]


class SquaredError(Objective):
    """The mean squared distance of probability and label; the smaller, the better."""

    name, title, greater_is_better = "squared_error", "squared error", False
    without_skill = "giving every row the share of positives"

    def value(self, y: Labels, predictions: ThresholdedProbability) -> float:
        """Return the mean."""
        return float(np.mean(self._of_rows(y, predictions)))

    def no_skill(self, figures: Figures) -> float:
        """Return the variance of the labels."""
        share = positive_share(figures)
        return share * (1 - share)

    def paired(  # type: ignore[override]  # a kind of evidence of its own
        self, y: Labels, challenger: ThresholdedProbability, champion: ThresholdedProbability
    ) -> DrawnGains:
        """Draw the rows here; the gate gets the gains alone."""
        gained = self._of_rows(y, champion) - self._of_rows(y, challenger)
        rows = np.random.default_rng(0).integers(0, len(y), (DRAWS, len(y)))
        return DrawnGains(len(y), tuple(gained[rows].mean(axis=1).tolist()))

    def gains(self, paired: DrawnGains) -> Numbers:  # type: ignore[override]
        """Return what was drawn."""
        return np.array(paired.gains)

    def exact(self, paired: DrawnGains) -> None:  # type: ignore[override]
        """Return nothing: the two differ on every row."""

    def mistakes(self, paired: DrawnGains) -> None:  # type: ignore[override]
        """Return nothing: any rows tell which model is better."""

    def _of_rows(self, y: Labels, predictions: ThresholdedProbability) -> Numbers:
        return (predictions.probability - y) ** 2


@pytest.fixture
def metric(monkeypatch: pytest.MonkeyPatch) -> Iterator[SquaredError]:
    """Add the metric to the registry."""
    module = ModuleType("include.metrics.squared_error")
    module.METRIC = metric = SquaredError()  # type: ignore[attr-defined,abstract]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(metrics, "METRICS", (*metrics.METRICS, "squared_error"))
    for cached in (metrics.metrics, metrics.metric_named):
        cached.cache_clear()
    yield metric
    for cached in (metrics.metrics, metrics.metric_named):
        cached.cache_clear()


def said(noise: float) -> ThresholdedProbability:
    """Return the predictions of a model that errs by so much."""
    return ThresholdedProbability(np.clip(0.6 * Y + 0.2 + RNG.normal(0, noise, len(Y)), 0, 1), 0.5)


@pytest.mark.parametrize(
    ("mine", "theirs", "verdict"),
    [(0.05, 0.25, Verdict.PROMOTE), (0.25, 0.05, Verdict.HOLD), (0.2, 0.2, Verdict.HOLD)],
)
def test_the_gate_sees_gains_alone(
    metric: SquaredError, mine: float, theirs: float, verdict: Verdict
) -> None:
    """The smaller value wins where it does so beyond noise, and the page draws what was drawn."""
    challenger, champion = said(mine), said(theirs)

    def card(predictions: ThresholdedProbability, version: str) -> Scorecard:
        known = score(Y, predictions.probability, 0.5, version, 1)
        value = metric.value(Y, predictions)
        return replace(known, figures={**known.figures, metric.name: value})

    evidence = metric.paired(Y, challenger, champion)
    rival = Rival(card(champion, "1"), evidence)  # type: ignore[arg-type]
    scores = Scores(card(challenger, "2"), rival, proofs=PROVEN, metric=metric.name)
    decision = decide(scores, Form(), Gate())
    assert decision.verdict is verdict
    checks = {check.name: check for check in decision.checks}
    assert checks["no_skill"].passed
    assert checks["better"].ceiling
    assert checks["better"].passed is (scores.challenger.value(metric) < rival.card.value(metric))
    assert "The gain in squared error on resampled holdouts" in render("Rows", decision, {})
