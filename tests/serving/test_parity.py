"""A model answers in the server's environment exactly as it did where it was fitted."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from include.records.arrays import Matrix, Probabilities
from include.records.training import Candidate
from include.settings import PROJECT
from include.spec.model_spec import Family
from include.spec.spec_files import read_spec
from include.stages.fit import fit
from include.stages.select import build, candidates, soft_vote
from serving.bundle import (
    Bundle,
    Layout,
    Manifest,
    ProbedAnswers,
    Value,
    answers,
    encode,
    odd_rows,
    save,
    with_own_answers,
)

SERVER = PROJECT / ".venv" / "serving" / "bin" / "python"
ASK = """
import sys, numpy as np
from pathlib import Path
from serving.models.loading import load_and_warm
from serving.models.scoring import UnscorableError, score

def alone(bundle, row):
    try:
        return score(bundle, row[None])[0]
    except UnscorableError:
        return np.nan

rows, odd = np.load("rows.npy"), np.load("odd.npy")
for digest_file in sorted(Path().glob("*.digest")):
    bundle = load_and_warm(Path(digest_file.stem), digest_file.read_text(), "boxes")
    one = [bundle.scores(rows[at : at + 1])[0] for at in range(50)]
    np.save(f"{digest_file.stem}.npy", np.concatenate([bundle.scores(rows), one]))
    np.save(f"{digest_file.stem}-odd.npy", [alone(bundle, row) for row in odd])
foreign = {"airflow", "mlflow", "pandas", "polars", "include.stages"} & set(sys.modules)
assert not foreign, foreign
"""
FEATURES = ("one", "two", "three", "four", "five")
LAYOUTS = {
    "numbers": Layout(FEATURES),
    "categories": Layout(FEATURES, {"two": ("blue", "green", "red"), "four": ("old", "new")}),
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
GRAPHS = ("ada_boost", "random_forest", "value_frequency", "logistic_regression", "naive_bayes")
"""Families that become one graph with their categories where none of those is ever missing."""
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


def all_and_single(model: Any, matrix: Matrix) -> Probabilities:
    """Return the probabilities of all rows at once, then of the first fifty one at a time."""
    single = [model.predict_proba(matrix[at : at + 1])[0, 1] for at in range(50)]
    return np.concatenate([model.predict_proba(matrix)[:, 1], single]).astype(np.float64)


def saved(folder: Path, layout: Layout) -> dict[str, tuple[Probabilities, ProbedAnswers]]:
    """Save rows, and a model of every family beside its digest; return their own answers."""
    matrix = rows(layout)
    odd = encode(layout, odd_rows(layout, as_values(layout, matrix[5:60])))
    np.save(folder / "rows.npy", matrix)
    np.save(folder / "odd.npy", odd)
    names = GRAPHS if layout.categories and not layout.missing else tuple(FAMILIES)
    models: dict[str, Any] = {name: fitted(name, layout, matrix) for name in names}
    models["vote"] = soft_vote([models[name] for name in VOTERS if name in names])
    expected = {}
    for name, model in models.items():
        (folder / name).mkdir()
        whole = fit(model, 0.4, matrix[:FITTED], Y[:FITTED])
        example = as_values(layout, matrix[:5])
        manifest = Manifest("boxes", name, layout, 0.4, ("0", "1"), 1, example)
        digest = save(folder / name, whole, with_own_answers(manifest, whole))
        (folder / f"{name}.digest").write_text(digest)
        itself = Bundle(manifest, whole)
        asked = answers(itself.scores, odd, itself.problem.usable)
        expected[name] = all_and_single(whole, matrix), asked
    return expected


def apart(
    folder: Path, expected: dict[str, tuple[Probabilities, ProbedAnswers]]
) -> dict[str, float]:
    """Return by how much the answers left by ASK differ, where that is more than 1e-6."""
    found = {name: _apart(folder, name, *said) for name, said in expected.items()}
    return {name: by for name, by in found.items() if by > 1e-6}


def _apart(folder: Path, name: str, usual: Probabilities, odd: ProbedAnswers) -> float:
    """Return the largest difference; infinity where one side refuses an odd row alone."""
    by = np.abs(np.load(folder / f"{name}.npy") - usual).max()
    alone = np.load(folder / f"{name}-odd.npy")
    if not np.array_equal(np.isnan(alone), np.isnan(odd.alone)):
        return np.inf
    return float(max(by, np.abs(alone - odd.alone)[odd.steady].max()))


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_every_family_answers_in_the_server_as_it_was_fitted(
    layout: Layout, tmp_path: Path
) -> None:
    """To 1e-6: 5,000 rows at once, single ones, and rows with every odd kind of value."""
    with threadpool_limits(1):
        expected = saved(tmp_path, layout)
    environment = {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    subprocess.run([SERVER, "-c", ASK], cwd=tmp_path, env=environment, check=True)
    assert apart(tmp_path, expected) == {}
