"""What is called to rebuild a model, each with the arguments that it may be called with.

Arrays, dtypes, random states and what is compiled are not made empty and filled like other objects:
a function makes them. Some of these believe whatever they are told, and read beyond their memory
when it is wrong. So none is called as it is: what stands here looks at types, sizes and ranges
first.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array

from serving.bundle import arrays, chance, compiled
from serving.bundle.part_checks import imported, is_array, is_shape, require_children_below
from serving.bundle.refused_bundle import quotable, require


@dataclass(frozen=True)
class Rebuilder:
    """How one kind of object is made: from arguments, and where it has a state from that too.

    A class among the arguments comes as its dotted name.
    """

    make: Callable[..., Any]
    finish: Callable[[Any, Any], Any] | None = None
    """Takes what `make` returned and a state, and returns the object."""


def set_attributes(instance: Any, state: Any) -> None:
    """Give an empty instance of a listed class its attributes.

    None of them hides a method, and of what can be called only a kernel, a loss and a type of
    numbers are attributes.
    """
    cls = type(instance)
    require(type(state) is dict, f"the state of a {cls.__name__} is no dictionary")
    for name, value in state.items():
        require(type(name) is str and not name.startswith("__"), "an attribute has no plain name")
        require(not callable(getattr(cls, name, None)), f"{name} would hide a method")
        if callable(value):
            require(
                name in _CALLABLE_ATTRIBUTES, f"{cls.__name__}.{quotable(name)} could be called"
            )
    # A version of another release is told in a warning.
    version = state.get("_sklearn_version", "")
    require(type(version) is str and version == quotable(version), "a version is no text")
    check = _CHECKS.get(f"{cls.__module__}.{cls.__qualname__}")
    if check is not None:
        check(state)
    if hasattr(cls, "__setstate__"):
        instance.__setstate__(state)
    else:
        instance.__dict__.update(state)


_CALLABLE_ATTRIBUTES = {"dtype", "kernel", "kernel_", "k1", "k2", "_loss"}


@dataclass(frozen=True)
class Function:
    """Stands for a function that a transformer may have, and cannot be called itself."""

    made: Callable[..., Any]


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


def _ordered() -> dict[Any, Any]:
    """Return what is filled afterwards; every dictionary keeps its order."""
    return {}


def _partial(function: Any) -> str:
    """Take no function but the one with which histogram boosting looks at its numbers."""
    require(function == _CHECK, "a function is called with arguments of the file's own")
    return str(function)


def _finish_partial(function: str, state: Any) -> Function:
    wanted = {"dtype": [np.float64], "ensure_all_finite": False}
    require(state == (function, (), wanted, None), "numbers are checked in another way")
    return Function(partial(check_array, **wanted))


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
REBUILDERS: Mapping[tuple[str, str], Rebuilder] = {
    ("builtins", "bytearray"): Rebuilder(arrays.plain_bytearray),
    ("builtins", "slice"): Rebuilder(arrays.plain_slice),
    ("collections", "OrderedDict"): Rebuilder(_ordered),
    ("functools", "partial"): Rebuilder(_partial, _finish_partial),
    ("numpy", "dtype"): Rebuilder(arrays.dtype_kind, arrays.finish_dtype),
    ("numpy._core.multiarray", "_reconstruct"): Rebuilder(arrays.empty_array, arrays.finish_array),
    ("numpy._core.multiarray", "scalar"): Rebuilder(arrays.scalar),
    ("numpy._core.numeric", "_frombuffer"): Rebuilder(arrays.from_buffer),
    ("numpy.random._pickle", "__bit_generator_ctor"): Rebuilder(
        chance.bit_generator, chance.finish_bit_generator
    ),
    ("numpy.random._pickle", "__generator_ctor"): Rebuilder(chance.generator),
    ("numpy.random._pickle", "__randomstate_ctor"): Rebuilder(
        chance.random_state, chance.finish_random_state
    ),
    ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"): Rebuilder(
        chance.seed_sequence, chance.finish_seed_sequence
    ),
    ("scipy.interpolate._bsplines", "BSpline"): Rebuilder(
        compiled.nothing_yet, compiled.finish_spline
    ),
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
    ("xgboost.core", "Booster"): Rebuilder(compiled.nothing_yet, compiled.finish_booster),
    **{name: Rebuilder(compiled.made_of_numbers(".".join(name))) for name in _MADE_OF_NUMBERS},
}
ARGUMENTS = frozenset(
    {
        ("numpy", "ndarray"),
        ("numpy.random._mt19937", "MT19937"),
        ("numpy.random._pcg64", "PCG64"),
        ("numpy.random.bit_generator", "SeedSequence"),
        ("sklearn.utils.validation", "check_array"),
        *((path.rpartition(".")[0], path.rpartition(".")[2]) for path in compiled.NEIGHBOUR_TREES),
        *((path.rpartition(".")[0], path.rpartition(".")[2]) for path in compiled.DISTANCES),
    }
)
"""What says to a rebuilder what to make, and is never made or called by itself."""
IGNORED = frozenset(
    {
        ("scipy._lib.array_api_compat.numpy._aliases", "asarray"),
        ("sklearn.feature_selection._univariate_selection", "f_classif"),
    }
)
"""Functions that a fitted model keeps and does not call: None stands for them. (A spline finds its
own again; how features were rated counts in fitting alone.)"""
KEPT = frozenset(
    ("numpy", name)
    for name in (
        *("absolute", "cbrt", "exp", "expm1", "log", "log10", "log1p", "log2"),
        *("reciprocal", "sign", "sqrt", "square"),
    )
)
"""What no fit needs and bundles of release 0.1.0 may hold: a model from elsewhere with a
transformer of one of these functions, which take an array and return one. Nobody else gets them."""
