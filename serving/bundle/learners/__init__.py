"""The learning libraries whose models a bundle may hold: the server's half of each.

A module of this folder answers for one library, as its `LEARNER`. Whoever has a fitted model asks
here and never which class it is. A module imports its library when it is asked about a model:
knowing that the library exists costs nothing, and one that is not installed is known by name.
The other half, how a model is fitted, is `include.learners`.
"""

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from serving.bundle.learners.scores import AsScore, Score, Transform
from serving.bundle.trusted_parts import TrustedParts

LEARNERS = ("scikit_learn", "xgboost")
"""The modules of this folder, a learner each."""


class Learner(Protocol):
    """One learning library. What a method has a body for here, a learner may leave as it is."""

    name: str
    """As people call it."""
    package: str
    """What Python imports, and where the modules of its classes begin."""
    distribution: str
    """What is installed; a bundle records its version."""
    trusted: TrustedParts
    """What a model file of it may hold beside classes that are made empty and filled."""
    imported_ahead: tuple[str, ...] = ()
    """What a server imports when it starts, so that no request waits for it."""

    def classifier_inside(self, model: Any) -> Any | None:
        """Return the classifier inside a wrapper that only holds a threshold; None for another."""
        del model
        return None

    def score_of(self, model: Any) -> Score | None:
        """Return how to score rows quickly by arithmetic; None where only the model itself can."""
        del model
        return None

    def transform_of(self, step: Any) -> Transform | None:
        """Return how to transform rows quickly by arithmetic; None where only the step can."""
        del step
        return None

    def graph_score(self, model: Any, width: int, as_score: AsScore) -> Score | None:
        """Return how to score a float32 matrix of so many columns by an ONNX graph, if any can."""
        del model, width, as_score
        return None

    def single_thread(self, part: object) -> Iterable[object]:
        """Set a fitted part to one thread, and return the parts inside it."""
        del part
        return ()


@cache
def learners() -> tuple[Learner, ...]:
    """Return every learner, whether its library is installed or not."""
    return tuple(import_module(f"{__name__}.{module}").LEARNER for module in LEARNERS)


def installed_learners() -> list[Learner]:
    """Return the learners whose library can be imported here."""
    return [learner for learner in learners() if is_installed(learner)]


def is_installed(learner: Learner) -> bool:
    """Say whether a learner's library can be imported here."""
    return _can_be_imported(learner.package)


def import_ahead() -> None:
    """Import every installed library now, which takes seconds, and not when a model comes."""
    for learner in installed_learners():
        for module in learner.imported_ahead:
            import_module(module)


def learner_of(model: object) -> Learner | None:
    """Return the learner that a model or a step is of: by its class, then by what that extends."""
    modules = (cls.__module__ for cls in type(model).__mro__)
    return next(filter(None, map(learner_of_module, modules)), None)


def learner_of_module(module: str) -> Learner | None:
    """Return the learner whose library a module belongs to."""
    package = module.partition(".")[0]
    return next((learner for learner in learners() if learner.package == package), None)


def unwrapped(model: Any) -> Any:
    """Return the classifier inside the wrappers that only hold the threshold."""
    learner = learner_of(model)
    inside = learner and learner.classifier_inside(model)
    return model if inside is None else unwrapped(inside)


def score_of(model: Any) -> Score:
    """Return a function that scores rows as a fitted classifier does; by default its own method."""
    learner = learner_of(model)
    return (learner and learner.score_of(model)) or _own_score(model)


def transform_of(step: Any) -> Transform:
    """Return a function that transforms rows as a fitted step does; by default its own method."""
    learner = learner_of(step)
    own: Transform = step.transform
    return (learner and learner.transform_of(step)) or own


def graph_score(model: Any, width: int, as_score: AsScore) -> Score | None:
    """Return how to score a float32 matrix of so many columns by a graph, None where there is none.

    Of a model that is made of several, each may be asked in another way.
    """
    learner = learner_of(model)
    return learner.graph_score(model, width, as_score) if learner else None


@cache
def _can_be_imported(package: str) -> bool:
    return find_spec(package) is not None


def _own_score(model: Any) -> Score:
    ask: Score = model.predict_proba
    return lambda X: ask(X)[:, 1]
