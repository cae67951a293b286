"""Thresholds and decisions hold for any probabilities and any pair of scorecards."""

from dataclasses import replace

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from include.metrics.by_counts import FEW_DISAGREEMENTS
from include.metrics.call_counts import Agreement, count_agreement
from include.records.arrays import Labels, Probabilities
from include.records.judging import Rival, Scorecard, Scores, Verdict
from include.records.proofs import LeakProof
from include.records.training import Form
from include.spec.model_spec import Gate, Selection
from include.stages.decide import LEAST_OF_A_CLASS, decide
from include.stages.select import fold_rows
from tests.judged import F1, score

PROBABILITY = st.one_of(
    st.floats(0, 1), st.sampled_from([0.0, 0.5, float(np.nextafter(0.5, 1)), 1])
)
JUDGED = st.lists(st.tuples(st.integers(0, 1), PROBABILITY), min_size=1, max_size=30)
# Enough of both classes have to be there for a verdict.
HOLDOUT = st.lists(st.tuples(st.integers(0, 1), PROBABILITY, PROBABILITY), max_size=20).map(
    lambda rows: [(0, 0.25, 0.5), (1, 0.75, 0.5)] * LEAST_OF_A_CLASS + rows
)


def arrays(rows: list[tuple[int, float]]) -> tuple[Labels, Probabilities]:
    """Return labels and probabilities."""
    return np.array([y for y, _ in rows], np.int8), np.array([p for _, p in rows])


@given(JUDGED)
def test_no_other_threshold_has_a_better_f1(rows: list[tuple[int, float]]) -> None:
    """Every threshold that calls other rows positive was tried by brute force."""
    y, probability = arrays(rows)
    found = f1_score(y, probability >= F1.tuned(y, probability), zero_division=0.0)
    every = (f1_score(y, probability >= at, zero_division=0.0) for at in probability)
    assert found >= max(every) - 1e-12


@given(JUDGED)
def test_the_threshold_is_a_probability(rows: list[tuple[int, float]]) -> None:
    """It never lies outside of what a model can say."""
    assert 0 <= F1.tuned(*arrays(rows)) <= 1


@given(JUDGED.filter(lambda rows: any(y for y, _ in rows)))
def test_a_bagged_threshold_lies_among_the_probabilities(rows: list[tuple[int, float]]) -> None:
    """However few rows there are and however many of them are equal."""
    y, probability = arrays(rows)
    assert 0 <= F1.tuned_steadily(y, probability, 0) <= np.float32(probability.max())


@given(rows=HOLDOUT, first=PROBABILITY, two=PROBABILITY, force=st.booleans())
def test_the_gate_promotes_only_what_is_better(
    rows: list[tuple[int, float, float]], first: float, two: float, *, force: bool
) -> None:
    """Unless it is forced, and even then never without skill."""
    y = np.array([row[0] for row in rows], np.int8)
    mine, theirs = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    challenger = score(y, mine, first, "2", 1)
    champion = score(y, theirs, two, "1", 1)
    agreement = count_agreement(y, mine >= first, theirs >= two)
    scores = Scores(challenger, Rival(champion, agreement), proofs=PROVEN)
    decision = decide(scores, Form(force=force), Gate())
    if decision.verdict is Verdict.PROMOTE:
        bound = F1.no_skill(challenger.numbers())
        assert challenger.value(F1) > bound
        assert challenger.value(F1) > champion.value(F1) or decision.forced
    if not force:
        assert not decision.forced


COUNTS = st.tuples(*[st.integers(0, 50)] * 4)
PROVEN = (LeakProof("2", 100, 0), LeakProof("1", 100, 0))
CARD = score((np.arange(1000) < 10).astype(np.int8), np.linspace(1, 0, 1000), 0.5, "2", 1)
"""Of rows of which one in a hundred is positive: nearly any F1 is skill there."""


@given(COUNTS.filter(any), COUNTS)
def test_the_gain_is_the_other_way_round_for_the_other_contender(
    positives: tuple[int, int, int, int], negatives: tuple[int, int, int, int]
) -> None:
    """Swapping the contenders turns each resampled gain about; no luck of the draw is left."""
    one, two = F1.gains(Agreement(positives, negatives)), F1.gains(swapped(positives, negatives))
    assert np.array_equal(np.sort(one), np.sort(-two))


def swapped(
    positives: tuple[int, int, int, int], negatives: tuple[int, int, int, int]
) -> Agreement:
    """Return the counts of two models, the other one named first."""
    neither, mine, theirs, both = positives
    neither_no, mine_no, theirs_no, both_no = negatives
    return Agreement((neither, theirs, mine, both), (neither_no, theirs_no, mine_no, both_no))


@given(
    positives=COUNTS.filter(any),
    negatives=COUNTS.filter(any),
    confidence=st.floats(0.5, 0.99),
    looks=st.integers(0, 1000),
)
def test_the_gate_is_symmetric(
    positives: tuple[int, int, int, int],
    negatives: tuple[int, int, int, int],
    confidence: float,
    looks: int,
) -> None:
    """Of two models at most one would be promoted over the other, and never the worse one.

    The share of resampled holdouts that one wins is the share that the other loses. Of few
    calls that differ both may be as likely as not, but not both better.
    """
    rule = Gate(confidence=confidence)
    there = decide(pair(Agreement(positives, negatives), looks), Form(), rule)
    back = decide(pair(swapped(positives, negatives), looks), Form(), rule)
    assume(Verdict.REJECT not in {there.verdict, back.verdict})
    assert not there.verdict is back.verdict is Verdict.PROMOTE
    (won,) = (check.value for check in there.checks if check.name == "beyond_noise")
    (lost,) = (check.value for check in back.checks if check.name == "beyond_noise")
    rival = there.scores.opponent
    assert isinstance(rival, Rival)
    few = rival.agreement.disagreements < FEW_DISAGREEMENTS
    assert won + lost < 1 if few else abs(won + lost - 1) < 1e-9
    for decision in (there, back):
        champion = decision.scores.champion
        assert champion is not None
        if decision.verdict is Verdict.PROMOTE:
            assert decision.scores.challenger.value(F1) > champion.value(F1)


def pair(agreement: Agreement, looks: int) -> Scores:
    """Return the scores of two models of these counts that pass every check of their own."""
    mine, theirs = (
        replace(CARD, figures={**CARD.figures, "f1": f1_of(agreement, bit)}, model_version=name)
        for bit, name in ((1, "2"), (2, "1"))
    )
    return Scores(mine, Rival(theirs, agreement), proofs=PROVEN, looks=looks)


def f1_of(agreement: Agreement, bit: int) -> float:
    """Return the F1 of one of two models whose calls were counted together."""
    positives, negatives = agreement.positives, agreement.negatives
    hits, alarms = (
        sum(counted[i] for i in range(4) if i & bit) for counted in (positives, negatives)
    )
    called_or_positive = hits + alarms + sum(positives)
    return 2 * hits / called_or_positive


@given(
    st.integers(0, 300),
    st.integers(5, 60),
    st.integers(25, 400),
    st.integers(2, 5),
    st.integers(0, 3),
)
def test_no_row_is_fitted_on_and_validated_on(
    negatives: int, positives: int, rows: int, folds: int, seed: int
) -> None:
    """Whatever the part, its folds are disjoint, repeat no row and have both classes."""
    y = np.array([0] * (negatives + 5) + [1] * positives, np.int8)
    numbered = np.arange(len(y), dtype=np.float32)[:, None]
    side = fold_rows(numbered, y, Selection(folds=folds, seed=seed))
    for number in side.folds:
        cut = side.fold(number, min(rows, len(y)))
        both = np.concatenate([cut.X, cut.X_validation])[:, 0]
        assert len(np.unique(both)) == len(both)
        assert np.bincount(cut.y, minlength=2).min() >= 1
        assert np.bincount(cut.y_validation, minlength=2).min() >= 1


def test_a_scorecard_counts_every_row() -> None:
    """The four counts of the confusion matrix are the holdout."""
    card: Scorecard = score(np.array([0, 1, 1], np.int8), np.array([0.1, 0.2, 0.9]), 0.5, "1", 1)
    names = ("true_positives", "false_positives", "true_negatives", "false_negatives")
    assert sum(card.figures[name] for name in names) == card.rows == 3
