from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from include.settings import PROJECT
from include.spec import Family, read_spec
from include.stages.fit import fit
from include.stages.select import build, candidates

FAMILIES = read_spec(PROJECT / "include" / "specs" / "santander.toml").families
RNG = np.random.default_rng(3)
X = RNG.normal(size=(300, 5)).astype(np.float32)
Y = (X[:, 0] + RNG.normal(size=300) > 1).astype(np.int8)


def pipeline(family: Family) -> Pipeline:
    """Return the pipeline of a family's first candidate."""
    return build(candidates(family)[0], family, 0)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_threshold_is_inside_the_model(family: Family, tmp_path: Path) -> None:
    """For each family of the first spec, the file that joblib opens predicts at the threshold."""
    probability = pipeline(family).fit(X, Y).predict_proba(X)[:, 1]
    threshold = float(np.quantile(probability, 0.9))
    joblib.dump(fit(pipeline(family), threshold, X, Y), tmp_path / "model.joblib")
    model = joblib.load(tmp_path / "model.joblib")
    assert np.array_equal(model.predict_proba(X)[:, 1], probability)
    assert np.array_equal(model.predict(X), probability >= threshold)
    assert 0 < model.predict(X).sum() < len(X)
