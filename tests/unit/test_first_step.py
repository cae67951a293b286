"""What stands before a family's own steps, so that it can read categories and missing values."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline

from include.records.arrays import Matrix
from include.records.training import Candidate
from include.spec.model_spec import Family, Selection
from include.stages.select import FoldCache, SharedFit, build, fit_and_predict, fold_rows
from serving.bundle import Layout

RULE = Selection(folds=4, seed=7)
RNG = np.random.default_rng(1)
CODE = RNG.integers(3, size=400)
AGE = RNG.normal(40, 10, size=400)
Y = (RNG.random(400) < np.array([0.1, 0.3, 0.9])[CODE]).astype(np.int8)
X = np.column_stack([AGE, CODE]).astype(np.float32)
X[::7, 0] = X[3::11, 1] = np.nan
COLOURS: dict[str, tuple[str, ...]] = {"colour": ("blue", "green", "red")}
LAYOUTS = {
    "numbers": Layout(("age", "colour")),
    "missing": Layout(("age", "colour"), missing=("age",)),
    "categories": Layout(("age", "colour"), COLOURS),
    "both": Layout(("age", "colour"), COLOURS, ("age", "colour")),
}
PIPELINES = {
    "logistic": ("sklearn.preprocessing.StandardScaler", "sklearn.linear_model.LogisticRegression"),
    "imputed": ("sklearn.impute.KNNImputer", "sklearn.linear_model.LogisticRegression"),
    "bayes": ("sklearn.naive_bayes.GaussianNB",),
    "forest": ("sklearn.ensemble.RandomForestClassifier",),
    "xgboost": ("xgboost.XGBClassifier",),
    "boosting": ("sklearn.ensemble.HistGradientBoostingClassifier",),
}
READ_MISSING = {"imputed", "forest", "xgboost", "boosting"}


def family(name: str) -> Family:
    """Return a family without parameters."""
    return Family(name=name, pipeline=PIPELINES[name])


def out_of_fold_auc(candidate: Candidate, pipeline: Pipeline, matrix: Matrix) -> float:
    """Return the area under the curve of a candidate over all folds."""
    side = fold_rows(matrix, Y, RULE)
    outcomes = [
        fit_and_predict(
            SharedFit((candidate,)), pipeline, FoldCache(side.fold(fold, side.rows), threads=1)
        )
        for fold in side.folds
    ]
    assert not any(one.failure for one in outcomes)
    probability = np.concatenate([one.probability[0] for one in outcomes])
    return float(roc_auc_score(side.whole[1], probability))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", PIPELINES)
def test_only_what_a_family_cannot_read_is_translated(name: str, layout: str) -> None:
    """Categories but for boosting, missing numbers where a step refuses them, else nothing."""
    pipeline = build(Candidate(name, {}), family(name), 0, LAYOUTS[layout])
    has_categories = layout in {"categories", "both"}
    expected = ["categories"] if has_categories and name != "boosting" else []
    if layout in {"missing", "both"} and name not in READ_MISSING:
        expected.append("numbers")
    parts = pipeline[0].transformers if "layout" in pipeline.named_steps else []
    assert [part for part, *_ in parts] == expected
    assert len(pipeline) == len(PIPELINES[name]) + bool(expected)


@pytest.mark.parametrize(("categories", "split_on"), [(255, [0]), (256, None)])
def test_boosting_splits_on_as_many_categories_as_it_has_bins(
    categories: int, split_on: list[int] | None
) -> None:
    """It is told which columns hold them; with more of them than bins they become columns."""
    names = tuple(f"name-{number:04}" for number in range(categories))
    layout = Layout(("name", "age"), {"name": names})
    pipeline = build(Candidate("boosting", {}), family("boosting"), 0, layout)
    assert ("layout" in pipeline.named_steps) == (split_on is None)
    if split_on is not None:
        assert pipeline[-1].categorical_features == split_on
    rows = np.column_stack([np.arange(600) % categories, np.arange(600) // 3]).astype(np.float32)
    old = rows[:, 1] > 100
    assert np.array_equal(pipeline.fit(rows, old).predict(rows), old)


@pytest.mark.parametrize("name", PIPELINES)
def test_every_family_learns_from_categories_and_gaps(name: str) -> None:
    """Folds with missing numbers and categories are fitted, and the category is what they learn."""
    candidate = Candidate(name, {})
    pipeline = build(candidate, family(name), 0, LAYOUTS["both"])
    assert out_of_fold_auc(candidate, pipeline, X) > 0.75


# Not `imputed`, the spec's own affair; nor `boosting`, which scikit-learn 1.9 cannot fit there.
@pytest.mark.parametrize("name", ["logistic", "bayes", "forest", "xgboost"])
def test_an_empty_column_is_no_obstacle(name: str) -> None:
    """A number and a category that nobody ever filled in change no width and raise nothing."""
    candidate = Candidate(name, {})
    empty = np.column_stack([X, np.full((len(X), 2), np.nan, np.float32)])
    names = (*LAYOUTS["both"].features, "weight", "shape")
    layout = Layout(names, COLOURS | {"shape": ()}, ("age", "colour", "weight", "shape"))
    pipeline = build(candidate, family(name), 0, layout)
    assert out_of_fold_auc(candidate, pipeline, empty) > 0.75


def test_parameters_keep_their_names() -> None:
    """A spec says the same of an estimator whether or not something stands before it."""
    named = family("xgboost").model_copy(update={"params": {"xgbclassifier__max_depth": 3}})
    candidate = Candidate("xgboost", {"xgbclassifier__n_estimators": 5})
    booster = build(candidate, named, 7, LAYOUTS["both"])[-1]
    assert (booster.max_depth, booster.n_estimators, booster.random_state) == (3, 5, 7)


def test_a_category_that_was_never_fitted_is_none_of_the_others() -> None:
    """Its columns are all zero, so that it pulls the answer to no category's side."""
    pipeline = build(Candidate("logistic", {}), family("logistic"), 0, LAYOUTS["categories"])
    known = np.nan_to_num(X)
    fitted = pipeline.fit(known, Y)
    unknown = np.array([[40.0, np.nan]], np.float32)
    assert fitted[0].transform(unknown).tolist() == [[0.0, 0.0, 0.0, 40.0]]
    blue, _, red = fitted.predict_proba([[40.0, code] for code in range(3)])[:, 1]
    assert blue < fitted.predict_proba(unknown)[0, 1] < red


def test_many_categories_take_a_bounded_number_of_columns() -> None:
    """A column of a thousand names does not fill the memory: the rare ones share a column."""
    names = tuple(f"name-{number:04}" for number in range(1000))
    layout = Layout(("name",), {"name": names})
    codes = np.concatenate([np.arange(1000), np.repeat(np.arange(50), 20)]).astype(np.float32)
    pipeline = build(Candidate("bayes", {}), family("bayes"), 0, layout)
    fitted = pipeline[0].fit(codes[:, np.newaxis])
    laid_out = fitted.transform(np.array([[0.0], [500.0], [501.0], [np.nan]], np.float32))
    assert laid_out.shape == (4, 100)
    assert laid_out.argmax(axis=1).tolist() == [0, 99, 99, 99]
