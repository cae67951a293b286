"""The learning libraries whose estimators are fitted here: the half of training of each.

A module of this folder answers for one library, as its `LEARNER`. Whoever has an estimator asks
here and never which class it is. A module imports its library when it is asked about an estimator.
The other half, how a fitted model is opened and asked, is `serving.bundle.learners`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from inspect import Parameter, signature
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from include.learners.estimator_lists import Alternatives, EstimatorLists

if TYPE_CHECKING:
    from include.learners.rows import Classes, Features, Fold, RowBlocks, SharedMatrix, Staged

LEARNERS = ("scikit_learn", "xgboost")
"""The modules of this folder, a learner each."""


class Learner(Protocol):
    """One learning library. What a method has a body for here, a learner may leave as it is."""

    name: str
    """As people call it."""
    package: str
    """What Python imports, and where the modules of its classes begin."""
    estimators: EstimatorLists
    """The classes that a spec may name."""
    native_names: Mapping[str, str] = MappingProxyType({})
    """Other names of parameters, by which a person may know them, and those of the classes."""
    needed_to_fit: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    """By class, parameters without which it is not fitted, or not fast, on a few random rows."""
    variants: Mapping[str, tuple[Mapping[str, Any], ...]] = MappingProxyType({})
    """By class, sets of parameters that change which classes a fitted estimator contains."""
    imported_ahead: tuple[str, ...] = ()
    """What is imported before the processes of tasks are forked, so that no task waits for it."""

    def parameter_values(self, path: str, cls: type) -> Mapping[str, Alternatives]:
        """Return the parameters of a class of this learner, with the values that each accepts."""
        del path
        return dict.fromkeys(defaults_of(cls))

    def required_parameters(self, cls: type) -> list[str]:
        """Return the parameters without which a class cannot be constructed or fitted."""
        empty = Parameter.empty
        return [name for name, default in defaults_of(cls).items() if default is empty]

    def regressors(self) -> Sequence[str]:
        """Return the names of regressors, which a person may take for a classifier."""
        return ()

    def also_fitted(self, X: Features, y: Classes) -> Iterator[Any]:
        """Yield models fitted in ways that no spec can say and that adopted models may have."""
        del X, y
        yield from ()

    def last_step(self, model: Any) -> Any | None:
        """Return the last step of a pipeline; None for what is none."""
        del model
        return None

    def size_parameter(self, classifier: Any) -> str:
        """Return the parameter whose smaller values one fit contains; empty where there is none."""
        del classifier
        return ""

    def fit_at_sizes(self, classifier: Any, fold: Fold, sizes: Sequence[int]) -> tuple[Staged, int]:
        """Fit once and predict at each value of `size_parameter`, the smallest first.

        Returns the probabilities, a row of NaN where the fit stopped before a size, and the size
        at which it stopped early; 0 where it did not.
        """
        del classifier, fold, sizes
        raise NotImplementedError

    def with_shared_matrix(self, classifier: Any, shared: SharedMatrix) -> Any:
        """Return a classifier that takes what several fits on the same rows have in common."""
        del shared
        return classifier

    def seed_parameters(self, part: Any, seed: int) -> Mapping[str, Any]:
        """Return the parameters that seed what a part draws; none where the spec has seeded it."""
        return {"random_state": seed} if getattr(part, "random_state", seed) is None else {}

    def thread_parameter(self, part: Any) -> str:
        """Return the parameter that sets how many threads a part uses; empty where none does."""
        del part
        return "n_jobs"

    def splits_on_categories(self, step: Any, columns: Sequence[int], most: int) -> bool:
        """Tell an unfitted step which columns hold categories; False where it cannot split on them.

        `most` is the largest number of categories that a column has.
        """
        del step, columns, most
        return False

    def reads_missing(self, step: Any) -> bool:
        """Say whether a step accepts missing numbers."""
        from sklearn.utils import get_tags

        return bool(get_tags(step).input_tags.allow_nan)

    def fills_missing(self, step: Any) -> bool:
        """Say whether no missing number is left behind a step that accepts some."""
        del step
        return False

    def reads_blocks(self, classifier: Any) -> bool:
        """Say whether a classifier can be fitted on rows that come block by block."""
        del classifier
        return False

    def fit_blocks(self, classifier: Any, blocks: RowBlocks, cache: Path) -> None:
        """Fit a classifier that `reads_blocks`; `cache` is an empty folder for its files."""
        del classifier, blocks, cache
        raise NotImplementedError


@cache
def learners() -> tuple[Learner, ...]:
    """Return every learner, whether its library is installed or not."""
    return tuple(import_module(f"{__name__}.{module}").LEARNER for module in LEARNERS)


def learner_of(estimator: object) -> Learner:
    """Return the learner of an estimator: by its class, then by what that extends.

    What is of no learner (a class of somebody's own, or a word in the place of a step) is as plain
    as an estimator can be.
    """
    packages = [cls.__module__.partition(".")[0] for cls in type(estimator).__mro__]
    known = {learner.package: learner for learner in learners()}
    return next((known[package] for package in packages if package in known), _PLAIN)


def learner_of_path(path: str) -> Learner | None:
    """Return the learner that an import path of a class leads to."""
    package, dot, _ = path.partition(".")
    package = _OF_THIS_PROJECT.get(package, package)
    return next((one for one in learners() if dot and one.package == package), None)


def is_installed(learner: Learner) -> bool:
    """Say whether a learner's library can be imported here."""
    return find_spec(learner.package) is not None


def import_ahead() -> None:
    """Import every installed library now, which takes seconds, and not in each task."""
    for learner in filter(is_installed, learners()):
        for module in learner.imported_ahead:
            import_module(module)


def block_learners() -> list[str]:
    """Return the names of the learners that fit some classifiers on rows block by block."""
    return [one.name for one in learners() if type(one).fit_blocks is not Learner.fit_blocks]


def defaults_of(cls: type) -> dict[str, Any]:
    """Return the parameters that a class names, with their defaults."""
    return {
        parameter.name: parameter.default
        for parameter in signature(cls).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    }


_OF_THIS_PROJECT = {"serving": "sklearn"}
"""Transformers of this project extend scikit-learn's classes."""


class _PlainLearner(Learner):
    """Knows nothing but the interface that all estimators have."""

    name = "an estimator"
    package = ""
    estimators = EstimatorLists({})


_PLAIN = _PlainLearner()
