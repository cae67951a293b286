"""Converts fitted models of scikit-learn to ONNX graphs."""

import copy
from typing import Any

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.operator_converters.one_hot_encoder import convert_sklearn_one_hot_encoder
from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from serving.bundle import learners
from serving.bundle.learners.scores import AsScore, Score, score_after, weighted_mean


def graph_score(model: Any, width: int, as_score: AsScore) -> Score | None:
    """Return how to score a float32 matrix of so many columns by a graph, None where there is none.

    Of a pipeline as many steps are in the graph as can be; those before them run as they are.
    """
    if isinstance(model, VotingClassifier):
        voices = [learners.graph_score(one, width, as_score) for one in model.estimators_]
        known = [one for one in voices if one]
        return weighted_mean(known, model.weights) if len(known) == len(voices) else None
    if isinstance(model, Pipeline):
        return _of_pipeline(model, width, as_score)
    return as_score(lambda: _converted(model, width))


def _of_pipeline(pipeline: Pipeline, width: int, as_score: AsScore) -> Score | None:
    steps = [step for _, step in pipeline.steps if step != "passthrough"]
    probe: Any = np.zeros((1, width), dtype=np.float32)
    for first in range(len(steps) - 1):
        whole, columns = make_pipeline(*steps[first:]), probe.shape[1]
        score = as_score(lambda whole=whole, columns=columns: _converted(whole, columns))  # type: ignore[misc]
        if score is not None:
            return score_after([learners.transform_of(step) for step in steps[:first]], score)
        probe = steps[first].transform(probe)
        if not isinstance(probe, np.ndarray):
            return None  # sparse rows, which no graph takes
    last = learners.graph_score(steps[-1], probe.shape[1], as_score)
    return last and score_after([learners.transform_of(step) for step in steps[:-1]], last)


def _converted(model: Any, width: int) -> bytes:
    graph: bytes = convert_sklearn(
        model,
        initial_types=[("X", FloatTensorType([None, width]))],
        options={"zipmap": False},
        custom_conversion_functions={OneHotEncoder: _one_hot},
    ).SerializeToString()
    return graph


def _one_hot(scope: Any, operator: Any, container: Any) -> None:
    """Convert an encoder so that a category that it does not know is zero in every column.

    That is what "infrequent_if_exist" comes to where no category is infrequent, but the converter
    makes a graph of it that raises. Where some are, the encoder stays outside of the graph.
    """
    encoder = operator.raw_operator
    if encoder.handle_unknown == "infrequent_if_exist":
        if any(rare is not None for rare in getattr(encoder, "infrequent_categories_", ())):
            raise NotImplementedError("infrequent categories")
        operator.raw_operator = copy.copy(encoder)
        operator.raw_operator.handle_unknown = "ignore"
    convert_sklearn_one_hot_encoder(scope, operator, container)
