"""What a model file of scikit-learn's may hold beside classes that are made empty and filled."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from serving.bundle.learners.scikit_learn import compiled
from serving.bundle.part_checks import imported, is_array, is_shape, require_children_below
from serving.bundle.refused_bundle import require
from serving.bundle.trusted_parts import (
    Function,
    QualifiedName,
    Rebuilder,
    TrustedParts,
    nothing_yet,
    split,
)


def _check_function_transformer(state: dict[str, Any]) -> None:
    """Put functions in the place of what stands for them; nobody else gets one."""
    for name in ("func", "inverse_func"):
        function = state.get(name)
        require(type(function) in {Function, type(None)}, "a transformer has a function")
        state[name] = None if function is None else function.made
    require(state.get("kw_args") is None and state.get("inv_kw_args") is None, "it has arguments")


def _check_histogram_tree(state: dict[str, Any]) -> None:
    nodes: Any = state.get("nodes")
    bitsets: Any = state.get("raw_left_cat_bitsets")
    require(is_array(nodes, 1, "V") and is_array(bitsets, 2, "u"), "a tree has no nodes")
    inner = nodes["is_leaf"] == 0
    require(len(nodes) > 0, "a tree has no nodes")
    require_children_below(nodes["left"], nodes["right"], inner)
    places = nodes["bitset_idx"][inner & (nodes["is_categorical"] != 0)]
    require((places < len(bitsets)).all(), "a tree splits on categories that it does not have")


def _check_sparse_rows(state: dict[str, Any]) -> None:
    shape, parts = state.get("_shape"), [state.get(name) for name in ("data", "indices", "indptr")]
    require(is_shape(shape) and all(type(one) is np.ndarray for one in parts), "odd sparse rows")
    # It sees for itself that no index leads out of the rest.
    imported("scipy.sparse.csr_matrix")(tuple(parts), shape).check_format(full_check=True)


_CHECKS: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "scipy.sparse._csr.csr_matrix": _check_sparse_rows,
    "sklearn.preprocessing._function_transformer.FunctionTransformer": _check_function_transformer,
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": _check_histogram_tree,
}


def _partial(function: Any) -> str:
    """Take no function but the one with which histogram boosting looks at its numbers."""
    require(function == _CHECK, "a function is called with arguments of the file's own")
    return str(function)


def _finish_partial(function: str, state: Any) -> Function:
    wanted = {"dtype": [np.float64], "ensure_all_finite": False}
    require(state == (function, (), wanted, None), "numbers are checked in another way")
    return Function(partial(imported(_CHECK), **wanted))


_CHECK = "sklearn.utils.validation.check_array"


_MADE_OF_NUMBERS = (
    ("sklearn._loss._loss", "CyHalfBinomialLoss"),
    ("sklearn._loss._loss", "CyExponentialLoss"),
    ("sklearn._loss._loss", "CyHalfSquaredError"),
    ("sklearn._loss._loss", "CyHuberLoss"),
    ("sklearn.linear_model._sgd_fast", "EpsilonInsensitive"),
    ("sklearn.linear_model._sgd_fast", "Hinge"),
    ("sklearn.linear_model._sgd_fast", "ModifiedHuber"),
    ("sklearn.linear_model._sgd_fast", "SquaredEpsilonInsensitive"),
    ("sklearn.linear_model._sgd_fast", "SquaredHinge"),
)
_REBUILDERS: Mapping[QualifiedName, Rebuilder] = {
    ("functools", "partial"): Rebuilder(_partial, _finish_partial),
    ("scipy.interpolate._bsplines", "BSpline"): Rebuilder(nothing_yet, compiled.finish_spline),
    ("sklearn.metrics._dist_metrics", "newObj"): Rebuilder(
        compiled.distance, compiled.finish_distance
    ),
    ("sklearn.neighbors._ball_tree", "newObj"): Rebuilder(
        compiled.neighbour_tree, compiled.finish_neighbour_tree
    ),
    ("sklearn.neighbors._kd_tree", "newObj"): Rebuilder(
        compiled.neighbour_tree, compiled.finish_neighbour_tree
    ),
    ("sklearn.tree._tree", "Tree"): Rebuilder(compiled.tree_arguments, compiled.finish_tree),
    **{name: Rebuilder(compiled.made_of_numbers(".".join(name))) for name in _MADE_OF_NUMBERS},
}
_IGNORED = frozenset(
    {
        # A spline finds its own again.
        ("scipy._lib.array_api_compat.numpy._aliases", "asarray"),
        # How features were rated counts in fitting alone.
        ("sklearn.feature_selection._univariate_selection", "f_classif"),
    }
)
_KEPT = frozenset(
    ("numpy", name)
    for name in (
        *("absolute", "cbrt", "exp", "expm1", "log", "log10", "log1p", "log2"),
        *("reciprocal", "sign", "sqrt", "square"),
    )
)
"""A model from elsewhere that was adopted by release 0.1.0 may have a transformer of one of these
functions, which take an array and return one. Nobody else gets them."""
PARTS = TrustedParts(
    _REBUILDERS,
    frozenset(
        {split(_CHECK), *map(split, compiled.NEIGHBOUR_TREES), *map(split, compiled.DISTANCES)}
    ),
    _IGNORED,
    _KEPT,
    _CHECKS,
    frozenset({"kernel", "kernel_", "k1", "k2", "_loss"}),
    frozenset({("sklearn.utils._bunch", "Bunch")}),  # a voter's estimators
)
