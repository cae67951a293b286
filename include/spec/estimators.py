"""The estimators and transformers that a spec may name: those of all learners.

A class on their lists is imported and constructed; any other path is never imported. Reading a spec
loads no learning library, so the parameters of each class and the values that they accept are
stored beside this module in a JSON file that `python -m include.cli.trusted_names` writes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from include.learners import is_installed, learner_of_path, learners
from include.learners.estimator_lists import Alternatives
from include.text.nearest import suggestion

_Value = TypeVar("_Value")


def merged(parts: Iterable[Mapping[str, _Value]]) -> Mapping[str, _Value]:
    """Return what several mappings hold together."""
    return {key: value for part in parts for key, value in part.items()}


PARAMETERS_FILE = Path(__file__).with_suffix(".json")
CLASSIFIERS = merged(learner.estimators.classifiers for learner in learners())
KERNELS = merged(learner.estimators.kernels for learner in learners())
"""Values of the Gaussian process's `kernel`."""
TRANSFORMERS = merged(learner.estimators.transformers for learner in learners())
ESTIMATOR_VALUED = frozenset(
    {
        *("estimator", "estimators", "final_estimator", "init", "kernel"),
        *("remainder", "transformer_list", "transformers"),
    }
)
"""Parameters whose value may be an estimator, or a list with estimators in it."""
TUPLE_VALUED = frozenset({"feature_range", "quantile_range"})
"""Parameters whose value must be a tuple; a spec writes it as a list."""
TRANSFORM_TOO = frozenset[str]().union(*(one.estimators.transform_too for one in learners()))
"""Classifiers that can also stand before another step."""
WITHOUT_PROBABILITIES = frozenset[str]().union(
    *(one.estimators.without_probabilities for one in learners())
)
"""Classifiers that predict classes only, whatever their parameters."""
PROBABILITIES_BY: Mapping[str, tuple[str, tuple[Any, ...]]] = merged(
    learner.estimators.probabilities_by for learner in learners()
)
"""Classifiers that predict probabilities only when a parameter has one of these values."""
WITHHELD = frozenset({"callbacks", "memory"})
"""Parameters that no spec may set: objects of a program, and a folder to write and unpickle in."""
_ALIKE = 0.7
"""Similarity of class names, from 0 to 1, from which one counts as a misspelling of the other."""


def paths(*groups: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return the import paths of these groups, or of everything supported, sorted."""
    return sorted(
        f"{module}.{name}"
        for group in groups or (CLASSIFIERS, KERNELS, TRANSFORMERS)
        for module, names in group.items()
        for name in names
    )


def resolve(path: str) -> type:
    """Import a supported class; raises ValueError with what to write or to install instead."""
    if path not in paths():
        raise ValueError(unsupported_message(path))
    learner = learner_of_path(path)
    if learner is not None and not is_installed(learner):
        raise ValueError(
            f"{path} is of {learner.name}, which is not installed here: install it, or name another"
        )
    module, _, name = path.rpartition(".")
    cls: type = getattr(import_module(module), name)
    return cls


def unsupported_message(path: str) -> str:
    """Return the message for a path that is not supported, with the nearest one that is."""
    name = path.rpartition(".")[2]
    known = [*_regressors(), *_classes()]
    if set(get_close_matches(name, known, n=1, cutoff=_ALIKE)) & {*_regressors()}:
        meant = nearest(path.replace(name, _as_classifier(name)), CLASSIFIERS)
        return f"{path} is a regressor, and rows here have classes{suggestion(meant)}"
    return f"{path} is not supported{suggestion(nearest(path))}"


def nearest(path: str, *groups: Mapping[str, tuple[str, ...]]) -> str:
    """Return the supported path that is nearest to one, by its class name first."""
    listed = paths(*groups)
    name = path.rpartition(".")[2]
    named = {supported.rpartition(".")[2]: supported for supported in listed}
    if close := get_close_matches(name, named, n=1, cutoff=_ALIKE):
        return named[close[0]]
    return get_close_matches(path, listed, n=1, cutoff=0)[0]


def _regressors() -> Sequence[str]:
    listed: Sequence[str] = _signatures()["regressors"]
    return listed


def _classes() -> list[str]:
    return [path.rpartition(".")[2] for path in paths()]


def _as_classifier(name: str) -> str:
    """Return the usual name of the classifier that corresponds to a regressor."""
    for end, instead in (("Regressor", "Classifier"), ("LinearRegression", "LogisticRegression")):
        if name.endswith(end):
            return name.removesuffix(end) + instead
    return name.removesuffix("R") + "C" if name.endswith("SVR") else name


def step_names(pipeline: Sequence[str]) -> list[str]:
    """Return the names that `make_pipeline` gives to the steps of these classes."""
    plain = [path.rpartition(".")[2].lower() for path in pipeline]
    return [
        name if plain.count(name) == 1 else f"{name}-{plain[: place + 1].count(name)}"
        for place, name in enumerate(plain)
    ]


def texts_within(value: Any) -> Iterator[str]:
    """Yield each text in a parameter's value, at any depth of lists and tables."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from texts_within(part)
    elif isinstance(value, Sequence):
        for part in value:
            yield from texts_within(part)


def is_path(text: str) -> bool:
    """Say whether a text is an import path of a class, where an estimator may stand."""
    return "." in text


def parameters(path: str) -> Mapping[str, Alternatives]:
    """Return the parameters of a supported class, each with the values that it accepts."""
    listed: Mapping[str, Alternatives] = _signatures()["parameters"].get(path, {})
    return listed


def required_parameters(path: str) -> Sequence[str]:
    """Return the parameters without which a class cannot be constructed or fitted."""
    listed: Sequence[str] = _signatures()["required"].get(path, ())
    return listed


@cache
def _signatures() -> Mapping[str, Any]:
    listed: Mapping[str, Any] = json.loads(PARAMETERS_FILE.read_text())
    return listed
