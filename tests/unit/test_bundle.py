import json
import os
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from include.settings import PROJECT
from include.stages.fit import fit
from serving.bundle import BundleRefusedError, Layout, Manifest, load, read_manifest, save

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 2)).astype(np.float32)
Y = (X[:, 0] + RNG.normal(size=200) > 1).astype(np.int8)
MANIFEST = Manifest(
    name="boxes",
    family="naive_bayes",
    layout=Layout(("height", "width", "colour"), {"colour": ("blue", "red")}, ("width",)),
    threshold=0.3,
    labels=("no", "yes"),
    data_version=4,
    example=((1.0, None, "red"),),
    libraries={"scikit-learn": "1.9"},
)


@pytest.fixture
def digest(tmp_path: Path) -> str:
    """Save a bundle in `tmp_path` and return its digest."""
    return save(tmp_path, fit(make_pipeline(GaussianNB()), MANIFEST.threshold, X, Y), MANIFEST)


def test_a_saved_bundle_opens_with_the_same_manifest_and_answers(
    tmp_path: Path, digest: str
) -> None:
    """What was saved is what is opened, the model file's digest filled in."""
    bundle = load(tmp_path, digest)
    assert replace(bundle.manifest, model_sha256="") == MANIFEST
    expected = make_pipeline(GaussianNB()).fit(X, Y).predict_proba(X)[:, 1]
    assert np.array_equal(bundle.scores(X), expected)


def test_labels_are_what_the_model_predicts(tmp_path: Path, digest: str) -> None:
    """The manifest's threshold and the one inside the model cut the same rows."""
    bundle = load(tmp_path, digest)
    labels = bundle.calls(bundle.scores(X))
    assert np.array_equal(labels, joblib.load(tmp_path / "model.joblib").predict(X))
    assert 0 < labels.sum() < len(labels)


def test_a_probability_at_the_threshold_is_positive(tmp_path: Path, digest: str) -> None:
    """The threshold itself counts as reached."""
    calls = load(tmp_path, digest).calls(np.array([np.nextafter(0.3, 0), 0.3]))
    assert calls.tolist() == [0, 1]


@pytest.mark.parametrize("name", ["bundle.json", "model.joblib"])
def test_an_altered_file_is_refused(tmp_path: Path, digest: str, name: str) -> None:
    """One byte more in either file, and nothing is opened."""
    with (tmp_path / name).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(BundleRefusedError, match=f"{name} has digest .* changed after"):
        load(tmp_path, digest)


@pytest.mark.parametrize("name", ["bundle.json", "model.joblib"])
def test_a_missing_file_is_refused(tmp_path: Path, digest: str, name: str) -> None:
    """Half a download is not a model."""
    (tmp_path / name).unlink()
    with pytest.raises(BundleRefusedError, match=f"{name} is missing"):
        load(tmp_path, digest)


@pytest.mark.parametrize("known", ["family", "layout", "categories"])
def test_a_manifest_of_another_format_is_refused(tmp_path: Path, digest: str, known: str) -> None:
    """A manifest with fields that this version does not know gets a sentence, even if pinned."""
    path = tmp_path / "bundle.json"
    path.write_text(path.read_text().replace(f'"{known}"', '"tribe"'))
    altered = sha256(path.read_bytes()).hexdigest()
    assert altered != digest
    with pytest.raises(BundleRefusedError, match="no manifest that can be read"):
        read_manifest(tmp_path, altered)


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("threshold", '"0.3"'),
        ("threshold", "NaN"),
        ("name", '{"a": 1}'),
        ("labels", '["no"]'),
        ("answers", '["x"]'),
        ("example", "[[[[]]]]"),
        ("family", "[" * 100_000),
        ("layout", '{"features": ["x"], "categories": {}, "missing": [], "id": 3}'),
    ],
)
def test_a_manifest_with_odd_values_is_refused(tmp_path: Path, field: str, written: str) -> None:
    """Whoever pins a manifest does not choose what kinds of values it has, nor how deep it is."""
    save(tmp_path, fit(make_pipeline(GaussianNB()), 0.3, X, Y), MANIFEST)
    path = tmp_path / "bundle.json"
    fields = json.loads(path.read_text()) | {field: "HERE"}
    path.write_text(json.dumps(fields).replace('"HERE"', written))
    with pytest.raises(BundleRefusedError, match="no manifest that can be read"):
        read_manifest(tmp_path, sha256(path.read_bytes()).hexdigest())


def test_a_model_opens_without_what_happened_to_be_imported_when_it_was_written(
    tmp_path: Path,
) -> None:
    """Airflow imports dill, which changes how others pickle; the server does not have it."""
    write = (
        "import dill, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from xgboost import XGBClassifier\n"
        "from serving.bundle import Layout, Manifest, save\n"
        "X = np.arange(40, dtype=np.float32)[:, None]\n"
        "model = XGBClassifier(n_estimators=2).fit(X, X[:, 0] > 20)\n"
        "manifest = Manifest('m', 'f', Layout(('x',)), 0.5, ('0', '1'), 1)\n"
        "print(save(Path(sys.argv[1]), model, manifest))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", write, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert b"dill" not in (tmp_path / "model.joblib").read_bytes()
    opened = load(tmp_path, said.stdout.strip())
    assert opened.scores(np.array([[1.0], [39.0]], np.float32)).argmax() == 1
