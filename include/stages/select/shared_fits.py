"""Candidates that share one fit, and how they are fitted and scored on a fold.

A boosted model of 400 rounds contains those of 100 and 200 rounds, a forest of 300 trees the one of
100. Candidates that differ in nothing else form a shared fit: it is fitted once, as its largest
candidate, and predicts at every size. What the shared fits of a family have in common is computed
once a fold too: the rows transformed by the same first steps, and a library's own matrix of them.
"""

import hashlib
import json
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from include.learners import learner_of
from include.learners.rows import Fold, Staged
from include.records.arrays import FitOutcome
from include.records.training import Candidate


@dataclass(frozen=True)
class SharedFit:
    """Candidates that differ in the size of one fit, the smallest first, or a single candidate."""

    candidates: tuple[Candidate, ...]
    free: str = ""
    """The parameter in which they differ; empty where one fit serves one candidate."""

    @property
    def largest(self) -> Candidate:
        """The candidate whose fit contains the fits of all others."""
        return self.candidates[-1]

    @property
    def sizes(self) -> list[int]:
        """The sizes to predict at; empty for a single candidate without one."""
        return [candidate.params[self.free] for candidate in self.candidates] if self.free else []

    @cached_property
    def key(self) -> str:
        """16 hexadecimal digits that identify the shared fit wherever its outcomes are stored."""
        identity = json.dumps(
            [[candidate.family, candidate.params] for candidate in self.candidates], sort_keys=True
        )
        return hashlib.sha256(identity.encode()).hexdigest()[:16]


def shared_fits(candidates: Iterable[Candidate], pipeline: Pipeline) -> list[SharedFit]:
    """Group the candidates of a family; `pipeline` is that of any of them, unfitted.

    Shared fits with the same first steps stand next to each other, so that those steps run once.
    """
    free = _free_parameter(pipeline)
    listed = list(candidates)
    if not free or any(free not in candidate.params for candidate in listed):
        return sorted(
            (SharedFit((candidate,)) for candidate in listed),
            key=lambda shared_fit: _fixed(shared_fit.largest, ""),
        )
    grouped = groupby(
        sorted(listed, key=lambda item: (_fixed(item, free), item.params[free])),
        key=lambda item: _fixed(item, free),
    )
    return [SharedFit(tuple(members), free) for _, members in grouped]


@dataclass
class FoldCache:
    """What the shared fits of a family have in common in one fold; holds the newest of each."""

    fold: Fold
    threads: int
    _transformed: tuple[str, Fold] | None = field(default=None, init=False)
    _matrix: tuple[Hashable, Any] | None = field(default=None, init=False)

    def transformed_by(self, steps: Pipeline | None) -> Fold:
        """Return the fold transformed by the first steps, fitted on its rows to fit on."""
        if steps is None:
            return self.fold
        settings = repr(steps.get_params())
        if self._transformed is None or self._transformed[0] != settings:
            self._transformed = self._matrix = None
            X = steps.fit_transform(self.fold.X, self.fold.y)
            X_validation = steps.transform(self.fold.X_validation)
            self._transformed = settings, replace(self.fold, X=X, X_validation=X_validation)
        return self._transformed[1]

    def shared_matrix(self, identity: Hashable, make: Callable[[], Any]) -> Any:
        """Return a library's own matrix of rows; the first shared fit that needs it makes it."""
        if self._matrix is None or self._matrix[0] != identity:
            self._matrix = identity, make()
        return self._matrix[1]


def fit_and_predict(shared_fit: SharedFit, pipeline: Pipeline, shared: FoldCache) -> FitOutcome:
    """Fit a shared fit's largest candidate on a fold and predict at every size.

    `pipeline` is that of the largest candidate. An error that the estimator raises for this data is
    a failed outcome; MemoryError and OSError are raised, because they say nothing about the
    candidate.
    """
    started = time.perf_counter()
    try:
        # Threads times processes is the number of cores.
        with threadpool_limits(shared.threads):
            probability, reached = _staged(shared_fit, clone(pipeline), shared)
    except (MemoryError, OSError):
        raise  # which says nothing of the candidate
    except Exception as error:  # noqa: BLE001 - libraries of a user's choice raise what they like
        return FitOutcome(np.empty((0, 0)), time.perf_counter() - started, _reason(error))
    return FitOutcome(probability, time.perf_counter() - started, reached=reached)


def use_threads(estimator: BaseEstimator, threads: int) -> BaseEstimator:
    """Let every part of an unfitted estimator that can use threads use so many."""
    parts = estimator.get_params()
    threaded = [name for name in parts if _sets_threads(name, parts)]
    return estimator.set_params(**dict.fromkeys(threaded, threads))


def _sets_threads(name: str, parts: Mapping[str, Any]) -> bool:
    owner, _, parameter = name.rpartition("__")
    return parameter == learner_of(parts.get(owner)).thread_parameter(parts.get(owner))


def _reason(error: Exception) -> str:
    message = str(error)
    return (
        message
        if message and isinstance(error, ValueError)
        else f"{type(error).__name__}: {message}"
    )


def _staged(shared_fit: SharedFit, pipeline: Pipeline, shared: FoldCache) -> tuple[Staged, int]:
    """Return the probabilities at each size, and the rounds after which boosting stopped early.

    The rounds are 0 where it did not stop early.
    """
    use_threads(pipeline, shared.threads)
    fold = shared.transformed_by(pipeline[:-1] if len(pipeline) > 1 else None)
    learner = learner_of(pipeline[-1])
    last = learner.with_shared_matrix(pipeline[-1], shared.shared_matrix)
    if not shared_fit.free:
        probability: Staged = last.fit(fold.X, fold.y).predict_proba(fold.X_validation)
        return probability[None, :, 1], 0
    return learner.fit_at_sizes(last, fold, shared_fit.sizes)


def _free_parameter(pipeline: Pipeline) -> str:
    """Return the parameter whose smaller values a fit contains; empty where there is none."""
    name, last = pipeline.steps[-1]
    free = learner_of(last).size_parameter(last)
    return f"{name}__{free}" if free else ""


def _fixed(candidate: Candidate, free: str) -> str:
    rest = {name: value for name, value in candidate.params.items() if name != free}
    return json.dumps(rest, sort_keys=True)
