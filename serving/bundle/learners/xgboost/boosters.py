"""What XGBoost is given to read: its own format, looked through before it sees it.

XGBoost follows the numbers of a model file where they point: a child that is its own grandparent
keeps it for ever, a column that is not there is read from foreign memory, and brackets in brackets
use up its stack. The format is Universal Binary JSON as XGBoost 3 writes it (arrays and objects
with sizes in front, numbers in big endian; ubjson.org).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.bundle.refused_bundle import require

_DEEPEST = 32
_NUMBERS = {"i": ">i1", "U": ">u1", "I": ">i2", "l": ">i4", "L": ">i8", "d": ">f4", "D": ">f8"}
_CONSTANTS = {"T": True, "F": False, "Z": None}
_NOBODY, _NO_PARENT = -1, 2**31 - 1
_MOST_COLUMNS, _MOST_CLASSES, _MOST_CATEGORIES = 1_000_000, 1000, 1 << 24


def require_booster(data: bytes) -> None:
    """Refuse a serialised booster whose numbers lead out of it."""
    whole = _Reader(data).read_whole()
    _require_few_threads(_part(_part(_part(whole, "Config"), "learner"), "generic_param"))
    learner = _part(_part(whole, "Model"), "learner")
    shape = _part(learner, "learner_model_param")
    columns = _count(shape, "num_feature", _MOST_COLUMNS)
    classes = max(_count(shape, "num_class", _MOST_CLASSES), 1)
    targets = max(_count(shape, "num_target", _MOST_CLASSES), 1)
    booster = _part(learner, "gradient_booster")
    if booster.get("name") == "gblinear":
        weights = _part(booster, "model").get("weights")
        require(len(_array(weights)) == (columns + 1) * classes * targets, "a booster is odd")
        return
    model = _part(_part(booster, "gbtree"), "model") if "gbtree" in booster else None
    _require_forest(model or _part(booster, "model"), columns, classes * targets)
    if "weight_drop" in booster:
        trees = (model or {})["trees"]
        require(len(booster["weight_drop"]) == len(trees), "a booster is odd")


def _require_few_threads(param: dict[str, Any]) -> None:
    for name in ("n_jobs", "nthread"):
        text = str(param.get(name, "0"))
        require(text == "-1" or (text.isdigit() and len(text) < 4), "a booster asks with threads")  # noqa: PLR2004


def _require_forest(model: dict[str, Any], columns: int, groups: int) -> None:
    trees: Any = model.get("trees")
    info = model.get("tree_info")
    require(type(trees) is list and len(_array(info)) == len(trees), "a booster has no trees")
    counted = _count(_part(model, "gbtree_model_param"), "num_trees", len(trees))
    require(counted == len(trees), "a booster has other trees")
    require(all(0 <= group < groups for group in _array(info)), "a tree is of no class")
    rounds = np.array(_array(model.get("iteration_indptr")), np.int64)
    inside = len(rounds) > 0 and rounds[0] == 0 and rounds[-1] == len(trees)
    require(inside and (np.diff(rounds) >= 0).all(), "a round has no trees")
    for tree in trees:
        _require_tree(tree, columns)


def _require_tree(tree: Any, columns: int) -> None:
    param = _part(tree, "tree_param")
    count = _count(param, "num_nodes", 1 << 31)
    require(_count(param, "num_feature", _MOST_COLUMNS) <= columns, "a tree has more columns")
    left, right = _array(tree.get("left_children")), _array(tree.get("right_children"))
    split = _array(tree.get("split_indices"))
    kinds = ("default_left", "split_conditions", "split_type", "parents")
    sizes = {len(left), len(right), len(split), *(len(_array(tree.get(kind))) for kind in kinds)}
    require(count > 0 and sizes == {count}, "a tree is of another size")
    inner = left != _NOBODY
    require((inner == (right != _NOBODY)).all(), "a node has one child")
    children = np.concatenate([left[inner], right[inner]]).astype(np.int64)
    require((children < count).all() and (children > 0).all(), "a tree has a child outside")
    # Nobody has two parents and the root none: so no way down comes back.
    require(len(np.unique(children)) == len(children), "a tree is no tree")
    parents = np.full(count, _NO_PARENT)
    parents[children] = np.tile(np.flatnonzero(inner), 2)
    said = tree["parents"]
    deleted = np.isin(np.arange(count), children, invert=True) & (np.arange(count) > 0)
    require(((said == parents) | deleted).all(), "a tree has other parents than children")
    require(((said[deleted] >= 0) & (said[deleted] <= _NO_PARENT)).all(), "a tree is odd")
    require(((split >= 0) & (split < columns))[inner].all(), "a tree asks for no column")
    _require_categories(tree, count)


def _require_categories(tree: dict[str, Any], count: int) -> None:
    categories, nodes = _array(tree.get("categories")), _array(tree.get("categories_nodes"))
    starts = np.array(_array(tree.get("categories_segments")), np.int64)
    sizes = np.array(_array(tree.get("categories_sizes")), np.int64)
    require(len(nodes) == len(starts) == len(sizes), "a split on categories is odd")
    require(all(0 <= node < count for node in nodes), "a split on categories is of no node")
    inside = (starts >= 0) & (sizes >= 0) & (starts <= len(categories) - sizes)
    require(inside.all(), "a split on categories is odd")
    require(all(0 <= one < _MOST_CATEGORIES for one in categories), "a category is too large")


def _part(whole: Any, name: str) -> dict[str, Any]:
    part: Any = whole.get(name) if type(whole) is dict else None
    require(type(part) is dict, f"a booster has no {name}")
    found: dict[str, Any] = part
    return found


def _array(value: Any) -> NDArray[Any]:
    require(type(value) in {list, np.ndarray}, "a booster has no numbers")
    require(all(type(one) in {int, float} for one in value) or type(value) is np.ndarray, "odd")
    return np.asarray(value)


def _count(part: dict[str, Any], name: str, most: int) -> int:
    text: Any = part.get(name)
    require(type(text) is str and text.isascii() and text.isdigit(), f"a booster has no {name}")
    require(len(text) < 12 and int(text) <= most, f"a booster has too large a {name}")  # noqa: PLR2004
    return int(text)


class _Reader:
    """Reads what XGBoost writes, and no further than there are bytes."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def read_whole(self) -> Any:
        """Return the one value that the bytes are."""
        value = self._value(self._mark(), 0)
        require(self._place == len(self._data), "a booster is longer than it is")
        return value

    def _take(self, size: int) -> bytes:
        require(0 <= size <= len(self._data) - self._place, "a booster ends too soon")
        self._place += size
        return self._data[self._place - size : self._place]

    def _mark(self) -> str:
        return self._take(1).decode("latin-1")

    def _size(self) -> int:
        require(self._mark() == "L", "a booster has a length of another kind")
        return int.from_bytes(self._take(8), "big", signed=True)

    def _text(self) -> str:
        return self._take(self._size()).decode(errors="replace")

    def _value(self, mark: str, depth: int) -> Any:
        require(depth < _DEEPEST, "a booster is nested too deeply")
        if mark == "{":
            return self._object(depth)
        if mark == "[":
            return self._list(depth)
        if mark == "S":
            return self._text()
        if mark in _CONSTANTS:
            return _CONSTANTS[mark]
        require(mark in _NUMBERS, "a booster holds what it should not")
        dtype = np.dtype(_NUMBERS[mark])
        return np.frombuffer(self._take(dtype.itemsize), dtype)[0].item()

    def _object(self, depth: int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        while (mark := self._mark()) != "}":
            require(mark == "L", "a booster has a name of another kind")
            self._place -= 1
            name = self._text()
            require(name not in fields, "a booster says a thing twice")
            fields[name] = self._value(self._mark(), depth + 1)
        return fields

    def _list(self, depth: int) -> Any:
        mark = self._mark()
        if mark == "$":
            kind = self._mark()
            require(kind in _NUMBERS and self._mark() == "#", "a booster has an odd array")
            dtype = np.dtype(_NUMBERS[kind])
            return np.frombuffer(self._take(self._size() * dtype.itemsize), dtype)
        require(mark == "#", "a booster has an array without a size")
        size = self._size()
        require(0 <= size <= len(self._data) - self._place, "a booster ends too soon")
        return [self._value(self._mark(), depth + 1) for _ in range(size)]
