"""`python -m include.cli.trusted_names`: generates the trust list by fitting every estimator.

Every supported estimator is fitted in each way that changes the classes inside it: on numbers, with
missing values, behind one-hot columns, on few rows and on many, inside estimators that take others.
The class and function names in their pickles are written to `serving/bundle/trusted_names.json`,
and their parameters, with the values that these accept, to `include/spec/estimators.json`. The same
library versions give the same files; review the differences before you commit them.
"""

import io
import json
import pickle
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from include.learners import learner_of_path, learners
from include.records.arrays import Labels, Matrix
from include.records.training import Candidate
from include.spec.estimators import CLASSIFIERS, KERNELS, PARAMETERS_FILE, paths
from include.spec.model_spec import Family
from include.spec.signatures import signatures
from include.stages.fit import fit
from include.stages.select import build, soft_vote
from serving.bundle import Layout
from serving.bundle.name_list import NAMES_FILE, NameKind
from serving.bundle.rebuilding import trusted_parts

Name = tuple[str, str]
_WRITTEN_IN_PYTHON = 1 << 9  # Py_TPFLAGS_HEAPTYPE: such a class can be made empty without harm
_LINEAR = "sklearn.linear_model.LogisticRegression"
_BAYES = "sklearn.naive_bayes.GaussianNB"
_TREE = "sklearn.tree.DecisionTreeClassifier"
_SCALER = "sklearn.preprocessing.StandardScaler"
_TWO = [["one", _LINEAR], ["two", _BAYES]]
_PROTOCOLS = (pickle.DEFAULT_PROTOCOL, pickle.HIGHEST_PROTOCOL)  # of joblib and of a bundle
_FEW, _MANY = 120, 12_000
_COLUMNS = ("one", "two", "three", "four")
_NUMBERS = Layout(_COLUMNS)
_MIXED = Layout(_COLUMNS, {"four": ("blue", "green", "red")}, ("two", "four"))


def main() -> None:
    """Write `trusted_names.json` and `estimators.json`."""
    PARAMETERS_FILE.write_text(_compact(parameters()))  # a spec is held to these: they come first
    NAMES_FILE.write_text(_text(sorted_out(names(models()))))
    sys.stdout.write(f"{NAMES_FILE} and {PARAMETERS_FILE} are written\n")


def models() -> Iterator[BaseEstimator]:
    """Yield fitted models which together contain every class that a model may contain."""
    for path in paths(CLASSIFIERS):
        for params in _ways(path):
            for layout in (_NUMBERS, _MIXED):
                yield _fitted((path,), params, layout, _FEW)
    for path in sorted(set(paths()) - set(paths(CLASSIFIERS)) - set(paths(KERNELS))):
        for params in _ways(path):
            yield _fitted((path, _LINEAR), params, _NUMBERS, _FEW)
    yield _fitted(("sklearn.preprocessing.OneHotEncoder", _LINEAR), {}, _NUMBERS, _FEW)
    yield _fitted(("sklearn.ensemble.HistGradientBoostingClassifier",), {}, _MIXED, _MANY)
    for learner in learners():
        yield from learner.also_fitted(*_rows(_NUMBERS, _FEW))
    members = [_unfitted((path,), {}, _MIXED) for path in (_LINEAR, _BAYES, _TREE)]
    yield fit(soft_vote(members), 0.5, *_rows(_MIXED, _FEW))


def names(fitted: Iterable[BaseEstimator]) -> set[Name]:
    """Return the (module, name) pairs that the pickles of fitted models refer to."""
    found: set[Name] = set()

    class Noting(pickle.Unpickler):
        def find_class(self, module: str, name: str, /) -> Any:
            found.add((module, name))
            return super().find_class(module, name)

    for model in fitted:
        for protocol in _PROTOCOLS:
            Noting(io.BytesIO(pickle.dumps(model, protocol))).load()  # it was made just now
    return found


def _text(listed: Mapping[str, Any]) -> str:
    return json.dumps(listed, indent=1, sort_keys=True) + "\n"


def _compact(listed: Mapping[str, Any]) -> str:
    """Return JSON with one line for each parameter, so that a diff shows single changes."""
    text = _text(listed)
    return re.sub(r"\n {4,}|\n {3}(?=[\]}])", " ", text)


def sorted_out(all_names: Iterable[Name]) -> dict[str, dict[str, list[str]]]:
    """Group names by how the unpickler treats them, then by module: the content of the file."""
    kinds: dict[str, dict[str, list[str]]] = {kind: {} for kind in sorted(NameKind)}
    for module, name in sorted({*all_names, *trusted_parts().kept}):
        kinds[_kind(module, name)].setdefault(module, []).append(name)
    return kinds


def parameters() -> dict[str, Any]:
    """Return the parameters that a spec may set, by class: the content of the file."""
    return signatures()


def _kind(module: str, name: str) -> str:
    parts = trusted_parts()
    for kind, listed in (
        (NameKind.REBUILT, parts.rebuilders),
        (NameKind.ARGUMENTS, parts.arguments),
        (NameKind.IGNORED, parts.ignored),
        (NameKind.KEPT, parts.kept),
    ):
        if (module, name) in listed:
            return kind
    value = getattr(import_module(module), name)
    if isinstance(value, type) and issubclass(value, np.generic):
        return NameKind.VALUES
    if isinstance(value, type) and value.__flags__ & _WRITTEN_IN_PYTHON:
        return NameKind.CLASSES
    raise ValueError(f"{module}.{name} is compiled, or a function: say how it is rebuilt")


def _ways(path: str) -> Iterator[dict[str, Any]]:
    """Yield each set of parameters to fit a class with, named as in a spec."""
    name = path.rpartition(".")[2]
    learner = learner_of_path(path)
    if learner is None:
        return
    for variant in ({}, *learner.variants.get(name, ())):
        own = {**learner.needed_to_fit.get(name, {}), **variant}
        yield {f"{name.lower()}__{key}": value for key, value in own.items()}


def _fitted(
    pipeline: Sequence[str], params: Mapping[str, Any], layout: Layout, rows: int
) -> BaseEstimator:
    X, y = _rows(layout, rows)
    return fit(_unfitted(pipeline, params, layout), 0.5, X, y)


def _unfitted(pipeline: Sequence[str], params: Mapping[str, Any], layout: Layout) -> Pipeline:
    # Not validated: a model from elsewhere may end in a class that gives no probabilities.
    family = Family.model_construct(name="any", pipeline=tuple(pipeline), params=dict(params))
    return build(Candidate("any", {}), family, 0, layout)


def _rows(layout: Layout, count: int) -> tuple[Matrix, Labels]:
    """Return `count` random rows and labels: numbers from 0 up, with categories and missing values.

    X is float32, shape (count, features); categories and NaN occur where the layout allows them.
    """
    chance = np.random.default_rng(0)
    X = np.abs(chance.normal(size=(count, len(layout.features)))).round(2).astype(np.float32)
    y = (X[:, 0] + chance.normal(size=count) > 1).astype(np.int8)
    for place, feature in enumerate(layout.features):
        if feature in layout.categories:
            X[:, place] = chance.integers(len(layout.categories[feature]), size=count)
        if feature in layout.missing:
            X[chance.integers(10, size=count) == 0, place] = np.nan
    return X, y


if __name__ == "__main__":
    main()
