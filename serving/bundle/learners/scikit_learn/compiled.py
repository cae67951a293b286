"""What scikit-learn and SciPy compile: it follows numbers, so they may not lead out."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.bundle.part_checks import imported, is_array, is_int, require_children_below
from serving.bundle.refused_bundle import require


def tree_arguments(features: Any, classes: Any, outputs: Any) -> tuple[int, NDArray[np.int64], int]:
    """Return what a tree is made with: columns, classes of each output, outputs."""
    require(is_int(features, 1) and is_int(outputs, 1), "a tree has no columns")
    require(is_array(classes, 1, "i") and classes.dtype == np.int64, "a tree has no classes")
    require(len(classes) == outputs and (classes > 0).all(), "a tree has no classes")
    return features, classes, outputs


def finish_tree(arguments: tuple[int, NDArray[np.int64], int], state: Any) -> Any:
    """Return a tree whose ways down end, inside it, and ask for columns it has."""
    require(type(state) is dict, "a tree has no state")
    nodes, values = state.get("nodes"), state.get("values")
    features, classes, outputs = arguments
    require(is_array(nodes, 1, "V") and is_array(values, 3, "f"), "a tree has no nodes")
    require(state.get("node_count") == len(nodes) > 0, "a tree has no nodes")
    require(is_int(state.get("max_depth")), "a tree has no depth")
    require(values.shape == (len(nodes), outputs, classes.max()), "a tree has other values")
    inner = nodes["left_child"] != -1
    require_children_below(nodes["left_child"], nodes["right_child"], inner)
    asked = nodes["feature"][inner]
    require(((asked >= 0) & (asked < features)).all(), "a tree asks for no column")
    tree = imported("sklearn.tree._tree.Tree")(*arguments)
    tree.__setstate__(state)
    return tree


NEIGHBOUR_TREES = ("sklearn.neighbors._kd_tree.KDTree", "sklearn.neighbors._ball_tree.BallTree")


def neighbour_tree(cls: Any) -> str:
    """Return which of the two kinds of trees of neighbours is meant."""
    require(cls in NEIGHBOUR_TREES, "a tree of neighbours is none")
    return str(cls)


def finish_neighbour_tree(cls: str, state: Any) -> Any:
    """Return a tree of neighbours whose places are those of rows it has."""
    require(type(state) is tuple and len(state) == 13, "a tree of neighbours is none")  # noqa: PLR2004
    data, order, nodes, bounds, leaf_size, *counts, metric, weights = state
    require(is_array(data, 2, "f") and is_array(order, 1, "i"), "neighbours have no rows")
    require(is_array(nodes, 1, "V") and is_array(bounds, 3, "f"), "neighbours have no tree")
    require(weights is None, "neighbours are weighed")
    require(is_int(leaf_size, 1) and all(map(is_int, counts)), "neighbours have no tree")
    count = len(nodes)
    require(counts[1] == count and bounds.shape[1:] == (count, data.shape[1]), "odd neighbours")
    require(len(bounds) == (2 if cls.endswith("KDTree") else 1) and count > 0, "odd neighbours")
    require(len(order) == len(data) and ((order >= 0) & (order < len(data))).all(), "odd order")
    start, end = nodes["idx_start"], nodes["idx_end"]
    require(((start >= 0) & (start <= end) & (end <= len(data))).all(), "odd neighbours")
    require((nodes["is_leaf"][(count - 1) // 2 :] != 0).all(), "neighbours have no leaves")
    require(f"{type(metric).__module__}.{type(metric).__name__}" in DISTANCES, "no distance")
    tree = imported(f"{cls.rpartition('.')[0]}.newObj")(imported(cls))
    tree.__setstate__(state)
    return tree


DISTANCES = {
    f"sklearn.metrics._dist_metrics.{name}Distance64"
    for name in ("Chebyshev", "Euclidean", "Manhattan", "Minkowski")
}


def distance(cls: Any) -> str:
    """Return which distance is meant, one without weights of its own."""
    require(cls in DISTANCES, "a distance is none")
    return str(cls)


def finish_distance(cls: str, state: Any) -> Any:
    """Return a distance without weights of its own."""
    require(type(state) is tuple and len(state) == 3, "a distance is none")  # noqa: PLR2004
    power, weights, matrix = state
    require(type(power) is float and power >= 1, "a distance has no power")
    # Minkowski's reads as many weights as there are columns unless there are none.
    count = 0 if "Minkowski" in cls else 1
    require(is_array(weights, 1, "f") and len(weights) == count, "a distance is weighed")
    require(is_array(matrix, 2, "f") and matrix.shape == (1, 1), "a distance is weighed")
    distance = imported("sklearn.metrics._dist_metrics.newObj")(imported(cls))
    distance.__setstate__(state)
    return distance


def made_of_numbers(path: str) -> Callable[..., Any]:
    """Return how to make what is compiled and takes at most a number or two."""

    def make(*numbers: Any) -> Any:
        require(all(type(one) in {int, float, bool} for one in numbers), f"{path} takes numbers")
        return imported(path)(*numbers)

    return make


def finish_spline(_: None, state: Any) -> Any:
    """Return a spline made anew of its knots and coefficients."""
    wanted = {"_t", "_c", "k", "extrapolate", "axis", "_asarray"}
    require(type(state) is dict and set(state) == wanted, "a spline has another state")
    t, c, k = state["_t"], state["_c"], state["k"]
    require(is_array(t, 1, "f") and type(c) is np.ndarray, "a spline has no knots")
    require(c.dtype.kind == "f" and is_int(k, 0, 100) and state["axis"] == 0, "odd spline")
    require(state["extrapolate"] in (True, False, "periodic"), "odd spline")
    # It sees for itself that the rest fits together.
    return imported("scipy.interpolate.BSpline")(t, c, int(k), state["extrapolate"])
