"""One fit a shared fit, and the same answers as one fit a candidate."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from include.records.training import Candidate
from include.spec.model_spec import Family, Selection
from include.stages.select import (
    Fold,
    FoldCache,
    SharedFit,
    build,
    candidates,
    fit_and_predict,
    fold_rows,
    shared_fits,
)
from serving.bundle import Layout

RNG = np.random.default_rng(5)
X = RNG.normal(size=(700, 4)).astype(np.float32)
Y = (X[:, 0] + 0.5 * X[:, 1] ** 2 + RNG.normal(size=700) > 1).astype(np.int8)
LAYOUT = Layout(("a", "b", "c", "d"))
SCALER = "sklearn.preprocessing.StandardScaler"
SIZES = (3, 7, 20)
GROWING = {
    "xgboost": (("xgboost.XGBClassifier",), "xgbclassifier__n_estimators"),
    "scaled_xgboost": ((SCALER, "xgboost.XGBClassifier"), "xgbclassifier__n_estimators"),
    "forest": (
        ("sklearn.ensemble.RandomForestClassifier",),
        "randomforestclassifier__n_estimators",
    ),
    "extra_trees": (
        (SCALER, "sklearn.ensemble.ExtraTreesClassifier"),
        "extratreesclassifier__n_estimators",
    ),
    "ada_boost": (
        (SCALER, "sklearn.ensemble.AdaBoostClassifier"),
        "adaboostclassifier__n_estimators",
    ),
    "boosting": (
        ("sklearn.ensemble.GradientBoostingClassifier",),
        "gradientboostingclassifier__n_estimators",
    ),
    "histograms": (
        ("sklearn.ensemble.HistGradientBoostingClassifier",),
        "histgradientboostingclassifier__max_iter",
    ),
}


def fold() -> Fold:
    """Return one fold of the rows."""
    return fold_rows(X, Y, Selection()).fold(0, len(Y))


def grown(name: str) -> Family:
    """Return a family whose grid has nothing but sizes."""
    pipeline, free = GROWING[name]
    return Family(name=name, pipeline=pipeline, grid={free: SIZES})


def lanes_of(family: Family) -> list[SharedFit]:
    """Return the shared fits of a family."""
    listed = candidates(family)
    return shared_fits(listed, build(listed[0], family, 0, LAYOUT))


@pytest.mark.parametrize("name", GROWING)
def test_a_lane_answers_as_a_fit_of_each_of_its_candidates_does(name: str) -> None:
    """A smaller model is the beginning of the larger one: nothing is fitted again."""
    family = grown(name)
    (shared_fit,) = lanes_of(family)
    assert shared_fit.sizes == list(SIZES)
    shared = FoldCache(fold(), threads=1)
    together = fit_and_predict(shared_fit, build(shared_fit.largest, family, 0, LAYOUT), shared)
    assert together.failure == ""
    for candidate, probability in zip(shared_fit.candidates, together.probability, strict=True):
        alone = build(candidate, family, 0, LAYOUT).fit(shared.fold.X, shared.fold.y)
        expected = alone.predict_proba(shared.fold.X_validation)[:, 1]
        assert np.allclose(probability, expected, atol=1e-6, rtol=0)


def test_only_candidates_that_differ_in_size_share_a_lane() -> None:
    """Two depths of three sizes are two fits; neighbours and penalties are a fit each."""
    grid = {"xgbclassifier__n_estimators": SIZES, "xgbclassifier__max_depth": (1, 2)}
    boosted = Family(name="xgboost", pipeline=("xgboost.XGBClassifier",), grid=grid)
    assert [len(shared_fit.candidates) for shared_fit in lanes_of(boosted)] == [3, 3]
    neighbours = Family(
        name="neighbours",
        pipeline=("sklearn.neighbors.KNeighborsClassifier",),
        grid={"kneighborsclassifier__n_neighbors": (3, 5)},
    )
    assert [len(shared_fit.candidates) for shared_fit in lanes_of(neighbours)] == [1, 1]
    linear = Family(
        name="linear",
        pipeline=("xgboost.XGBClassifier",),
        params={"xgbclassifier__booster": "gblinear"},
        grid={"xgbclassifier__n_estimators": SIZES},
    )
    assert [len(shared_fit.candidates) for shared_fit in lanes_of(linear)] == [1, 1, 1]


def test_lanes_of_a_family_share_the_quantised_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """XGBoost makes it once a fold, whatever the number of fits, and again for other bins."""
    import xgboost.sklearn

    made = []
    kept = xgboost.sklearn.QuantileDMatrix

    def counting(*args: object, **kwargs: object) -> object:
        made.append(kwargs.get("ref"))
        return kept(*args, **kwargs)

    monkeypatch.setattr(xgboost.sklearn, "QuantileDMatrix", counting)
    grid = {"xgbclassifier__max_depth": (1, 2, 3), "xgbclassifier__max_bin": (64, 256)}
    family = Family(name="xgboost", pipeline=("xgboost.XGBClassifier",), grid=grid)
    shared = FoldCache(fold(), threads=1)
    for shared_fit in lanes_of(family):
        fit_and_predict(shared_fit, build(shared_fit.largest, family, 0, LAYOUT), shared)
    assert made == [None, None]


def test_first_steps_that_lanes_have_in_common_run_once() -> None:
    """Three penalties behind one scaler: the rows are scaled once a fold."""
    family = Family(
        name="logistic",
        pipeline=(SCALER, "sklearn.linear_model.LogisticRegression"),
        grid={"logisticregression__C": (0.1, 1.0, 10.0)},
    )
    shared = FoldCache(fold(), threads=1)
    behind = []
    for shared_fit in lanes_of(family):
        pipeline = build(shared_fit.largest, family, 0, LAYOUT)
        fit_and_predict(shared_fit, pipeline, shared)
        behind.append(shared.transformed_by(pipeline[:-1]).X)
    assert all(one is behind[0] for one in behind)


def test_boosting_ends_when_the_validation_rows_gain_nothing_more() -> None:
    """Sizes beyond that came to nothing; the smallest size is always reached."""
    noise = np.random.default_rng(1).permutation(Y)
    grid = {"xgbclassifier__n_estimators": (5, 5000)}
    family = Family(
        name="xgboost",
        pipeline=("xgboost.XGBClassifier",),
        params={"xgbclassifier__learning_rate": 1.0},
        grid=grid,
    )
    (shared_fit,) = lanes_of(family)
    shared = FoldCache(fold_rows(X, noise, Selection()).fold(0, len(Y)), threads=1)
    outcome = fit_and_predict(shared_fit, build(shared_fit.largest, family, 0, LAYOUT), shared)
    assert np.isfinite(outcome.probability[0]).all()
    assert np.isnan(outcome.probability[1]).all()
    assert 5 <= outcome.reached < 5000


def test_what_an_estimator_says_against_the_data_is_the_outcome() -> None:
    """More neighbours than rows: the sentence is kept, and nobody else is harmed."""
    family = Family(
        name="neighbours",
        pipeline=("sklearn.neighbors.KNeighborsClassifier",),
        params={"kneighborsclassifier__n_neighbors": 5000},
    )
    shared_fit = SharedFit((Candidate("neighbours", {}),))
    outcome = fit_and_predict(
        shared_fit, build(shared_fit.largest, family, 0, LAYOUT), FoldCache(fold(), threads=1)
    )
    assert "n_neighbors" in outcome.failure
    assert outcome.probability.size == 0


class Odd(KNeighborsClassifier):  # type: ignore[misc] # mypy does not follow scikit-learn
    """Says what it has against the data in a way of its own."""

    def fit(self, X: object, y: object) -> None:
        """Fail."""
        del X, y
        raise LookupError("three rows of a kind are needed")


def test_whatever_an_estimator_raises_is_its_own_reason() -> None:
    """A library of a user's choice raises what it likes; what is no ValueError is named."""
    shared_fit = SharedFit((Candidate("odd", {}),))
    outcome = fit_and_predict(shared_fit, make_pipeline(Odd()), FoldCache(fold(), threads=1))
    assert outcome.failure == "LookupError: three rows of a kind are needed"
