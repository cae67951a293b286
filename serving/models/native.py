"""Predicts with a fitted model by plain NumPy arithmetic, without scikit-learn's input checks.

The server has already checked shape, dtype and values of a matrix, and scikit-learn's own checks
take longer than the prediction of one row. A model that is not known here is called as it is. A
function from here is used only if it has given the model's own answers (see `quick`).
"""

from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from xgboost import XGBClassifier

from serving.models.native_steps import Numbers, Transform, transform_of

Score = Callable[[Numbers], Numbers]
"""Probability of the positive class, shape (n,), of a matrix of shape (n, features)."""


def unwrapped(model: Any) -> Any:
    """Return the classifier inside the wrappers that only hold the threshold."""
    while isinstance(model, FixedThresholdClassifier | FrozenEstimator):
        model = model.estimator_ if isinstance(model, FixedThresholdClassifier) else model.estimator
    return model


@singledispatch
def score_of(model: Any) -> Score:
    """Return a function that scores rows as a fitted classifier does; by default its own method."""
    ask: Score = model.predict_proba

    def as_it_does(X: Numbers) -> Numbers:
        both = ask(X)
        return both[:, 1]

    return as_it_does


@score_of.register
def _(model: Pipeline) -> Score:
    return score_after(
        [transform_of(step) for _, step in model.steps[:-1] if step != "passthrough"],
        score_of(model.steps[-1][1]),
    )


@score_of.register
def _(model: XGBClassifier) -> Score:
    booster = model.get_booster()
    booster.set_param({"nthread": 1})
    # Early stopping leaves trees behind the best round, which the classifier does not ask either.
    rounds = (0, booster.best_iteration + 1) if model.early_stopping_rounds else (0, 0)
    return lambda X: booster.inplace_predict(X, iteration_range=rounds, validate_features=False)


@score_of.register
def _(model: LogisticRegression) -> Score:
    weights, bias = model.coef_[0], model.intercept_[0]
    return lambda X: expit(X @ weights + bias)


@score_of.register
def _(model: GaussianNB) -> Score:
    # In scikit-learn's own order and dtype: what was fitted in float32 it adds up in float32, where
    # another order is another answer from the sixth digit on.
    sides = [
        (mean, variance, np.log(prior), -0.5 * np.sum(np.log(2.0 * np.pi * variance)))
        for mean, variance, prior in zip(model.theta_, model.var_, model.class_prior_, strict=True)
    ]

    def posterior(X: Numbers) -> Numbers:
        no, yes = (
            prior + (constant - 0.5 * np.sum(((X - mean) ** 2) / variance, axis=1))
            for mean, variance, prior, constant in sides
        )
        evidence = np.log1p(np.exp(-np.abs(yes - no))) + np.maximum(no, yes)
        probability: Numbers = np.exp(yes - evidence)
        return probability

    return posterior


@score_of.register
def _(model: VotingClassifier) -> Score:
    return vote([score_of(one) for one in model.estimators_], model)


def vote(scores: Sequence[Score], model: VotingClassifier) -> Score:
    """Return the weighted mean of scores, with the weights of a voting classifier."""
    weights = model.weights

    def mean(X: Numbers) -> Numbers:
        voices = np.stack([np.asarray(score(X), dtype=np.float64) for score in scores])
        return np.average(voices, axis=0, weights=weights)

    return mean


def score_after(transforms: Sequence[Transform], score: Score) -> Score:
    """Return a score that applies transforms to the rows first."""
    if not transforms:
        return score

    def transformed(X: Numbers) -> Numbers:
        for transform in transforms:
            X = transform(X)
        return score(X)

    return transformed
