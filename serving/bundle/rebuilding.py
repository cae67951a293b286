"""What is called to rebuild a model, each with the arguments that it may be called with.

Arrays, dtypes, random states and what is compiled are not made empty and filled like other objects:
a function makes them. Some of these believe whatever they are told, and read beyond their memory
when it is wrong. So none is called as it is: what stands here looks at types, sizes and ranges
first.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.random import MT19937, PCG64, Generator, RandomState
from numpy.typing import NDArray
from sklearn.utils.validation import check_array

from serving.bundle.boosters import require_booster
from serving.bundle.refusals import require


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
            require(name in _CALLABLE_ATTRIBUTES, f"{cls.__name__}.{name} could be called")
    require(type(state.get("_sklearn_version", "")) is str, "a version is no text")
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
    require(_is_array(nodes, 1, "V") and _is_array(bitsets, 2, "u"), "a tree has no nodes")
    inner = nodes["is_leaf"] == 0
    require(len(nodes) > 0, "a tree has no nodes")
    _require_children_below(nodes["left"], nodes["right"], inner)
    places = nodes["bitset_idx"][inner & (nodes["is_categorical"] != 0)]
    require((places < len(bitsets)).all(), "a tree splits on categories that it does not have")


def _check_sparse_rows(state: dict[str, Any]) -> None:
    shape, parts = state.get("_shape"), [state.get(name) for name in ("data", "indices", "indptr")]
    require(_is_shape(shape) and all(type(one) is np.ndarray for one in parts), "odd sparse rows")
    # It sees for itself that no index leads out of the rest.
    _called("scipy.sparse.csr_matrix")(tuple(parts), shape).check_format(full_check=True)


_CHECKS: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "scipy.sparse._csr.csr_matrix": _check_sparse_rows,
    "sklearn.preprocessing._function_transformer.FunctionTransformer": _check_function_transformer,
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": _check_histogram_tree,
}


def _require_children_below(left: NDArray[Any], right: NDArray[Any], inner: NDArray[Any]) -> None:
    """Children come after their parents, so that a way down ends, and inside the tree."""
    parents = np.flatnonzero(inner)
    for children in (left[inner].astype(np.int64), right[inner].astype(np.int64)):
        require((children > parents).all() and (children < len(left)).all(), "a tree is no tree")


def _is_array(value: Any, dimensions: int, kind: str) -> bool:
    return type(value) is np.ndarray and value.ndim == dimensions and value.dtype.kind == kind


def _is_int(value: Any, lowest: int = 0, highest: int = 2**62) -> bool:
    return type(value) in {int, np.int64} and lowest <= value <= highest


def _called(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


# Arrays ---------------------------------------------------------------------------------------

_PLAIN = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|O8|[SU][1-9][0-9]{0,3}|V[1-9][0-9]{0,3}")


def _dtype(kind: Any, aligned: Any, copied: Any) -> str:
    require(type(kind) is str and _PLAIN.fullmatch(kind), "a dtype is of no plain kind")
    require((aligned, copied) == (False, True), "a dtype is no copy")
    return str(kind)


def _finish_dtype(kind: str, state: Any) -> np.dtype[Any]:
    require(type(state) is tuple and len(state) == 8, "a dtype has another state")  # noqa: PLR2004
    _, endian, within, names, fields, size, *_ = state
    require(endian in {"<", "|"} and within is None, "a dtype is of another machine")
    if not kind.startswith("V"):
        require(names is None and fields is None, "a dtype of numbers has fields")
        return np.dtype(kind)
    require(type(names) is tuple and type(fields) is dict, "a record has no fields")
    listed = [fields.get(name) for name in names]
    for one in listed:
        require(type(one) is tuple and len(one) == 2, "a field has no place")  # noqa: PLR2004
        require(_is_flat(one[0]) and one[0].names is None and _is_int(one[1]), "a field is odd")
    formats, offsets = [one[0] for one in listed], [one[1] for one in listed]
    require(_is_int(size, 1, 10_000) and size == int(kind[1:]), "a record has another size")
    return np.dtype(
        {"names": list(names), "formats": formats, "offsets": offsets, "itemsize": size}
    )


def _is_flat(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and not dtype.hasobject and dtype.itemsize > 0


def _is_shape(shape: Any) -> bool:
    return type(shape) is tuple and all(type(size) is int and size >= 0 for size in shape)


def _from_buffer(buffer: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> NDArray[Any]:
    require(type(buffer) in {bytes, bytearray} and _is_flat(dtype), "an array has no plain data")
    require(_is_shape(shape) and order in ("C", "F", "K"), "an array has no shape")
    require(axes is None or _is_shape(axes), "an array has odd axes")
    require(math.prod(shape) * dtype.itemsize == len(buffer), "an array is of another size")
    flat: NDArray[Any] = np.frombuffer(buffer, dtype)
    if axes is not None:
        return flat.reshape(shape).transpose(axes)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _empty_array(kind: Any, shape: Any, code: Any) -> NDArray[Any]:
    require((kind, shape, code) == ("numpy.ndarray", (0,), b"b"), "an array is of another class")
    return np.empty((0,), "b")


def _finish_array(array: NDArray[Any], state: Any) -> NDArray[Any]:
    require(type(state) is tuple and len(state) == 5, "an array has another state")  # noqa: PLR2004
    version, shape, dtype, in_columns, data = state
    require(version == 1 and _is_shape(shape) and type(in_columns) is bool, "an array is odd")
    require(isinstance(dtype, np.dtype), "an array has no dtype")
    if dtype.hasobject:
        require(dtype.names is None and type(data) is list, "an array of objects holds none")
        require(len(data) == math.prod(shape), "an array is of another size")
    else:
        require(_is_flat(dtype) and type(data) is bytes, "an array has no plain data")
        require(len(data) == math.prod(shape) * dtype.itemsize, "an array is of another size")
    array.__setstate__(state)
    return array


def _scalar(dtype: Any, data: Any) -> Any:
    require(_is_flat(dtype) and dtype.names is None and type(data) is bytes, "a number is none")
    require(len(data) == dtype.itemsize, "a number is of another size")
    return np.frombuffer(data, dtype)[0]


def _bytearray(data: Any) -> bytearray:
    require(type(data) is bytes, "bytes are none")
    return bytearray(data)


def _slice(*ends: Any) -> slice:
    require(len(ends) == 3 and all(end is None or type(end) is int for end in ends), "odd slice")  # noqa: PLR2004
    return slice(*ends)


# Chance ---------------------------------------------------------------------------------------


def _seed_sequence(cls: Any, checksum: Any, state: Any) -> Any:
    require(cls == "numpy.random.bit_generator.SeedSequence" and state is None, "an odd seed")
    require(type(checksum) is int, "an odd seed")
    rebuild = _called("numpy.random.bit_generator.__pyx_unpickle_SeedSequence")
    return rebuild(np.random.SeedSequence, checksum, None)


def _finish_seed_sequence(seeds: Any, state: Any) -> Any:
    require(type(state) is tuple and len(state) == 5, "an odd seed")  # noqa: PLR2004
    entropy, spawned, pool, size, key = state
    whole = {int, np.uint64, np.int64, type(None)}
    require(type(entropy) in whole and _is_int(spawned), "an odd seed")
    require(_is_array(pool, 1, "u") and pool.dtype == np.uint32 and size == len(pool), "odd seed")
    require(_is_int(size, 4, 1024) and _is_shape(key), "an odd seed")
    seeds.__setstate__(state)
    return seeds


_BITS = {"numpy.random._mt19937.MT19937": MT19937, "numpy.random._pcg64.PCG64": PCG64}


def _bit_generator(kind: Any) -> Any:
    require(type(kind) is str and kind in _BITS, "chance of an unknown kind")
    return _BITS[kind]()


def _finish_bit_generator(bits: Any, state: Any) -> Any:
    require(type(state) is tuple and len(state) == 2, "an odd random state")  # noqa: PLR2004
    _require_bits(bits, state[0])
    require(type(state[1]) in {np.random.SeedSequence, type(None)}, "an odd seed")
    bits.__setstate__(state)
    return bits


def _require_bits(bits: Any, state: Any) -> None:
    require(type(state) is dict and type(state.get("state")) is dict, "an odd random state")
    require(state.get("bit_generator") == type(bits).__name__, "a random state of another kind")
    inner = state["state"]
    if type(bits) is MT19937:
        key = inner.get("key")
        require(_is_array(key, 1, "u") and key.dtype == np.uint32 and len(key) == 624, "odd key")  # noqa: PLR2004
        require(_is_int(inner.get("pos"), 0, 624), "a random state stands nowhere")
    else:
        parts = [inner.get("state"), inner.get("inc"), state.get("has_uint32")]
        require(all(type(one) is int for one in parts), "an odd random state")


def _random_state(bits: Any) -> RandomState:
    require(type(bits) is MT19937, "an odd random state")
    return RandomState(bits)


def _finish_random_state(chance: RandomState, state: Any) -> RandomState:
    require(type(state) is dict and type(state.get("has_gauss")) is int, "an odd random state")
    require(type(state.get("gauss")) is float, "an odd random state")
    _require_bits(MT19937(), state)
    chance.set_state(state)
    return chance


def _generator(bits: Any) -> Generator:
    require(type(bits) in {MT19937, PCG64}, "an odd random state")
    return Generator(bits)


# What scikit-learn and XGBoost compile --------------------------------------------------------


def _tree(features: Any, classes: Any, outputs: Any) -> tuple[int, NDArray[np.int64], int]:
    require(_is_int(features, 1) and _is_int(outputs, 1), "a tree has no columns")
    require(_is_array(classes, 1, "i") and classes.dtype == np.int64, "a tree has no classes")
    require(len(classes) == outputs and (classes > 0).all(), "a tree has no classes")
    return features, classes, outputs


def _finish_tree(arguments: tuple[int, NDArray[np.int64], int], state: Any) -> Any:
    require(type(state) is dict, "a tree has no state")
    nodes, values = state.get("nodes"), state.get("values")
    features, classes, outputs = arguments
    require(_is_array(nodes, 1, "V") and _is_array(values, 3, "f"), "a tree has no nodes")
    require(state.get("node_count") == len(nodes) > 0, "a tree has no nodes")
    require(_is_int(state.get("max_depth")), "a tree has no depth")
    require(values.shape == (len(nodes), outputs, classes.max()), "a tree has other values")
    inner = nodes["left_child"] != -1
    _require_children_below(nodes["left_child"], nodes["right_child"], inner)
    asked = nodes["feature"][inner]
    require(((asked >= 0) & (asked < features)).all(), "a tree asks for no column")
    tree = _called("sklearn.tree._tree.Tree")(*arguments)
    tree.__setstate__(state)
    return tree


_NEIGHBOUR_TREES = ("sklearn.neighbors._kd_tree.KDTree", "sklearn.neighbors._ball_tree.BallTree")


def _neighbour_tree(cls: Any) -> str:
    require(cls in _NEIGHBOUR_TREES, "a tree of neighbours is none")
    return str(cls)


def _finish_neighbour_tree(cls: str, state: Any) -> Any:
    require(type(state) is tuple and len(state) == 13, "a tree of neighbours is none")  # noqa: PLR2004
    data, order, nodes, bounds, leaf_size, *counts, metric, weights = state
    require(_is_array(data, 2, "f") and _is_array(order, 1, "i"), "neighbours have no rows")
    require(_is_array(nodes, 1, "V") and _is_array(bounds, 3, "f"), "neighbours have no tree")
    require(weights is None, "neighbours are weighed")
    require(_is_int(leaf_size, 1) and all(map(_is_int, counts)), "neighbours have no tree")
    count = len(nodes)
    require(counts[1] == count and bounds.shape[1:] == (count, data.shape[1]), "odd neighbours")
    require(len(bounds) == (2 if cls.endswith("KDTree") else 1) and count > 0, "odd neighbours")
    require(len(order) == len(data) and ((order >= 0) & (order < len(data))).all(), "odd order")
    start, end = nodes["idx_start"], nodes["idx_end"]
    require(((start >= 0) & (start <= end) & (end <= len(data))).all(), "odd neighbours")
    require((nodes["is_leaf"][(count - 1) // 2 :] != 0).all(), "neighbours have no leaves")
    require(f"{type(metric).__module__}.{type(metric).__name__}" in _DISTANCES, "no distance")
    tree = _called(f"{cls.rpartition('.')[0]}.newObj")(_called(cls))
    tree.__setstate__(state)
    return tree


_DISTANCES = {
    f"sklearn.metrics._dist_metrics.{name}Distance64"
    for name in ("Chebyshev", "Euclidean", "Manhattan", "Minkowski")
}


def _distance(cls: Any) -> str:
    require(cls in _DISTANCES, "a distance is none")
    return str(cls)


def _finish_distance(cls: str, state: Any) -> Any:
    require(type(state) is tuple and len(state) == 3, "a distance is none")  # noqa: PLR2004
    power, weights, matrix = state
    require(type(power) is float and power >= 1, "a distance has no power")
    # Minkowski's reads as many weights as there are columns unless there are none.
    count = 0 if "Minkowski" in cls else 1
    require(_is_array(weights, 1, "f") and len(weights) == count, "a distance is weighed")
    require(_is_array(matrix, 2, "f") and matrix.shape == (1, 1), "a distance is weighed")
    distance = _called("sklearn.metrics._dist_metrics.newObj")(_called(cls))
    distance.__setstate__(state)
    return distance


def _numbers(path: str) -> Callable[..., Any]:
    """Return how to make what is compiled and takes at most a number or two."""

    def make(*numbers: Any) -> Any:
        require(all(type(one) in {int, float, bool} for one in numbers), f"{path} takes numbers")
        return _called(path)(*numbers)

    return make


def _booster() -> None:
    """Make nothing yet."""


def _finish_booster(_: None, state: Any) -> Any:
    require(type(state) is dict and set(state) == {"handle"}, "a booster has another state")
    require(type(state["handle"]) is bytearray, "a booster has no trees")
    require_booster(bytes(state["handle"]))
    booster = _called("xgboost.core.Booster")
    whole = booster.__new__(booster)
    whole.__setstate__(dict(state))
    return whole


def _spline() -> None:
    """Make nothing yet."""


def _finish_spline(_: None, state: Any) -> Any:
    wanted = {"_t", "_c", "k", "extrapolate", "axis", "_asarray"}
    require(type(state) is dict and set(state) == wanted, "a spline has another state")
    t, c, k = state["_t"], state["_c"], state["k"]
    require(_is_array(t, 1, "f") and type(c) is np.ndarray, "a spline has no knots")
    require(c.dtype.kind == "f" and _is_int(k, 0, 100) and state["axis"] == 0, "odd spline")
    require(state["extrapolate"] in (True, False, "periodic"), "odd spline")
    # It sees for itself that the rest fits together.
    return _called("scipy.interpolate.BSpline")(t, c, int(k), state["extrapolate"])


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
    ("sklearn.linear_model._sgd_fast", "Huber"),
    ("sklearn.linear_model._sgd_fast", "ModifiedHuber"),
    ("sklearn.linear_model._sgd_fast", "SquaredEpsilonInsensitive"),
    ("sklearn.linear_model._sgd_fast", "SquaredHinge"),
)
REBUILDERS: Mapping[tuple[str, str], Rebuilder] = {
    ("builtins", "bytearray"): Rebuilder(_bytearray),
    ("builtins", "slice"): Rebuilder(_slice),
    ("functools", "partial"): Rebuilder(_partial, _finish_partial),
    ("numpy", "dtype"): Rebuilder(_dtype, _finish_dtype),
    ("numpy._core.multiarray", "_reconstruct"): Rebuilder(_empty_array, _finish_array),
    ("numpy._core.multiarray", "scalar"): Rebuilder(_scalar),
    ("numpy._core.numeric", "_frombuffer"): Rebuilder(_from_buffer),
    ("numpy.random._pickle", "__bit_generator_ctor"): Rebuilder(
        _bit_generator, _finish_bit_generator
    ),
    ("numpy.random._pickle", "__generator_ctor"): Rebuilder(_generator),
    ("numpy.random._pickle", "__randomstate_ctor"): Rebuilder(_random_state, _finish_random_state),
    ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"): Rebuilder(
        _seed_sequence, _finish_seed_sequence
    ),
    ("scipy.interpolate._bsplines", "BSpline"): Rebuilder(_spline, _finish_spline),
    ("sklearn.metrics._dist_metrics", "newObj"): Rebuilder(_distance, _finish_distance),
    ("sklearn.neighbors._ball_tree", "newObj"): Rebuilder(_neighbour_tree, _finish_neighbour_tree),
    ("sklearn.neighbors._kd_tree", "newObj"): Rebuilder(_neighbour_tree, _finish_neighbour_tree),
    ("sklearn.tree._tree", "Tree"): Rebuilder(_tree, _finish_tree),
    ("xgboost.core", "Booster"): Rebuilder(_booster, _finish_booster),
    **{name: Rebuilder(_numbers(".".join(name))) for name in _MADE_OF_NUMBERS},
}
ARGUMENTS = frozenset(
    {
        ("numpy", "ndarray"),
        ("numpy.random._mt19937", "MT19937"),
        ("numpy.random._pcg64", "PCG64"),
        ("numpy.random.bit_generator", "SeedSequence"),
        ("sklearn.utils.validation", "check_array"),
        *((path.rpartition(".")[0], path.rpartition(".")[2]) for path in _NEIGHBOUR_TREES),
        *((path.rpartition(".")[0], path.rpartition(".")[2]) for path in _DISTANCES),
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
