from dataclasses import replace

import numpy as np
import pytest

from include.bundle import Layout
from include.errors import SpecError
from include.records import Candidate, Trial
from include.spec import Family, Selection
from include.stages.select import (
    best_threshold,
    build,
    candidates,
    cross_validate,
    leaderboard,
    sample,
    shortlist,
)

FOREST = Family(
    name="forest",
    pipeline=("sklearn.preprocessing.StandardScaler", "sklearn.ensemble.RandomForestClassifier"),
    params={"randomforestclassifier__n_estimators": 5},
    grid={
        "randomforestclassifier__max_depth": (2, 3),
        "randomforestclassifier__max_features": (1, 2),
    },
)
NUMBERS = Layout(("height", "width", "depth"))
RULE = Selection(folds=4, seed=7)
RNG = np.random.default_rng(1)
X = RNG.normal(size=(300, 3)).astype(np.float32)
Y = (X[:, 0] + RNG.normal(size=300) > 1).astype(np.int8)


def trial(family: str, f1: float, seconds: float = 1.0, **params: int) -> Trial:
    """Return a line of a leaderboard."""
    return Trial(Candidate(family, params), 100, f1, (f1,), 0.5, seconds)


def test_a_grid_is_every_combination() -> None:
    """Candidates carry scikit-learn's own parameter names."""
    listed = candidates(FOREST)
    assert len(listed) == 4
    assert listed[0].family == "forest"
    assert set(listed[0].params) == set(FOREST.grid)
    assert candidates(FOREST.model_copy(update={"grid": {}})) == [Candidate("forest", {})]


def test_a_pipeline_is_built_from_shared_and_own_parameters() -> None:
    """The spec's parameters, the candidate's and the seed arrive in the estimator."""
    forest = build(candidates(FOREST)[-1], FOREST, 7, NUMBERS)[-1]
    assert (forest.n_estimators, forest.max_depth, forest.max_features) == (5, 3, 2)
    assert forest.random_state == 7


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"params": {"randomforestclassifier__trees": 5}}, "Invalid parameter 'trees'"),
        ({"pipeline": ("sklearn.ensemble.Forest",)}, "no attribute 'Forest'"),
        ({"pipeline": ("sklearn.woods.Forest",)}, "No module named 'sklearn.woods'"),
    ],
)
def test_a_family_that_cannot_be_built_is_an_error_of_the_spec(
    change: dict[str, object], reason: str
) -> None:
    """The message names the family and what scikit-learn says of it."""
    with pytest.raises(SpecError, match=f"family 'forest' cannot be built: .*{reason}"):
        build(Candidate("forest", {}), FOREST.model_copy(update=change), 0, NUMBERS)


def test_a_candidate_is_judged_the_same_every_time() -> None:
    """Equal seeds give equal folds, fits, threshold and F1."""
    candidate = candidates(FOREST)[0]
    one, two = (
        cross_validate(candidate, build(candidate, FOREST, RULE.seed, NUMBERS), X, Y, RULE)
        for _ in range(2)
    )
    assert np.array_equal(one[1], two[1])
    assert replace(one[0], seconds=0) == replace(two[0], seconds=0)


def test_a_candidate_is_judged_out_of_fold() -> None:
    """A forest that knows its own rows by heart does not get its F1 from them."""
    family = FOREST.model_copy(update={"params": {}, "grid": {}})
    noise = np.random.default_rng(2).permutation(Y)
    candidate = Candidate("forest", {})
    found, probability = cross_validate(
        candidate, build(candidate, family, 0, NUMBERS), X, noise, RULE
    )
    assert probability.shape == (300,)
    assert len(found.fold_f1) == 4
    assert found.f1 == pytest.approx(np.mean(found.fold_f1))
    assert found.f1 < 0.6


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
    found = best_threshold(np.array(labels, np.int8), np.array(probability))
    assert found == pytest.approx(threshold)
    called = np.array(probability) >= found
    assert np.array_equal(called, np.array(probability, np.float64) >= threshold)


def test_the_threshold_cuts_alike_in_both_precisions() -> None:
    """A model that answers in float32 calls the same rows positive as the server in float64."""
    low = np.float32(0.3)
    narrow = np.array([low, np.nextafter(low, np.float32(1)), 0.9], np.float32)
    found = best_threshold(np.array([0, 1, 1], np.int8), narrow.astype(np.float64))
    assert (narrow >= found).tolist() == (narrow.astype(np.float64) >= found).tolist()
    assert (narrow >= found).tolist() == [False, True, True]


def test_the_leaderboard_does_not_depend_on_the_clock() -> None:
    """F1 decides, then the name; who could not be fitted stands last."""
    slow, fast, best = trial("a", 0.5, 2), trial("b", 0.5, 1), trial("c", 0.6, 9)
    unfit = replace(trial("d", 0.0), failure="Expected n_neighbors <= n_samples_fit")
    assert leaderboard([unfit, fast, slow, best]) == [best, slow, fast, unfit]


def test_without_a_candidate_that_fits_there_is_no_shortlist() -> None:
    """The sentence gives the first reason; one that fits is enough."""
    unfit = replace(trial("a", 0.0), failure="Expected n_neighbors <= n_samples_fit")
    assert shortlist([unfit, trial("b", 0.1)], Selection()) == [trial("b", 0.1)]
    with pytest.raises(SpecError, match="none of 1 candidates could be fitted: Expected n_neigh"):
        shortlist([unfit], Selection())


def test_the_shortlist_has_one_of_each_of_the_best_families() -> None:
    """Two trials of one family do not take both places."""
    ranked = [trial("a", 0.6, depth=1), trial("a", 0.59, depth=2), trial("b", 0.4), trial("c", 0.3)]
    assert shortlist(ranked, Selection(finalists=2)) == [ranked[0], ranked[2]]


@pytest.mark.parametrize("rows", [100, 101, 250])
def test_a_sample_is_stratified(rows: int) -> None:
    """Each class keeps its share within a row, one row short of everything included."""
    y = np.array([0, 0, 1] * 84, np.int8)[:251]
    part = sample(y, rows, RULE)
    assert len(set(part)) == rows
    assert sorted(part) == part.tolist()
    assert abs(y[part].sum() - rows * y.mean()) <= 1


def test_a_sample_leaves_a_rare_class_a_row_a_fold() -> None:
    """A part in which the class was missing could not be judged at all."""
    y = np.array([0] * 2000 + [1] * 6, np.int8)
    assert y[sample(y, 100, RULE)].sum() == 4


def test_a_sample_of_fewer_rows_is_all_of_them() -> None:
    """Nothing is drawn twice to make up the number."""
    assert sample(Y, 1000, RULE).tolist() == list(range(300))
