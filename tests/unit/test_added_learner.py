"""The recipe "a learner" of CONTRIBUTING.md, followed: two files and a line in each registry."""

from pathlib import Path

import pytest

from tests.copied_tree import copied_tree, printed

LIBRARY = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class TinyClassifier(ClassifierMixin, BaseEstimator):
    def __init__(self, slope=1.0, n_jobs=None):
        self.slope, self.n_jobs = slope, n_jobs

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.middle_ = float(np.mean(X[:, 0]))
        return self

    def predict_proba(self, X):
        positive = 1 / (1 + np.exp(-self.slope * (X[:, 0] - self.middle_)))
        return np.column_stack([1 - positive, positive])
"""
OF_THE_SERVER = """
import numpy as np

from serving.bundle.learners import Learner
from serving.bundle.learners.estimator_interface import single_thread_by_n_jobs
from serving.bundle.trusted_parts import TrustedParts


class Tiny(Learner):
    name, package, distribution = "Tiny", "tiny", "numpy"
    trusted = TrustedParts()

    def score_of(self, model):
        slope, middle = model.slope, model.middle_
        return lambda X: 1 / (1 + np.exp(-slope * (X[:, 0] - middle)))

    def single_thread(self, part):
        return single_thread_by_n_jobs(part)


LEARNER = Tiny()
"""
OF_TRAINING = """
from include.learners import Learner
from include.learners.estimator_lists import EstimatorLists


class Tiny(Learner):
    name, package = "Tiny", "tiny"
    estimators = EstimatorLists({"tiny": ("TinyClassifier",)})
    native_names = {"steepness": "slope"}

    def parameter_values(self, path, cls):
        return {"slope": ["real"], "n_jobs": ["int"]}


LEARNER = Tiny()
"""
LISTED = """
import json

from include.cli import trusted_names as lists
from include.spec.estimators import PARAMETERS_FILE
from serving.bundle.name_list import NAMES_FILE

PARAMETERS_FILE.write_text(lists._compact(lists.parameters()))
before = json.loads(NAMES_FILE.read_text())
known = {(module, name) for kind in before.values() for module in kind for name in kind[module]}
model = lists._fitted(("tiny.TinyClassifier",), {}, lists._NUMBERS, 50)
NAMES_FILE.write_text(lists._text(lists.sorted_out(known | lists.names([model]))))
"""
USED = """
from pathlib import Path

import numpy as np

from include.records.training import Candidate
from include.spec.family_check import family_problems
from include.spec.model_spec import Family
from include.stages.fit import fit
from include.stages.select import Fold, FoldCache, build, candidates, fit_and_predict, shared_fits
from serving.bundle import BundleRefusedError, Layout, Manifest, libraries, load, save
from serving.bundle import learners
from serving.models.loading import load_and_warm

(problem,) = family_problems(["tiny.TinyClassifier"], {"tinyclassifier__steepness": 1.0}, {})
assert "did you mean slope?" in problem, problem
X = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
y = (X[:, 0] > 0).astype(np.int8)
layout = Layout(("a", "b"))
family = Family(
    name="tiny", pipeline=("tiny.TinyClassifier",), grid={"tinyclassifier__slope": (1.0, 3.0)}
)
listed = candidates(family)
fits = shared_fits(listed, build(listed[0], family, 0, layout))
outcome = fit_and_predict(
    fits[0], build(fits[0].largest, family, 0, layout), FoldCache(Fold(X, y, X, y), threads=2)
)
assert outcome.failure == "" and outcome.probability.shape == (1, 200), outcome
model = fit(build(Candidate("tiny", {}), family, 0, layout), 0.5, X, y)
manifest = Manifest(
    "boxes", "tiny", layout, 0.5, ("no", "yes"), 1, tuple(map(tuple, X[:5].tolist())), (),
    libraries(),
)
digest = save(Path(), model, manifest)
served = load_and_warm(Path(), digest, "boxes")
assert np.allclose(served.scores(X), model.predict_proba(X)[:, 1], atol=1e-6)
assert "arithmetic" in {way.name for way in served.ways}, served.ways
inside = learners.unwrapped(served.model)[-1]
assert (type(inside).__name__, inside.n_jobs) == ("TinyClassifier", 1)
learners.is_installed = lambda learner: learner.name != "Tiny"
try:
    load(Path(), digest)
except BundleRefusedError as error:
    assert "a model of Tiny, which is not installed here" in str(error), error
else:
    raise AssertionError("opened")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy the product, with a third learner in both of its halves."""
    copied_tree(tmp_path, "include", "serving")
    (tmp_path / "tiny.py").write_text(LIBRARY)
    for folder, code in (("serving/bundle", OF_THE_SERVER), ("include", OF_TRAINING)):
        room = tmp_path / folder / "learners"
        (room / "tiny.py").write_text(code)
        registry = (room / "__init__.py").read_text()
        line = 'LEARNERS = ("scikit_learn", "xgboost")'
        assert registry.count(line) == 1
        (room / "__init__.py").write_text(
            registry.replace(line, 'LEARNERS = ("scikit_learn", "xgboost", "tiny")')
        )
    return tmp_path


@pytest.mark.long
def test_two_files_and_a_line_in_each_registry_are_a_learner(tree: Path) -> None:
    """It is checked in a spec, raced, fitted, saved, opened under the trust list, and answers.

    In a process of its own, for the registries are those of the copy.
    """
    for script in (LISTED, USED):
        assert printed(tree, script) == ""
