"""A fit on blocks is the fit on all rows at once."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from include.records.arrays import Block
from include.records.training import Candidate
from include.spec.model_spec import Family
from include.stages.fit import block_learner, fit, fit_blocks, stratified_sample
from include.stages.select import build
from serving.bundle import Layout

COLOURS: dict[str, tuple[str, ...]] = {"colour": ("blue", "green", "red")}
RNG = np.random.default_rng(5)
# Few values a feature: then both ways of fitting cut at the same places.
X = RNG.integers(0, 50, size=(4000, 4)).astype(np.float32)
X[:, 3] = RNG.integers(3, size=4000)
X[RNG.random(X.shape) < 0.05] = np.nan
Y = (np.nan_to_num(X[:, :2]).sum(axis=1) + RNG.normal(0, 10, 4000) > 70).astype(np.int8)
BY_CLASS = np.argsort(Y, kind="stable")
LAYOUTS = {
    "numbers": Layout(("one", "two", "three", "four")),
    "categories": Layout(("one", "two", "three", "colour"), COLOURS),
}
SCALED = ("sklearn.preprocessing.StandardScaler", "xgboost.XGBClassifier")
PARAMS = {"xgbclassifier__n_estimators": 20, "xgbclassifier__max_depth": 3}


def blocks() -> Iterator[Block]:
    """Yield the rows, one class after the other as a lake has them."""
    for at in range(0, len(Y), 700):
        rows = BY_CLASS[at : at + 700]
        yield X[rows], Y[rows]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("weighted", [1, 5])
def test_blocks_give_the_model_of_all_rows(layout: str, weighted: int, tmp_path: Path) -> None:
    """Every probability is the same, whatever stands before XGBoost, and the cache is gone."""
    family = Family(name="xgboost", pipeline=("xgboost.XGBClassifier",), params=PARAMS)
    candidate = Candidate("xgboost", {"xgbclassifier__scale_pos_weight": weighted})
    whole, cut = (build(candidate, family, 0, LAYOUTS[layout]) for _ in range(2))
    expected = fit(whole, 0.3, X, Y)
    model = fit_blocks(cut, 0.3, blocks, stratified_sample(blocks, 500, len(Y)), tmp_path)
    assert np.allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-6)
    assert np.array_equal(model.predict(X), model.predict_proba(X)[:, 1] >= 0.3)
    assert not list(tmp_path.iterdir())


def test_steps_before_xgboost_are_fitted_on_the_part(tmp_path: Path) -> None:
    """They are applied to every block; the trees do not mind another scale."""
    family = Family(name="scaled", pipeline=SCALED, params=PARAMS)
    whole, cut = (build(Candidate("scaled", {}), family, 0, LAYOUTS["numbers"]) for _ in range(2))
    some = stratified_sample(blocks, 500, len(Y))
    model = fit_blocks(cut, 0.3, blocks, some, tmp_path)
    assert np.allclose(cut[0].mean_, np.nanmean(some[0], axis=0, dtype=float), rtol=1e-6)
    expected = fit(whole, 0.3, X, Y)
    assert np.allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-6)


def test_what_a_block_raises_is_raised(tmp_path: Path) -> None:
    """A lake that goes away in the middle of a pass is told as it told it."""

    def dying() -> Iterator[Block]:
        yield next(blocks())
        raise OSError("the bucket is gone")

    family = Family(name="xgboost", pipeline=("xgboost.XGBClassifier",))
    pipeline = build(Candidate("xgboost", {}), family, 0, LAYOUTS["numbers"])
    with pytest.raises(OSError, match="the bucket is gone"):
        fit_blocks(pipeline, 0.3, dying, next(blocks()), tmp_path)


@pytest.mark.parametrize("rows", [1, 2, 7, 400, 3999, 4000])
def test_a_part_has_its_share_of_each_class(rows: int) -> None:
    """At least a row, and within one of the share; the same rows each time."""
    some, labels = stratified_sample(blocks, rows, len(Y))
    for label in (0, 1):
        share = rows * int((label == Y).sum()) / len(Y)
        assert max(1, share - 1) <= int((labels == label).sum()) < share + 1
    assert np.array_equal(some, stratified_sample(blocks, rows, len(Y))[0], equal_nan=True)


@pytest.mark.parametrize(
    ("path", "params", "learner"),
    [
        ("xgboost.XGBClassifier", {}, "XGBoost"),
        ("xgboost.XGBClassifier", {"xgbclassifier__tree_method": "hist"}, "XGBoost"),
        ("xgboost.XGBClassifier", {"xgbclassifier__tree_method": "exact"}, ""),
        ("xgboost.XGBClassifier", {"xgbclassifier__booster": "gblinear"}, ""),
        ("sklearn.naive_bayes.GaussianNB", {}, ""),
    ],
    ids=["by default", "hist", "exact", "linear", "another family"],
)
def test_only_histogram_trees_read_blocks(path: str, params: dict[str, str], learner: str) -> None:
    """Everything else needs its rows at once."""
    family = Family(name="one", pipeline=(path,), params=params)
    assert block_learner(build(Candidate("one", {}), family, 0, LAYOUTS["numbers"])) == learner
