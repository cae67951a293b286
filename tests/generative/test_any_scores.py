"""Thresholds and decisions hold for any probabilities and any pair of scorecards."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from include.arrays import Labels, Probabilities
from include.records import Agreement, Form, Scorecard, Scores, Verdict
from include.spec import Gate, Selection
from include.stages.promote import gains, promote
from include.stages.score import agree, score
from include.stages.select import best_threshold, sample

PROBABILITY = st.one_of(
    st.floats(0, 1), st.sampled_from([0.0, 0.5, float(np.nextafter(0.5, 1)), 1])
)
JUDGED = st.lists(st.tuples(st.integers(0, 1), PROBABILITY), min_size=1, max_size=30)
# Both classes have to be there for a scorecard.
HOLDOUT = st.lists(st.tuples(st.integers(0, 1), PROBABILITY, PROBABILITY), max_size=20).map(
    lambda rows: [(0, 0.25, 0.5), (1, 0.75, 0.5), *rows]
)


def arrays(rows: list[tuple[int, float]]) -> tuple[Labels, Probabilities]:
    """Return labels and probabilities."""
    return np.array([y for y, _ in rows], np.int8), np.array([p for _, p in rows])


@given(JUDGED)
def test_no_other_threshold_has_a_better_f1(rows: list[tuple[int, float]]) -> None:
    """Every threshold that calls other rows positive was tried by brute force."""
    y, probability = arrays(rows)
    found = f1_score(y, probability >= best_threshold(y, probability), zero_division=0.0)
    every = (f1_score(y, probability >= at, zero_division=0.0) for at in probability)
    assert found >= max(every) - 1e-12


@given(JUDGED)
def test_the_threshold_is_a_probability(rows: list[tuple[int, float]]) -> None:
    """It never lies outside of what a model can say."""
    assert 0 <= best_threshold(*arrays(rows)) <= 1


@given(rows=HOLDOUT, one=PROBABILITY, two=PROBABILITY, force=st.booleans())
def test_the_gate_promotes_only_what_is_better(
    rows: list[tuple[int, float, float]], one: float, two: float, *, force: bool
) -> None:
    """Unless it is forced, and even then never without skill."""
    y = np.array([row[0] for row in rows], np.int8)
    mine, theirs = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    challenger = score(y, mine, one, "2", 1)
    champion = score(y, theirs, two, "1", 1)
    agreement = agree(y, mine >= one, theirs >= two)
    decision = promote(Scores(challenger, champion, agreement), Form(force=force), Gate())
    if decision.verdict is Verdict.PROMOTE:
        assert challenger.f1 > challenger.no_skill_f1
        assert challenger.f1 > champion.f1 or decision.forced
    if not force:
        assert not decision.forced


COUNTS = st.tuples(*[st.integers(0, 50)] * 4)


@given(COUNTS.filter(any), COUNTS)
def test_the_gain_is_the_other_way_round_for_the_other_contender(
    positives: tuple[int, int, int, int], negatives: tuple[int, int, int, int]
) -> None:
    """Swapping the contenders turns the resampled gains about, but for the luck of the draw."""
    one = gains(Agreement(positives, negatives))
    neither, mine, theirs, both = positives
    neither_no, mine_no, theirs_no, both_no = negatives
    two = gains(Agreement((neither, theirs, mine, both), (neither_no, theirs_no, mine_no, both_no)))
    assert abs(one.mean() + two.mean()) < 0.05
    assert abs(np.mean(one > 0) - np.mean(two < 0)) < 0.05


@given(st.integers(0, 300), st.integers(5, 60), st.integers(100, 200), st.integers(0, 3))
def test_a_sample_can_always_be_judged(
    negatives: int, positives: int, rows: int, seed: int
) -> None:
    """It has the size asked for, no row twice, and each class as often as there are folds."""
    y = np.array([0] * (negatives + 5) + [1] * positives, np.int8)
    part = sample(y, rows, Selection(seed=seed))
    assert len(set(part.tolist())) == len(part) == min(rows, len(y))
    assert np.bincount(y[part]).min() >= 5


def test_a_scorecard_counts_every_row() -> None:
    """The four counts of the confusion matrix are the holdout."""
    card: Scorecard = score(np.array([0, 1, 1], np.int8), np.array([0.1, 0.2, 0.9]), 0.5, "1", 1)
    counts = (card.true_positives, card.false_positives, card.true_negatives, card.false_negatives)
    assert sum(counts) == card.rows == 3
