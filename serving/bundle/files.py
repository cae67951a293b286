"""Save, verify and load a bundle."""

import hashlib
import json
import pickle
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from serving.bundle.layout import Layout, Value, encode, read_layout
from serving.bundle.learners import installed_learners
from serving.bundle.problems import FIRST_PROBLEM, Problem, problem_named
from serving.bundle.refused_bundle import BundleRefusedError, quotable
from serving.bundle.registered import MANIFEST_FILE, MODEL_FILE
from serving.bundle.trust import open_model

_LIBRARIES = ("numpy", "joblib")
"""What models of every learner depend on."""


class Classifier(Protocol):
    """What a bundle needs of a fitted scikit-learn classifier."""

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[Any]:
        """Return class probabilities, shape (rows, classes), in the order of the classes."""


@dataclass(frozen=True)
class Manifest:
    """What a server must know of a model before it opens it."""

    name: str
    """The registered model's name, which is also the endpoint's."""
    family: str
    layout: Layout
    """How a row stands in the matrix that the model was fitted on."""
    threshold: float
    """A row is positive when its probability is at least this."""
    labels: tuple[str, ...]
    """The classes as they stand in the data, the negative one before the positive."""
    data_version: int
    """The version of the lake's table that the model was fitted on."""
    example: tuple[tuple[Value, ...], ...] = ()
    """A few real rows in feature order: what documentation shows and a warm-up predicts."""
    answers: tuple[float, ...] = ()
    """What the model said of those rows where it was fitted, see `with_own_answers`."""
    libraries: dict[str, str] = field(default_factory=dict)
    """Versions of the libraries that pickled the model."""
    model_sha256: str = ""
    """Digest of the model file; `save` fills it in."""
    problem: str = FIRST_PROBLEM
    """What the model solves; bundles of 0.1.0 name none and are binary."""

    @property
    def features(self) -> tuple[str, ...]:
        """Feature names in column order."""
        return self.layout.features


@dataclass(frozen=True)
class Bundle:
    """A verified, opened model."""

    manifest: Manifest
    model: Classifier
    size_bytes: int = 0
    """Of the model file; 0 for a bundle that was not loaded from files."""

    @property
    def problem(self) -> Problem:
        """What the model solves."""
        return problem_named(self.manifest.problem)

    def scores(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what the model says of a float32 matrix; the first axis is the rows."""
        return self.problem.scores(self.model, X)

    def calls(self, scores: NDArray[np.float64]) -> NDArray[Any]:
        """Return what the model takes rows for, shape (rows,), by its scores of them."""
        return self.problem.calls(self.manifest, scores)


def libraries() -> dict[str, str]:
    """Return the installed version of every library that a pickled model depends on."""
    learned = [learner.distribution for learner in installed_learners()]
    return {name: version(name) for name in (*learned, *_LIBRARIES)}


def with_own_answers(manifest: Manifest, model: Classifier) -> Manifest:
    """Return a manifest with the model's own answers to its example rows, to hold a server to."""
    if not manifest.example:
        return manifest
    rows = encode(manifest.layout, manifest.example)
    return replace(manifest, answers=tuple(Bundle(manifest, model).scores(rows).tolist()))


def save(folder: Path, model: Classifier, manifest: Manifest) -> str:
    """Write a bundle into an existing folder and return the digest that pins it."""
    # Not by `joblib.dump`: the library dill, which Airflow imports, puts functions of its own into
    # the table of joblib's pickler, and what they write opens only where dill is installed.
    with (folder / MODEL_FILE).open("wb") as file:
        pickle.dump(model, file, protocol=pickle.HIGHEST_PROTOCOL)
    fields = asdict(manifest) | {"model_sha256": _sha256(folder / MODEL_FILE)}
    (folder / MANIFEST_FILE).write_text(json.dumps(fields, indent=1, sort_keys=True))
    return _sha256(folder / MANIFEST_FILE)


def read_manifest(folder: Path, digest: str) -> Manifest:
    """Return the manifest of a bundle whose `bundle.json` has this SHA-256 digest, or refuse."""
    path = folder / MANIFEST_FILE
    _require(path, digest)
    try:
        fields = json.loads(path.read_text())
        read = Manifest(
            **fields
            | {
                "layout": read_layout(fields["layout"]),
                "labels": tuple(fields["labels"]),
                "example": tuple(map(tuple, fields["example"])),
                "answers": tuple(fields["answers"]),
            }
        )
        _require_kinds(read, problem_named(read.problem))
    except KeyError as error:
        raise BundleRefusedError(
            f"{path.name} is no manifest that can be read: "
            f"{quotable(str(error.args[0]))} is missing"
        ) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise BundleRefusedError(
            f"{path.name} is no manifest that can be read: {quotable(str(error))}"
        ) from error
    return read


def _require_kinds(read: Manifest, problem: Problem) -> None:
    """Raise TypeError for a manifest whose fields are of other kinds than they are saved with."""
    texts = (read.name, read.family, *read.labels, *read.features, *read.layout.missing)
    known = (one for names in read.layout.categories.values() for one in names)
    values = (one for row in read.example for one in row)
    fits = (
        all(type(one) is str for one in (*texts, *known))
        and type(read.layout.id) in {str, type(None)}
        and problem.fits(read)
        and type(read.data_version) is int
        and all(type(one) in {int, float} for one in read.answers)
        and all(type(one) in {int, float, str, type(None)} for one in values)
    )
    if not fits:
        raise TypeError("a field is of another kind")


def load(folder: Path, digest: str) -> Bundle:
    """Verify both files against the digest and only then unpickle the model.

    A digest from the registry, written when the model was registered, has to match first; then
    nothing is run that a model is not made of (see `serving.bundle.trust`).
    """
    manifest = read_manifest(folder, digest)
    _require(folder / MODEL_FILE, manifest.model_sha256)
    path = folder / MODEL_FILE
    return Bundle(manifest, open_model(path), path.stat().st_size)


def _require(path: Path, digest: str) -> None:
    if not path.is_file():
        raise BundleRefusedError(f"{path.name} is missing: the model was not downloaded whole")
    found = _sha256(path)
    if found != digest:
        raise BundleRefusedError(
            f"{path.name} has digest {found[:12]}, the registry recorded {digest[:12]}: "
            "the file was changed after it was registered, so it is not opened"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
