"""The winner, fitted on the whole train side, with its threshold built in."""

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import Pipeline

from include.arrays import Labels, Matrix


def fit(pipeline: Pipeline, threshold: float, X: Matrix, y: Labels) -> FixedThresholdClassifier:
    """Fit a pipeline on X, shape (rows, features), and y, 1 for positive.

    The result is a plain scikit-learn classifier: `predict` calls a row positive when its
    probability is at least the threshold.
    """
    fitted = pipeline.fit(X, y)
    model = FixedThresholdClassifier(
        FrozenEstimator(fitted), threshold=threshold, pos_label=1, response_method="predict_proba"
    )
    # The pipeline is frozen: this only tells the wrapper which classes there are.
    return model.fit(X[np.unique(y, return_index=True)[1]], np.unique(y))
