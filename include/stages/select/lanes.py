"""Candidates that one fit answers for, and how a lane of them runs over a fold.

A boosted model of 400 rounds holds those of 100 and 200 in itself, a forest of 300 trees the one of
100. Candidates that differ in nothing else share a lane: it is fitted once, as its largest, and
asked at every size. What lanes of a family have in common is made once a fold too: the rows behind
the same first steps, and XGBoost's quantised matrix of them.
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

from include.records.arrays import Matrix, Outcome
from include.records.training import Candidate
from include.stages.select.folds import Fold

Staged = NDArray[np.float64]
"""Probabilities of the positive class, shape (sizes, validation rows)."""
PATIENCE = 50
"""Boosting ends when as many rounds as it took to get there brought nothing, at least so many."""


@dataclass(frozen=True)
class Lane:
    """Candidates that differ in the size of one fit, smallest first, or a single candidate."""

    candidates: tuple[Candidate, ...]
    free: str = ""
    """The parameter in which they differ; empty when one fit answers for one candidate."""

    @property
    def largest(self) -> Candidate:
        """The candidate whose fit holds those of all others."""
        return self.candidates[-1]

    @property
    def sizes(self) -> list[int]:
        """The sizes that are asked for, empty for a single candidate without one."""
        return [one.params[self.free] for one in self.candidates] if self.free else []

    @cached_property
    def key(self) -> str:
        """What names the lane wherever its outcomes are kept."""
        told = json.dumps([[one.family, one.params] for one in self.candidates], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def lanes(candidates: Iterable[Candidate], pipeline: Pipeline) -> list[Lane]:
    """Group candidates of a family into lanes; `pipeline` is any of theirs, unfitted.

    Lanes with the same first steps stand side by side, so that those steps run once.
    """
    free = _free_parameter(pipeline)
    listed = list(candidates)
    if not free or any(free not in one.params for one in listed):
        return sorted((Lane((one,)) for one in listed), key=lambda lane: _fixed(lane.largest, ""))
    grouped = groupby(
        sorted(listed, key=lambda item: (_fixed(item, free), item.params[free])),
        key=lambda item: _fixed(item, free),
    )
    return [Lane(tuple(members), free) for _, members in grouped]


@dataclass
class Preparation:
    """What lanes of one family share in one fold; keeps the newest of each, lanes come sorted."""

    fold: Fold
    threads: int
    _behind: tuple[str, Fold] | None = field(default=None, init=False)
    _quantised: tuple[Any, Any] | None = field(default=None, init=False)

    def behind(self, steps: Pipeline | None) -> Fold:
        """Return the fold as it is behind the first steps, fitted on its rows to fit on."""
        if steps is None:
            return self.fold
        told = repr(steps.get_params())
        if self._behind is None or self._behind[0] != told:
            self._behind = self._quantised = None
            X = steps.fit_transform(self.fold.X, self.fold.y)
            X_validation = steps.transform(self.fold.X_validation)
            self._behind = told, replace(self.fold, X=X, X_validation=X_validation)
        return self._behind[1]

    def quantised(self, X: Matrix, max_bin: int | None, make: Callable[[], Any]) -> Any:
        """Return XGBoost's matrix of X, made by the first lane that asks."""
        told = (id(X), max_bin)
        if self._quantised is None or self._quantised[0] != told:
            self._quantised = told, make()
        return self._quantised[1]


def run(lane: Lane, pipeline: Pipeline, shared: Preparation) -> Outcome:
    """Fit a lane's largest candidate on a fold and ask it at every size.

    `pipeline` is that of the largest. What an estimator says against the data is the outcome.
    """
    started = time.perf_counter()
    try:
        # Threads times processes is the number of cores.
        with threadpool_limits(shared.threads):
            probability, reached = _staged(lane, clone(pipeline), shared)
    except (MemoryError, OSError):
        raise  # which says nothing of the candidate
    except Exception as error:  # noqa: BLE001 - libraries of a user's choice raise what they like
        return Outcome(np.empty((0, 0)), time.perf_counter() - started, _reason(error))
    return Outcome(probability, time.perf_counter() - started, reached=reached)


def use_threads(estimator: BaseEstimator, threads: int) -> BaseEstimator:
    """Let every part of an unfitted estimator that can use threads use so many.

    Linear models take the word and warn that they do nothing with it.
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
    told = str(error)
    return told if told and isinstance(error, ValueError) else f"{type(error).__name__}: {told}"


def _staged(lane: Lane, pipeline: Pipeline, shared: Preparation) -> tuple[Staged, int]:
    """Return the probabilities at each size, and at how many rounds boosting ended early."""
    use_threads(pipeline, shared.threads)
    fold = shared.behind(pipeline[:-1] if len(pipeline) > 1 else None)
    last, kind = pipeline[-1], type(pipeline[-1]).__name__
    if kind == "XGBClassifier":
        last = _on_quantised(last, shared)
    if not lane.free:
        said: Staged = last.fit(fold.X, fold.y).predict_proba(fold.X_validation)
        return said[None, :, 1], 0
    return _STAGED[kind](last, fold, lane.sizes)


def _boosted(model: Any, fold: Fold, sizes: Sequence[int]) -> tuple[Staged, int]:
    """Fit XGBoost for as long as the validation rows gain by it."""
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
    found = np.full((len(sizes), len(fold.X_validation)), np.nan)
    for at, size in enumerate(sizes):
        if size <= reached:
            asked = model.predict_proba(fold.X_validation, iteration_range=(0, size))
            found[at] = asked[:, 1]
    return found, reached if reached < sizes[-1] else 0


def _on_quantised(model: Any, shared: Preparation) -> Any:
    """Return the same unfitted classifier, taking its matrix to fit on from what lanes share."""

    class OnQuantised(type(model)):  # type: ignore[misc] # the class is a value here
        """XGBoost makes a matrix for every fit; this takes the one that is there."""

        def _create_dmatrix(self, ref: Any, **data: Any) -> Any:
            def make() -> Any:
                return super(OnQuantised, self)._create_dmatrix(ref, **data)

            return make() if ref else shared.quantised(data["data"], self.max_bin, make)

    return OnQuantised(**model.get_params())


def _forest(model: Any, fold: Fold, sizes: Sequence[int]) -> tuple[Staged, int]:
    trees = model.fit(fold.X, fold.y).estimators_
    X = np.asarray(fold.X_validation, np.float32)
    return _kept(_means(tree.predict_proba(X, check_input=False)[:, 1] for tree in trees), sizes)


def _means(parts: Iterable[Staged]) -> Iterator[Staged]:
    total: Any = 0.0
    for count, part in enumerate(parts, 1):
        total = total + part
        yield total / count


def _in_stages(model: Any, fold: Fold, sizes: Sequence[int]) -> tuple[Staged, int]:
    fitted = model.fit(fold.X, fold.y)
    stages = (stage[:, 1] for stage in fitted.staged_predict_proba(fold.X_validation))
    return _kept(stages, sizes)


def _kept(stages: Iterable[Staged], sizes: Sequence[int]) -> tuple[Staged, int]:
    """Return the stages of these sizes; a fit that ended by itself stays as it is."""
    wanted, found, last = set(sizes), {}, None
    for number, stage in enumerate(stages, 1):
        last = stage
        if number in wanted:
            found[number] = stage
    return np.array([found.get(size, last) for size in sizes], dtype=np.float64), 0


def _free_parameter(pipeline: Pipeline) -> str:
    """Return the parameter whose smaller values a fit holds in itself, empty when none."""
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
