"""Predicts with a fitted model by plain NumPy arithmetic, without scikit-learn's input checks.

The server has already checked shape, dtype and values of a matrix, and scikit-learn's own checks
take longer than the prediction of one row. A function from here is used only if it has given the
model's own answers (see `serving.models.quick`).
"""

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

from serving.bundle import learners
from serving.bundle.learners.scores import Numbers, Score, score_after, weighted_mean


def classifier_inside(model: Any) -> Any | None:
    """Return the classifier inside a wrapper that only holds a threshold; None for another."""
    if isinstance(model, FixedThresholdClassifier):
        return model.estimator_
    return model.estimator if isinstance(model, FrozenEstimator) else None


@singledispatch
def arithmetic_score(_model: Any) -> Score | None:
    """Return a function that scores rows as a fitted classifier does; None where there is none."""
    return None


@arithmetic_score.register
def _(model: Pipeline) -> Score:
    return score_after(
        [learners.transform_of(step) for _, step in model.steps[:-1] if step != "passthrough"],
        learners.score_of(model.steps[-1][1]),
    )


@arithmetic_score.register
def _(model: LogisticRegression) -> Score:
    weights, bias = model.coef_[0], model.intercept_[0]
    return lambda X: expit(X @ weights + bias)


@arithmetic_score.register
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


@arithmetic_score.register
def _(model: VotingClassifier) -> Score:
    return weighted_mean([learners.score_of(one) for one in model.estimators_], model.weights)
