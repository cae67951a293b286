from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from include.records.arrays import Matrix
from include.settings import PROJECT
from include.spec.model_spec import Family
from include.spec.spec_files import read_spec
from include.stages.fit import fit
from include.stages.select import build, candidates, soft_vote
from serving.bundle import Layout

FAMILIES = read_spec(PROJECT / "include" / "specs" / "santander.toml").families
FEATURES = ("one", "two", "three", "four", "five")
LAYOUTS = {
    "numbers": Layout(FEATURES),
    "mixed": Layout(FEATURES, {"two": ("blue", "red"), "four": ("one", "six")}, ("three", "four")),
}
RNG = np.random.default_rng(3)
X = RNG.normal(size=(300, 5)).astype(np.float32)
Y = (X[:, 0] + RNG.normal(size=300) > 1).astype(np.int8)


def pipeline(family: Family, layout: Layout) -> Pipeline:
    """Return the pipeline of a family's first candidate."""
    return build(candidates(family)[0], family, 0, layout)


def rows(layout: Layout) -> Matrix:
    """Return rows of a layout, a fifth of what may be missing missing."""
    matrix = X.copy()
    for place, feature in enumerate(layout.features):
        if feature in layout.categories:
            matrix[:, place] = RNG.integers(2, size=len(X))
        if feature in layout.missing:
            matrix[::5, place] = np.nan
    return matrix


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_threshold_is_inside_the_model(family: Family, layout: Layout, tmp_path: Path) -> None:
    """For each family of the first spec, the file that joblib opens predicts at the threshold."""
    matrix = rows(layout)
    probability = pipeline(family, layout).fit(matrix, Y).predict_proba(matrix)[:, 1]
    threshold = float(np.quantile(probability, 0.9))
    joblib.dump(fit(pipeline(family, layout), threshold, matrix, Y), tmp_path / "model.joblib")
    model = joblib.load(tmp_path / "model.joblib")
    assert np.array_equal(model.predict_proba(matrix)[:, 1], probability)
    assert np.array_equal(model.predict(matrix), probability >= threshold)
    assert 0 < model.predict(matrix).sum() < len(matrix)


def test_a_soft_vote_answers_the_mean_of_its_members(tmp_path: Path) -> None:
    """Each member is fitted on the same rows; the threshold stands around the whole."""
    layout = LAYOUTS["mixed"]
    matrix = rows(layout)
    chosen = [family for family in FAMILIES if family.name in {"naive_bayes", "xgboost"}]
    alone = [pipeline(family, layout).fit(matrix, Y) for family in chosen]
    expected = np.mean([one.predict_proba(matrix)[:, 1] for one in alone], axis=0)
    threshold = float(np.quantile(expected, 0.9))
    vote = soft_vote([pipeline(family, layout) for family in chosen])
    joblib.dump(fit(vote, threshold, matrix, Y), tmp_path / "model.joblib")
    model = joblib.load(tmp_path / "model.joblib")
    assert np.array_equal(model.predict_proba(matrix)[:, 1], expected)
    assert np.array_equal(model.predict(matrix), expected >= threshold)
