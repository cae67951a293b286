from dataclasses import replace

import numpy as np
import pytest

from include.records.training import Candidate, Trial
from include.stages.select import (
    CandidateResult,
    FoldSize,
    best_alone_or_voted,
    leaderboard,
    votes,
)
from include.stages.select.verdicts import gap_on_all, standard_error, why_beaten
from tests.judged import F1, judge

RNG = np.random.default_rng(11)
Y = (RNG.random(4000) < 0.2).astype(np.int8)


def result(family: str, skill: float, seed: int = 0, y: np.ndarray = Y) -> CandidateResult:
    """Return a candidate over two folds whose probabilities follow the labels by so much."""
    noise = np.random.default_rng(seed).normal(size=len(y))
    said = 1 / (1 + np.exp(-(skill * (2 * y - 1) + noise)))
    half = len(y) // 2
    labels, probabilities = [y[:half], y[half:]], [said[:half], said[half:]]
    return judge(Candidate(family, {}), FoldSize(len(y), 5), labels, probabilities, 1.0)


def trial(family: str, value: float, rows: int = 100, folds: int = 1, **params: int) -> Trial:
    """Return a line of a leaderboard."""
    return Trial(Candidate(family, params), rows, value, (value,) * folds, 0.5, 1.0)


@pytest.mark.parametrize(
    ("labels", "probability", "threshold"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.8], 0.4),
        ([1, 1, 1], [0.2, 0.4, 0.6], 0.1),
        ([0, 1, 1], [0.5, 0.5, 0.5], 0.25),
        ([0, 1], [0.5, np.nextafter(0.5, 1)], np.nextafter(0.5, 1)),
    ],
    ids=["between", "all", "ties", "neighbours"],
)
def test_the_threshold_lies_where_f1_is_best(
    labels: list[int], probability: list[float], threshold: float
) -> None:
    """Halfway between two probabilities, and never on the lower of them."""
    found = F1.tuned(np.array(labels, np.int8), np.array(probability))
    assert found == pytest.approx(threshold)
    called = np.array(probability) >= found
    assert np.array_equal(called, np.array(probability, np.float64) >= threshold)


def test_the_threshold_cuts_alike_in_both_precisions() -> None:
    """A model that answers in float32 calls the same rows positive as the server in float64."""
    low = np.float32(0.3)
    narrow = np.array([low, np.nextafter(low, np.float32(1)), 0.9], np.float32)
    found = F1.tuned(np.array([0, 1, 1], np.int8), narrow.astype(np.float64))
    assert (narrow >= found).tolist() == (narrow.astype(np.float64) >= found).tolist()
    assert (narrow >= found).tolist() == [False, True, True]


def test_a_bagged_threshold_separates_what_can_be_separated() -> None:
    """It lies in the gap, is the same every time, and the same number in both precisions."""
    y, probability = np.array([0] * 30 + [1] * 6, np.int8), np.linspace(0, 0.35, 36)
    probability[30:] += 0.5
    found = F1.tuned_steadily(y, probability, 7)
    assert probability[29] < found < probability[30]
    assert found == F1.tuned_steadily(y, probability, 7) == float(np.float32(found))


def test_a_bagged_threshold_follows_one_lucky_row_less() -> None:
    """Of positives that are drawn again and again, the best threshold of each draw varies more."""
    rng = np.random.default_rng(0)
    plain, bagged = [], []
    for _ in range(20):
        y = (rng.random(400) < 0.1).astype(np.int8)
        probability = 1 / (1 + np.exp(2 - 2 * y + rng.normal(size=400)))
        plain.append(F1.tuned(y, probability))
        bagged.append(F1.tuned_steadily(y, probability, 0))
    assert np.std(bagged) < np.std(plain)


def test_a_candidate_is_judged_at_one_threshold_over_all_folds() -> None:
    """Its F1 is the mean over the folds, as `cross_val_score` has it."""
    found = result("a", 1.0)
    assert len(found.trial.fold_values) == 2
    assert found.trial.value == pytest.approx(np.mean(found.trial.fold_values))
    assert found.trial.threshold == F1.tuned(found.y, found.probability)


def test_the_standard_error_is_what_other_rows_would_change() -> None:
    """Without the correction for other fits it is the deviation over resampled rows."""
    one, other = result("a", 1.0, seed=1), result("b", 0.8, seed=2)
    y = one.y
    a, b = (said.probability >= said.trial.threshold for said in (one, other))
    rng, gained = np.random.default_rng(3), []
    for _ in range(400):
        rows = rng.integers(0, len(y), len(y))
        f1 = [
            2 * (c[rows] & (y[rows] == 1)).sum() / (c[rows].sum() + y[rows].sum()) for c in (a, b)
        ]
        gained.append(f1[0] - f1[1])
    corrected = standard_error(one, other)
    assert corrected / np.sqrt(1 + len(y) / one.fitted) == pytest.approx(np.std(gained), rel=0.15)


def test_more_rows_to_fit_on_make_a_difference_surer() -> None:
    """Figures say less the fewer rows a fold is fitted on beside what it is validated on."""
    one, other = result("a", 1.0, seed=1), result("b", 0.8, seed=2)
    few, many = (
        (replace(one, fitted=rows), replace(other, fitted=rows)) for rows in (1000, 100_000)
    )
    assert standard_error(*few) > 2 * standard_error(*many)


@pytest.mark.parametrize(
    ("skill", "gap", "is_out"),
    [(1.0, None, False), (0.95, None, False), (0.3, None, True), (0.3, 0.001, False)],
    ids=["equal", "a little behind", "clearly behind", "behind, but catching up"],
)
def test_who_is_out(skill: float, gap: float | None, *, is_out: bool) -> None:
    """Only who is behind by more than chance, and would be on all rows too."""
    leader, one = result("a", 1.0, seed=1), result("b", skill, seed=2)
    now = leader.trial.value - one.trial.value
    reason = why_beaten(leader, one, now if gap is None else gap)
    assert bool(reason) is is_out
    if is_out:
        assert "behind a()" in reason
        assert f"{one.trial.value:.4f}" in reason


@pytest.mark.long
def test_equal_candidates_are_rarely_dropped() -> None:
    """The rule errs in about one of a hundred comparisons, not in one of ten."""
    dropped = 0
    for seed in range(300):
        y = (np.random.default_rng(seed).random(1000) < 0.2).astype(np.int8)
        one, other = result("a", 0.8, 2 * seed, y), result("b", 0.8, 2 * seed + 1, y)
        best, rest = sorted((one, other), key=lambda it: -it.trial.value)
        dropped += bool(why_beaten(best, rest, best.trial.value - rest.trial.value))
    assert dropped <= 6


@pytest.mark.parametrize(
    ("before", "now", "left"), [(0.10, 0.08, 0.04), (0.10, 0.10, 0.10), (0.10, 0.12, 0.16)]
)
def test_a_gap_goes_on_changing_with_the_logarithm_of_the_rows(
    before: float, now: float, left: float
) -> None:
    """From 1,000 to 4,000 rows and on to 64,000: twice as far on that scale."""
    assert gap_on_all(before, now, (1000, 4000, 64_000)) == pytest.approx(left)


def test_the_leaderboard_does_not_depend_on_the_clock() -> None:
    """Who ran furthest stands first, then F1 decides, then the name; who is unfit stands last."""
    finalist = trial("a", 0.5, rows=1000, folds=5)
    semi, same, screened = trial("b", 0.6, 500, 2), trial("c", 0.6, 500, 2), trial("d", 0.9)
    unfit = replace(trial("e", 0.0, 1000, 5), failure="Expected n_neighbors <= n_samples_fit")
    listed = leaderboard([unfit, screened, same, finalist, semi], F1)
    assert listed == [finalist, semi, same, screened, unfit]


def test_finalists_vote_when_that_is_better() -> None:
    """Two that err on other rows are better together; the winner names its members."""
    one, two = result("a", 1.0, seed=1), result("b", 1.0, seed=2)
    ranked = sorted((one, two), key=lambda it: -it.trial.value)
    voted = votes(ranked)
    chosen, members = best_alone_or_voted(ranked, voted)
    assert chosen.trial.candidate.family == "soft_vote"
    assert [member.family for member in members] == [it.trial.candidate.family for it in ranked]
    assert chosen.trial.value > ranked[0].trial.value
    assert np.allclose(chosen.probability, (one.probability + two.probability) / 2)


def test_a_vote_that_brings_nothing_does_not_win() -> None:
    """With a poor voter the best finalist stays alone, and a family votes once."""
    good, poor = result("a", 1.2, seed=1), result("b", 0.1, seed=2)
    chosen, members = best_alone_or_voted([good, poor], votes([good, poor]))
    assert chosen is good
    assert members == (good.trial.candidate,)
    assert (
        votes([good, replace(poor, trial=replace(poor.trial, candidate=Candidate("a", {})))]) == []
    )
