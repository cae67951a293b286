"""Reads which parameters the installed classes take: the content of `estimators.json`."""

from typing import Any

from include.learners import learner_of_path, learners
from include.learners.estimator_lists import Alternatives
from include.spec.estimators import WITHHELD, paths, resolve


def signatures() -> dict[str, Any]:
    """Return the parameters of every supported class with their values, and all regressors."""
    return {
        "parameters": {path: _parameters(path) for path in paths()},
        "regressors": sorted(name for learner in learners() for name in learner.regressors()),
        "required": {path: needed for path in paths() if (needed := _required(path))},
    }


def _parameters(path: str) -> dict[str, Alternatives]:
    learner = learner_of_path(path)
    values = learner.parameter_values(path, resolve(path)) if learner else {}
    return {name: values[name] for name in sorted(values.keys() - WITHHELD)}


def _required(path: str) -> list[str]:
    learner = learner_of_path(path)
    return learner.required_parameters(resolve(path)) if learner else []
