"""What the parts of a model file have to be, each question asked in one place."""

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.bundle.refused_bundle import require


def require_children_below(left: NDArray[Any], right: NDArray[Any], inner: NDArray[Any]) -> None:
    """Children come after their parents, so that a way down ends, and inside the tree."""
    parents = np.flatnonzero(inner)
    for children in (left[inner].astype(np.int64), right[inner].astype(np.int64)):
        require((children > parents).all() and (children < len(left)).all(), "a tree is no tree")


def is_array(value: Any, dimensions: int, kind: str) -> bool:
    """Say whether something is an array of so many dimensions and a kind of numbers."""
    return type(value) is np.ndarray and value.ndim == dimensions and value.dtype.kind == kind


def is_int(value: Any, lowest: int = 0, highest: int = 2**62) -> bool:
    """Say whether something is a whole number of this range."""
    return type(value) in {int, np.int64} and lowest <= value <= highest


def imported(path: str) -> Any:
    """Return what an import path of this package's own choice leads to."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def is_flat(dtype: Any) -> bool:
    """Say whether something is a dtype of plain bytes."""
    return isinstance(dtype, np.dtype) and not dtype.hasobject and dtype.itemsize > 0


def is_shape(shape: Any) -> bool:
    """Say whether something is a tuple of sizes."""
    return type(shape) is tuple and all(type(size) is int and size >= 0 for size in shape)
