"""Candidates that share one fit, and how they are fitted and scored on a fold.

A boosted model of 400 rounds contains those of 100 and 200 rounds, a forest of 300 trees the one of
100. Candidates that differ in nothing else form a shared fit: it is fitted once, as its largest
candidate, and predicts at every size. What the shared fits of a family have in common is computed
once a fold too: the rows transformed by the same first steps, and XGBoost's quantised matrix of
them.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from include.records.arrays import FitOutcome, Matrix
from include.records.training import Candidate
from include.stages.select.folds import Fold

Staged = NDArray[np.float64]
"""Probabilities of the positive class, shape (sizes, validation rows)."""
PATIENCE = 50
"""Boosting stops after this many rounds without a better one, or after as many as the best round
took where that is more."""


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
    _quantised: tuple[Any, Any] | None = field(default=None, init=False)

    def transformed_by(self, steps: Pipeline | None) -> Fold:
        """Return the fold transformed by the first steps, fitted on its rows to fit on."""
        if steps is None:
            return self.fold
        settings = repr(steps.get_params())
        if self._transformed is None or self._transformed[0] != settings:
            self._transformed = self._quantised = None
            X = steps.fit_transform(self.fold.X, self.fold.y)
            X_validation = steps.transform(self.fold.X_validation)
            self._transformed = settings, replace(self.fold, X=X, X_validation=X_validation)
        return self._transformed[1]

    def quantised_matrix(self, X: Matrix, max_bin: int | None, make: Callable[[], Any]) -> Any:
        """Return XGBoost's matrix of X; the first shared fit that needs it makes it."""
        identity = (id(X), max_bin)
        if self._quantised is None or self._quantised[0] != identity:
            self._quantised = identity, make()
        return self._quantised[1]


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
    """Let every part of an unfitted estimator that has `n_jobs` use so many threads.

    Linear models are left out: they accept the parameter and warn that it has no effect.
    """
    parts = estimator.get_params()
    threaded = [
        name
        for name in parts
        if name.split("__")[-1] == "n_jobs" and not _is_linear(parts.get(name[: -len("__n_jobs")]))
    ]
    return estimator.set_params(**dict.fromkeys(threaded, threads))


def _is_linear(part: Any) -> bool:
    return type(part).__module__.startswith("sklearn.linear_model")


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
    last, kind = pipeline[-1], type(pipeline[-1]).__name__
    if kind == "XGBClassifier":
        last = _on_quantised(last, shared)
    if not shared_fit.free:
        probability: Staged = last.fit(fold.X, fold.y).predict_proba(fold.X_validation)
        return probability[None, :, 1], 0
    return _STAGED[kind](last, fold, shared_fit.sizes)


def _boosted(model: Any, fold: Fold, sizes: Sequence[int]) -> tuple[Staged, int]:
    """Fit XGBoost for as long as average precision on the validation rows improves."""
    from xgboost.callback import EarlyStopping

    class Patient(EarlyStopping):  # type: ignore[misc] # mypy does not follow xgboost
        """Goes on for as long again as it took to get to the best round so far."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            super().after_iteration(model, epoch, evals_log)
            best = int(model.attr("best_iteration"))
            return bool(epoch + 1 >= sizes[0] and epoch - best >= max(PATIENCE, best))

    stop = [Patient(rounds=sizes[-1], metric_name="aucpr")] if len(sizes) > 1 else None
    model.set_params(callbacks=stop, eval_metric="aucpr" if stop else model.eval_metric)
    watched = [(fold.X_validation, fold.y_validation)] if stop else None
    model.fit(fold.X, fold.y, eval_set=watched, verbose=False)
    reached = model.get_booster().num_boosted_rounds()
    staged = np.full((len(sizes), len(fold.X_validation)), np.nan)
    for place, size in enumerate(sizes):
        if size <= reached:
            probability = model.predict_proba(fold.X_validation, iteration_range=(0, size))
            staged[place] = probability[:, 1]
    return staged, reached if reached < sizes[-1] else 0


def _on_quantised(model: Any, shared: FoldCache) -> Any:
    """Return the same unfitted classifier; it fits on the quantised matrix of the cache."""

    class OnQuantised(type(model)):  # type: ignore[misc] # the class is a value here
        """XGBoost makes a matrix for every fit; this takes the one that is there."""

        def _create_dmatrix(self, ref: Any, **data: Any) -> Any:
            def make() -> Any:
                return super(OnQuantised, self)._create_dmatrix(ref, **data)

            return make() if ref else shared.quantised_matrix(data["data"], self.max_bin, make)

    return OnQuantised(**model.get_params())


def _forest(model: Any, fold: Fold, sizes: Sequence[int]) -> tuple[Staged, int]:
    trees = model.fit(fold.X, fold.y).estimators_
    X = np.asarray(fold.X_validation, np.float32)
    return _at_sizes(
        _means(tree.predict_proba(X, check_input=False)[:, 1] for tree in trees), sizes
    )


def _means(parts: Iterable[Staged]) -> Iterator[Staged]:
    """Yield the mean of the first 1, 2, 3 ... of the parts: a forest of n trees is their mean."""
    total: Any = 0.0
    for count, part in enumerate(parts, 1):
        total = total + part
        yield total / count


def _in_stages(model: Any, fold: Fold, sizes: Sequence[int]) -> tuple[Staged, int]:
    fitted = model.fit(fold.X, fold.y)
    stages = (stage[:, 1] for stage in fitted.staged_predict_proba(fold.X_validation))
    return _at_sizes(stages, sizes)


def _at_sizes(stages: Iterable[Staged], sizes: Sequence[int]) -> tuple[Staged, int]:
    """Return the stages of these sizes, the last stage where the fit stopped before a size."""
    wanted, chosen, last = set(sizes), {}, None
    for number, stage in enumerate(stages, 1):
        last = stage
        if number in wanted:
            chosen[number] = stage
    return np.array([chosen.get(size, last) for size in sizes], dtype=np.float64), 0


def _free_parameter(pipeline: Pipeline) -> str:
    """Return the parameter whose smaller values a fit contains; empty where there is none."""
    name, last = pipeline.steps[-1]
    kind = type(last).__name__
    if kind not in _FREE or getattr(last, "booster", None) not in {None, "gbtree"}:
        return ""
    return f"{name}__{_FREE[kind]}"


def _fixed(candidate: Candidate, free: str) -> str:
    rest = {name: value for name, value in candidate.params.items() if name != free}
    return json.dumps(rest, sort_keys=True)


_FREE: Mapping[str, str] = {
    "XGBClassifier": "n_estimators",
    "RandomForestClassifier": "n_estimators",
    "ExtraTreesClassifier": "n_estimators",
    "AdaBoostClassifier": "n_estimators",
    "GradientBoostingClassifier": "n_estimators",
    "HistGradientBoostingClassifier": "max_iter",
}
_STAGED: Mapping[str, Callable[[Any, Fold, Sequence[int]], tuple[Staged, int]]] = {
    "XGBClassifier": _boosted,
    "RandomForestClassifier": _forest,
    "ExtraTreesClassifier": _forest,
    "AdaBoostClassifier": _in_stages,
    "GradientBoostingClassifier": _in_stages,
    "HistGradientBoostingClassifier": _in_stages,
}
