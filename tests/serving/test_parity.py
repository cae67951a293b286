"""A model answers in the server's environment exactly as it did where it was fitted."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from include.arrays import Matrix, Probabilities
from include.records import Candidate
from include.settings import PROJECT
from include.spec import Family, read_spec
from include.stages.fit import fit
from include.stages.select import build, candidates, soft_vote
from serving.bundle import Layout, Manifest, Value, answered, save

SERVER = PROJECT / ".venv" / "serving" / "bin" / "python"
ASK = """
import sys, numpy as np
from pathlib import Path
from serving.models.loading import load_and_warm
rows = np.load("rows.npy")
for digest_file in sorted(Path().glob("*.digest")):
    bundle = load_and_warm(Path(digest_file.stem), digest_file.read_text(), "boxes")
    one = [bundle.probability(rows[at : at + 1])[0] for at in range(50)]
    np.save(f"{digest_file.stem}.npy", np.concatenate([bundle.probability(rows), one]))
foreign = {"airflow", "mlflow", "pandas", "polars", "include.stages"} & set(sys.modules)
assert not foreign, foreign
"""
FEATURES = ("one", "two", "three", "four", "five")
LAYOUTS = {
    "numbers": Layout(FEATURES),
    "mixed": Layout(
        FEATURES, {"two": ("blue", "green", "red"), "four": ("old",)}, ("two", "three", "five")
    ),
}
BOOSTING = "sklearn.ensemble.HistGradientBoostingClassifier"
FAMILIES = {
    family.name: family
    for family in (
        *read_spec(PROJECT / "include" / "specs" / "santander.toml").families,
        Family(name="histogram_boosting", pipeline=(BOOSTING,)),
        Family(name="counts", pipeline=("serving.bundle.ValueFrequency", BOOSTING)),
        Family(name="extra_trees", pipeline=("sklearn.ensemble.ExtraTreesClassifier",)),
        Family(
            name="imputed",
            pipeline=("sklearn.impute.KNNImputer", "sklearn.calibration.CalibratedClassifierCV"),
            params={"calibratedclassifiercv__estimator": "sklearn.svm.SVC"},
        ),
    )
}
VOTERS = ("naive_bayes", "value_frequency", "histogram_boosting")
RNG = np.random.default_rng(4)
FITTED = 240
Y = (RNG.random(5000) < 0.4).astype(np.int8)


def rows(layout: Layout) -> Matrix:
    """Return rows of a layout: some categories, a fifth of what may be missing missing."""
    count = len(Y)
    matrix = (RNG.normal(size=(count, 5)) + Y[:, np.newaxis]).round(1).astype(np.float32)
    matrix[FITTED:] += RNG.normal(0, 0.03, size=(count - FITTED, 5)).astype(np.float32)
    for place, feature in enumerate(layout.features):
        if feature in layout.categories:
            matrix[:, place] = RNG.integers(len(layout.categories[feature]), size=count)
        if feature in layout.missing:
            matrix[RNG.random(count) < 0.2, place] = np.nan
    return matrix


def as_values(layout: Layout, matrix: Matrix) -> tuple[tuple[Value, ...], ...]:
    """Return rows of a matrix as values in feature order."""
    return tuple(
        tuple(
            None
            if np.isnan(value)
            else layout.categories[feature][int(value)]
            if feature in layout.categories
            else float(value)
            for feature, value in zip(layout.features, row, strict=True)
        )
        for row in matrix
    )


def fitted(name: str, layout: Layout, matrix: Matrix) -> Pipeline:
    """Return a family's first candidate, fitted."""
    family = FAMILIES[name]
    first: Candidate = candidates(family)[0]
    return build(first, family, 0, layout).fit(matrix[:FITTED], Y[:FITTED])


def answers(model: Any, matrix: Matrix) -> Probabilities:
    """Return the probabilities of all rows at once, then of the first fifty one at a time."""
    single = [model.predict_proba(matrix[at : at + 1])[0, 1] for at in range(50)]
    return np.concatenate([model.predict_proba(matrix)[:, 1], single]).astype(np.float64)


def saved(folder: Path, layout: Layout) -> dict[str, Probabilities]:
    """Save rows, and a model of every family beside its digest; return their own answers."""
    matrix = rows(layout)
    np.save(folder / "rows.npy", matrix)
    models: dict[str, Any] = {name: fitted(name, layout, matrix) for name in FAMILIES}
    models["vote"] = soft_vote([models[name] for name in VOTERS])
    expected = {}
    for name, model in models.items():
        (folder / name).mkdir()
        whole = fit(model, 0.4, matrix[:FITTED], Y[:FITTED])
        example = as_values(layout, matrix[:5])
        manifest = Manifest("boxes", name, layout, 0.4, ("0", "1"), 1, example)
        digest = save(folder / name, whole, answered(manifest, whole))
        (folder / f"{name}.digest").write_text(digest)
        expected[name] = answers(whole, matrix)
    return expected


def apart(folder: Path, expected: dict[str, Probabilities]) -> dict[str, float]:
    """Return by how much the answers left by ASK differ, where that is more than 1e-6."""
    found = {name: np.abs(np.load(folder / f"{name}.npy") - one) for name, one in expected.items()}
    return {name: float(by.max()) for name, by in found.items() if by.max() > 1e-6}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_every_family_answers_in_the_server_as_it_was_fitted(
    layout: Layout, tmp_path: Path
) -> None:
    """Families of a spec and their vote, 5,000 rows at once and single ones, to 1e-6."""
    expected = saved(tmp_path, layout)
    environment = {"PYTHONPATH": str(PROJECT)}
    subprocess.run([SERVER, "-c", ASK], cwd=tmp_path, env=environment, check=True)
    assert apart(tmp_path, expected) == {}
