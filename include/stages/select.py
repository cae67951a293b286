"""Which candidate is best: stratified folds, F1 at a threshold tuned out of fold.

Selection sees the train side only. A candidate is judged at the threshold that it would be served
with, tuned on the out-of-fold probabilities of all folds together, because F1 at one half says
little when one row in ten is positive.

Every family is asked with the same matrix, in which categories stand as their places and missing
values as NaN. What an estimator cannot read of that, a first step of its pipeline translates; the
step is fitted with the rest, on the rows of the fold, and travels with the model.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import f1_score
from sklearn.model_selection import ParameterGrid, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import get_tags
from threadpoolctl import threadpool_limits

from include.arrays import Labels, Matrix, Probabilities, RowNumbers
from include.bundle import Layout
from include.errors import SpecError
from include.records import Candidate, Trial
from include.spec import Family, Selection

_WIDEST = 100  # columns that one feature's categories may take: memory is rows times this


def candidates(family: Family) -> list[Candidate]:
    """Return every combination of the family's grid."""
    return [Candidate(family.name, dict(params)) for params in ParameterGrid(dict(family.grid))]


def build(candidate: Candidate, family: Family, seed: int, layout: Layout) -> Pipeline:
    """Return the unfitted pipeline of a candidate for matrices of a layout, or raise SpecError.

    Its steps are the family's; before them, where the layout has categories or missing numbers that
    they cannot read, stands one called `layout`.
    """
    try:
        pipeline = make_pipeline(*(_resolve(path)() for path in family.pipeline))
        pipeline.set_params(**_reproducible(pipeline, seed), **family.params, **candidate.params)
        translation = _translation(layout, [step for _, step in pipeline.steps])
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise SpecError(f"family {family.name!r} cannot be built: {error}") from error
    return Pipeline([("layout", translation), *pipeline.steps]) if translation else pipeline


def sample(y: Labels, rows: int, rule: Selection) -> RowNumbers:
    """Return sorted row numbers of a stratified part of at most `rows` rows.

    Of each class it holds at least a row a fold, or every row when there are fewer.
    """
    shuffled = np.random.default_rng(rule.seed).permutation(len(y))
    place = np.empty(len(y))
    for label in np.unique(y):
        members = shuffled[y[shuffled] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
        place[members[: rule.folds]] = 0.0
    return np.sort(np.argsort(place, kind="stable")[:rows])


def cross_validate(
    candidate: Candidate, pipeline: Pipeline, X: Matrix, y: Labels, rule: Selection
) -> tuple[Trial, Probabilities]:
    """Judge a candidate over stratified folds.

    X has shape (rows, features), y is 1 for positive. Returns the trial and the out-of-fold
    probability of every row, shape (rows,). Raises ValueError when the candidate does not fit the
    data, as when it asks for more neighbours than there are rows.
    """
    started = time.perf_counter()
    probability = np.empty(len(y))
    # One thread a fit: as many fits as there are cores run at once.
    with threadpool_limits(1):
        for train, validation in _folds(y, rule):
            fitted = clone(pipeline).fit(X[train], y[train])
            probability[validation] = fitted.predict_proba(X[validation])[:, 1]
    threshold = best_threshold(y, probability)
    fold_f1 = tuple(
        float(f1_score(y[validation], probability[validation] >= threshold, zero_division=0.0))
        for _, validation in _folds(y, rule)
    )
    seconds = time.perf_counter() - started
    mean = float(np.mean(fold_f1))
    return Trial(candidate, len(y), mean, fold_f1, threshold, seconds), probability


def best_threshold(y: Labels, probability: Probabilities) -> float:
    """Return the threshold with the best F1; rows at or above it are called positive.

    It lies halfway between two neighbouring probabilities, where there is a number between them,
    so that a rounding of the last digit moves no row across it.
    """
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order]
    hits = np.cumsum(y[order], dtype=np.int64)
    f1 = 2 * hits / (np.arange(1, len(y) + 1) + hits[-1])
    boundary = np.append(ranked[:-1] > ranked[1:], True)
    last = int(np.argmax(np.where(boundary, f1, -1.0)))
    below = ranked[last + 1] if last + 1 < len(ranked) else 0.0
    # In float32, so that the comparison is the same whichever precision a model answers in.
    halfway = float(np.float32((ranked[last] + below) / 2))
    return halfway if below < halfway <= ranked[last] else float(ranked[last])


def leaderboard(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials, best first, those that could not be fitted last."""
    return sorted(trials, key=lambda trial: (bool(trial.failure), -trial.f1, trial.candidate.title))


def shortlist(trials: Sequence[Trial], rule: Selection) -> list[Trial]:
    """Return the best trial of each of the best families: who is worth all train rows.

    Raises SpecError when no candidate could be fitted.
    """
    ranked = leaderboard(trials)
    if ranked[0].failure:
        raise SpecError(f"none of {len(ranked)} candidates could be fitted: {ranked[0].failure}")
    fitted = [trial for trial in ranked if not trial.failure]
    best_of_family = {trial.candidate.family: trial for trial in reversed(fitted)}
    return leaderboard(best_of_family.values())[: rule.finalists]


def _folds(y: Labels, rule: Selection) -> Iterator[tuple[RowNumbers, RowNumbers]]:
    folds = StratifiedKFold(rule.folds, shuffle=True, random_state=rule.seed)
    yield from folds.split(np.zeros(len(y)), y)


def _resolve(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def _translation(layout: Layout, steps: Sequence[BaseEstimator]) -> ColumnTransformer | None:
    """Return the step that makes columns of a layout readable, None where they already are."""
    places = {feature: place for place, feature in enumerate(layout.features)}
    categories = [places[feature] for feature in layout.categories]
    numbers = [places[feature] for feature in layout.missing if feature not in layout.categories]
    parts: list[tuple[str, BaseEstimator, list[int]]] = []
    if categories:
        parts.append(("categories", _one_hot(), categories))
    if numbers and not _read_missing(steps):
        # A column may be empty in a fold: it becomes zeros and is not dropped.
        parts.append(
            ("numbers", SimpleImputer(strategy="median", keep_empty_features=True), numbers)
        )
    return ColumnTransformer(parts, remainder="passthrough") if parts else None


def _one_hot() -> OneHotEncoder:
    """Return an encoder with a column a category, one for missing, one for all the rare ones.

    A category that is new or missing where none was in the fitted rows is zero in every column, or
    counts as a rare one where there are any.
    """
    return OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=_WIDEST,
        sparse_output=False,
        dtype=np.float32,
    )


def _read_missing(steps: Sequence[BaseEstimator]) -> bool:
    """Say whether missing numbers reach only steps that take them; an imputer lets none pass."""
    for step in steps:
        if not get_tags(step).input_tags.allow_nan:
            return False
        if type(step).__module__.startswith("sklearn.impute."):
            return True
    return True


def _reproducible(pipeline: Pipeline, seed: int) -> dict[str, int]:
    """Seed every step, so that a run can be repeated."""
    return {name: seed for name in pipeline.get_params() if name.endswith("__random_state")}
