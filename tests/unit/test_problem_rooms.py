"""Which problem a model solves is asked in the rooms of the problems and nowhere else."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB

from include.metrics import METRICS, objectives
from include.problems import PROBLEMS, problems
from include.settings import PROJECT
from include.spec.model_spec import Spec
from serving.bundle import BundleRefusedError, Layout, Manifest, load, save
from serving.bundle import problems as serving_half

ROOMS = ("include/problems/", "serving/bundle/problems/", "include/metrics/")
FOLDERS = ("include", "serving", "dags", "plugins", "stack", "demo")
KIND = re.compile(
    r"\bproblem(\.name)? (==|!=) |\bproblem(\.name)? (not )?in [(\[{]|"
    r"ThresholdedProbability\(|isinstance\([^)]*(Binary|ThresholdedProbability)|"
    r"[\"']binary[\"']"
)
"""How code would ask which problem it has, or take its predictions for those of one."""
OTHERS = {"serving/protocol/openapi.py": "what is sent packed, as binary data"}
"""Files in which the word is another one."""
X = np.random.default_rng(0).normal(size=(60, 1)).astype(np.float32)


@pytest.mark.parametrize("folder", FOLDERS)
def test_nobody_asks_which_problem_it_is(folder: str) -> None:
    """What differs between two problems is a method of both."""
    files = (path for path in (PROJECT / folder).rglob("*.py") if "_pb2" not in path.name)
    asking = {path.relative_to(PROJECT).as_posix(): path.read_text() for path in files}
    found = {name for name, code in asking.items() if KIND.search(code)}
    assert {name for name in found if not name.startswith(ROOMS)} <= OTHERS.keys()


def test_both_halves_know_the_same_problems() -> None:
    """Each has the name of its module, and judges by metrics that there are."""
    assert PROBLEMS == serving_half.PROBLEMS
    assert {*problems()} == {*serving_half.problems()} == {*PROBLEMS}
    for problem in problems().values():
        assert {*problem.metrics} <= {*METRICS}
        assert {*problem.floors, problem.calibration} - {""} <= {*problem.metrics}
        assert {*problem.metrics} & {*objectives()}


def test_a_spec_names_a_problem_that_there_is(spec: Spec) -> None:
    """Without a name it is that of release 0.1.0."""
    assert spec.problem == serving_half.FIRST_PROBLEM
    with pytest.raises(ValueError, match="did you mean binary"):
        Spec.model_validate(spec.model_dump() | {"problem": "binarry"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a bundle."""
    model = GaussianNB().fit(X, (X[:, 0] > 0).astype(np.int8))
    save(tmp_path, model, Manifest("boxes", "bayes", Layout(("a",)), 0.5, ("no", "yes"), 1))
    return tmp_path


def altered(folder: Path, **fields: str | None) -> str:
    """Write fields into a bundle's manifest, or take them out; return the digest."""
    path = folder / "bundle.json"
    manifest = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({key: one for key, one in manifest.items() if one is not None}))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_manifest_of_the_first_release_is_binary(folder: Path) -> None:
    """It names no problem."""
    opened = load(folder, altered(folder, problem=None))
    assert opened.problem.name == serving_half.FIRST_PROBLEM
    assert opened.calls(opened.scores(X)).tolist() == opened.model.predict(X).tolist()  # type: ignore[attr-defined]


def test_a_problem_of_a_later_release_is_refused(folder: Path) -> None:
    """By name, before the model is opened, with what this server knows."""
    with pytest.raises(BundleRefusedError, match="its problem is ranking, and this server knows"):
        load(folder, altered(folder, problem="ranking"))
