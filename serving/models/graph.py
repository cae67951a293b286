"""Converts a fitted model to an ONNX graph, which is many times as fast on a single row.

A graph computes in float32 and may give other answers than the model; `quick` uses it only where it
gives the same.
"""

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from onnxruntime import InferenceSession, SessionOptions
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType as SklearnFloats
from skl2onnx.operator_converters.one_hot_encoder import convert_sklearn_one_hot_encoder
from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from xgboost import XGBClassifier

from serving.models.native import Score, score_after, vote
from serving.models.native_steps import Numbers, transform_of
from serving.values.units import MIB

_LARGEST_BYTES = 64 * MIB
"""Largest size of a graph: building a larger one takes longer than it can save."""
_KEPT = "graph-{}-2.onnx"
"""The 2 is for how graphs are made: those without it raise where a category is unknown."""
_QUIET = 4
"""What the runtime itself may print: nothing. An answer that fails is the asker's to tell."""


class Graphs:
    """The graphs of one model in the order in which they are asked for, kept in a folder.

    A conversion takes tenths of a second of Python's lock and leaves the heap in pieces: a version
    that is opened again, as after a restart, in another worker or when it is crowned once more,
    finds its graphs. One that does not belong to the model is found out by its answers.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is an existing folder to keep graphs in; None keeps none."""
        self._folder = folder
        self._asked = 0

    def next(self, make: Callable[[], bytes]) -> bytes:
        """Return the next graph, made now unless it was kept; empty where there can be none."""
        path = self._folder and self._folder / _KEPT.format(self._asked)
        self._asked += 1
        if path is not None and path.is_file():
            return path.read_bytes()
        try:
            graph = make()
            _session(graph)
        except Exception:  # noqa: BLE001 - converters and the runtime raise anything at what they lack
            graph = b""
        if path is not None:
            draft = path.with_suffix(f".{os.getpid()}")
            draft.write_bytes(graph)
            # A draft of its own process: workers share the folder, and none finds half a graph.
            draft.replace(path)
        return graph


def graph_score(model: Any, width: int, graphs: Graphs | None = None) -> Score | None:
    """Return how to score a float32 matrix of so many columns by a graph, None where there is none.

    Of a pipeline as many steps are in the graph as can be; those before them run as they are.
    """
    graphs = graphs or Graphs()
    if isinstance(model, VotingClassifier):
        voices = [graph_score(one, width, graphs) for one in model.estimators_]
        return None if None in voices else vote([one for one in voices if one], model)
    if isinstance(model, Pipeline):
        return _of_pipeline(model, width, graphs)
    return _in_one_graph(model, width, graphs)


def _of_pipeline(pipeline: Pipeline, width: int, graphs: Graphs) -> Score | None:
    steps = [step for _, step in pipeline.steps if step != "passthrough"]
    probe: Any = np.zeros((1, width), dtype=np.float32)
    for first in range(len(steps) - 1):
        score = _in_one_graph(make_pipeline(*steps[first:]), probe.shape[1], graphs)
        if score is not None:
            return score_after([transform_of(step) for step in steps[:first]], score)
        probe = steps[first].transform(probe)
        if not isinstance(probe, np.ndarray):
            return None  # sparse rows, which no graph takes
    last = graph_score(steps[-1], probe.shape[1], graphs)
    return last and score_after([transform_of(step) for step in steps[:-1]], last)


def _in_one_graph(model: Any, width: int, graphs: Graphs) -> Score | None:
    graph = graphs.next(lambda: _converted(model, width).SerializeToString())
    return _session(graph) if graph else None


def _converted(model: Any, width: int) -> onnx.ModelProto:
    if isinstance(model, XGBClassifier):
        return _boosted(model, width)
    return convert_sklearn(
        model,
        initial_types=[("X", SklearnFloats([None, width]))],
        options={"zipmap": False},
        custom_conversion_functions={OneHotEncoder: _one_hot},
    )


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


def _boosted(model: XGBClassifier, width: int) -> onnx.ModelProto:
    """Return XGBoost's trees as a graph that adds them up in XGBoost's own order.

    XGBoost begins with the base score, ONNX Runtime ends with it. Floats are not added in any
    order with the same result, so the base score goes into the leaves of the first tree.
    """
    converted = convert_xgboost(model, initial_types=[("X", FloatTensorType([None, width]))])
    (trees,) = [node for node in converted.graph.node if node.op_type == "TreeEnsembleClassifier"]
    parts = {attribute.name: attribute for attribute in trees.attribute}
    weights = np.array(parts["class_weights"].floats, dtype=np.float32)
    tree = np.array(parts["class_treeids"].ints)
    weights[tree == tree.min()] += np.float32(parts["base_values"].floats[0])
    del parts["class_weights"].floats[:]
    parts["class_weights"].floats.extend(weights.tolist())
    parts["base_values"].floats[0] = 0.0
    return converted


def _session(graph: bytes) -> Score:
    if len(graph) > _LARGEST_BYTES:
        raise ValueError(f"a graph of {len(graph)} bytes saves nothing")
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _QUIET
    session = InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    probabilities = [session.get_outputs()[1].name]
    name = given.name

    def score(X: Numbers) -> Numbers:
        (answer,) = session.run(probabilities, {name: X})
        both: NDArray[np.float32] = answer
        return both[:, 1]

    return score
