"""Converts fitted classifiers of XGBoost to ONNX graphs."""

from typing import Any

import numpy as np
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType


def converted(model: Any, width: int) -> bytes:
    """Return XGBoost's trees as a graph that adds them up in XGBoost's own order.

    XGBoost begins with the base score, ONNX Runtime ends with it. Floats are not added in any
    order with the same result, so the base score goes into the leaves of the first tree.
    """
    graph = convert_xgboost(model, initial_types=[("X", FloatTensorType([None, width]))])
    (trees,) = [node for node in graph.graph.node if node.op_type == "TreeEnsembleClassifier"]
    parts = {attribute.name: attribute for attribute in trees.attribute}
    weights = np.array(parts["class_weights"].floats, dtype=np.float32)
    tree = np.array(parts["class_treeids"].ints)
    weights[tree == tree.min()] += np.float32(parts["base_values"].floats[0])
    del parts["class_weights"].floats[:]
    parts["class_weights"].floats.extend(weights.tolist())
    parts["base_values"].floats[0] = 0.0
    serialized: bytes = graph.SerializeToString()
    return serialized
