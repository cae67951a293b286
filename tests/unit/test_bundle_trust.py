"""What a model file may do when it is opened, whatever its digest says."""

import collections
import copyreg
import functools
import os
import pickle
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.datasets import fetch_openml
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.metrics import make_scorer
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KDTree, KNeighborsClassifier
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import Bunch
from sklearn.utils.validation import check_array
from xgboost import XGBClassifier

from serving.bundle import BundleRefusedError, Layout, Manifest, learners, libraries, load, save
from serving.bundle.trust import open_model

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int8)
TREE = DecisionTreeClassifier(max_depth=3).fit(X, Y)
BOOSTED = XGBClassifier(n_estimators=2, max_depth=2, n_jobs=1).fit(X, Y)


class Calls:
    """Pickles as a call of a function, with a state for what comes of it."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        """Take what the file has called."""
        self._call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        """Stand for the call."""
        return self._call

    def __call__(self) -> None:
        """Let the pickler believe that what comes of it can be called."""


class Made(Calls):
    """Pickles as an instance of a class, made empty and given a state."""

    def __init__(self, cls: type, state: Any) -> None:
        """Take what becomes its attributes, or what its class makes of it."""
        super().__init__(NEW, cls, state=state)
        self._cls = cls

    @property  # type: ignore[misc] # it says what it is not
    def __class__(self) -> Any:
        """The pickler asks whether it is what it says."""
        return self._cls


NEW = vars(copyreg)["__newobj__"]


def opened(tmp_path: Path, content: bytes) -> Any:
    """Open a model file of this content."""
    path = tmp_path / "model.joblib"
    path.write_bytes(content)
    return open_model(path)


def text(value: str) -> bytes:
    """Return the steps of a pickle that put a text on its stack."""
    return b"\x8c" + bytes([len(value)]) + value.encode()


def name(module: str, text_given: str) -> bytes:
    """Return the steps that put a named thing on the stack."""
    return text(module) + text(text_given) + b"\x93"


SCALER = name("sklearn.preprocessing._data", "StandardScaler")
EMPTY_SCALER = SCALER + b")\x81"
DTYPE = name("numpy", "dtype")

FORBIDDEN = {
    "a shell": Calls(os.system, "true"),
    "a process": Calls(subprocess.Popen, "true"),
    "code": Calls(eval, "1 + 1"),
    "an attribute of anything": Calls(getattr, "text", "upper"),
    "a download": Calls(fetch_openml, "iris"),
    "a foreign class": collections.Counter("abc"),
    "a scorer": make_scorer(check_array),
    "a pandas function": Calls(__import__("pandas").eval, "1 + 1"),
}


def test_a_model_of_a_library_that_is_not_installed_is_refused_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything of it is imported; who reads it knows what to install."""
    monkeypatch.setattr(learners, "is_installed", lambda learner: learner.name != "XGBoost")
    with pytest.raises(BundleRefusedError, match="model of XGBoost, which is not installed here"):
        opened(tmp_path, pickle.dumps(BOOSTED))
    assert opened(tmp_path, pickle.dumps(TREE)).get_depth() == TREE.get_depth()
    assert "xgboost-cpu" not in libraries()


@pytest.mark.parametrize("forged", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_what_no_model_is_made_of_is_not_run(tmp_path: Path, forged: Any) -> None:
    """A digest that matches does not help a file that names something else."""
    manifest = Manifest("boxes", "forged", Layout(("height",)), 0.5, ("0", "1"), data_version=1)
    digest = save(tmp_path, forged, manifest)
    with pytest.raises(BundleRefusedError, match="not on the list of what a model may"):
        load(tmp_path, digest)


def test_what_a_trusted_module_imported_is_not_trusted(tmp_path: Path) -> None:
    """What belongs to another library is refused also under the name of a scikit-learn module."""
    with pytest.raises(BundleRefusedError, match="CalledProcessError"):
        opened(tmp_path, b"csklearn.utils._testing\nCalledProcessError\n.")


@pytest.mark.parametrize("path", ["StandardScaler.fit", "StandardScaler.fit.__globals__"])
def test_no_name_leads_through_attributes(tmp_path: Path, path: str) -> None:
    """A dotted name of protocol 4 is no name of the list, whatever it begins with."""
    with pytest.raises(BundleRefusedError, match="not on the list"):
        opened(tmp_path, b"\x80\x04" + name("sklearn.preprocessing._data", path) + b".")


def test_a_refusal_quotes_a_file_in_one_printable_line(tmp_path: Path) -> None:
    """What a file calls its parts is told to people and kept in databases."""
    odd = pickle.dumps("x")[:2] + b"X" + struct.pack("<I", 5003) + b"a\x00\n" + b"b" * 5000
    with pytest.raises(BundleRefusedError) as refused:
        opened(tmp_path, odd + text("c") + b"\x93.")
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400


def scorer_attack() -> Any:
    """Return a file's worth of calls that ends in `exec`, of scikit-learn's classes and partial."""
    scorer = Made(type(make_scorer(check_array)), {"_score": functools.partial, "_kwargs": {}})
    reached = Calls(Calls(scorer, Made(FunctionTransformer, {}), "__getattribute__", "fit"))
    return Calls(Calls(scorer, reached, "__getattribute__", "__globals__"))


def hidden_in_a_bunch() -> Any:
    """Return a voter's names that answer for an estimator."""
    return Bunch(__sklearn_tags__=GaussianNB())


def with_state(change: Callable[[dict[str, Any]], None]) -> Any:
    """Return a decision tree whose compiled part has a state that no fit leaves."""
    compiled = TREE.tree_.__reduce__()
    state: dict[str, Any] = {key: np.copy(value) for key, value in compiled[2].items()}
    state["max_depth"], state["node_count"] = int(state["max_depth"]), int(state["node_count"])
    change(state)
    return Calls(compiled[0], *compiled[1], state=state)


def circle(state: dict[str, Any]) -> None:
    """Let the way down begin again."""
    state["nodes"]["left_child"][1] = 0


def outside(state: dict[str, Any]) -> None:
    """Let the way down leave the tree."""
    state["nodes"]["right_child"][0] = 10**9


def neighbours(**change: Any) -> Any:
    """Return a tree of neighbours some of whose parts are replaced."""
    function, arguments, state = KDTree(X).__reduce__()
    parts = list(state)
    for place, value in change.items():
        parts[int(place[1:])] = value
    return Calls(function, *arguments, state=tuple(parts))


def booster(data: Any) -> Any:
    """Return a booster of these bytes."""
    return Made(type(BOOSTED.get_booster()), {"handle": data})


RAW = bytes(BOOSTED.get_booster().__getstate__()["handle"])


def altered(before: bytes, after: bytes) -> bytearray:
    """Return the booster with some bytes of it replaced."""
    place = RAW.rindex(before)
    return bytearray(RAW[:place] + after + RAW[place + len(before) :])


LEFT = b"left_children[$l#L" + struct.pack(">q", 3)
COLUMNS = b"num_featureSL" + struct.pack(">q", 1)
LISTED_NAMES_ALONE: dict[str, Any] = {
    "a scorer that calls": scorer_attack,
    "a function under a name of its own": lambda: FunctionTransformer(StandardScaler),
    "any function": lambda: FunctionTransformer(check_array),
    "a partial of a class": lambda: FunctionTransformer(functools.partial(StandardScaler)),
    "a partial with arguments": lambda: FunctionTransformer(
        functools.partial(check_array, estimator="x")
    ),
    "a partial anywhere": lambda: Made(
        StandardScaler, {"mean_": [functools.partial(check_array, dtype=[np.float64])]}
    ),
    "a class among values": lambda: Made(StandardScaler, {"mean_": [StandardScaler]}),
    "a class in a tuple": lambda: Made(StandardScaler, {"mean_": (StandardScaler, 1)}),
    "a class as a key": lambda: Made(StandardScaler, {"mean_": {StandardScaler: 1}}),
    "a hidden method": lambda: Made(GaussianNB, {"predict_proba": 1.0}),
    "a method of numbers": lambda: Made(GaussianNB, {"theta_": np.float64}),
    "a class of another": lambda: Made(GaussianNB, {"__class__": 1}),
    "attributes of slots": lambda: Made(GaussianNB, (None, {"theta_": 1})),
    "arguments for a class": lambda: Calls(StandardScaler, 1),
    "a state that is none": lambda: Made(StandardScaler, 1),
    "a version that is formatted": lambda: Made(GaussianNB, {"_sklearn_version": GaussianNB()}),
    "a name that hides": hidden_in_a_bunch,
    "a tree in a circle": lambda: with_state(circle),
    "a tree that leads out": lambda: with_state(outside),
    "a tree of many outputs": lambda: Calls(type(TREE.tree_), 3, np.array([2]), 10**9, state={}),
    "a tree without nodes": lambda: Calls(type(TREE.tree_), 3, np.array([2]), 1),
    "neighbours that are not there": lambda: neighbours(_1=np.full(120, 10**9)),
    "neighbours of no rows": lambda: neighbours(_0=np.zeros((0, 3))),
    "an empty tree of neighbours": lambda: Calls(KDTree(X).__reduce__()[0], KDTree),
    "a booster at an address": lambda: booster(4711),
    "a booster of nothing": lambda: booster(bytearray()),
    "a booster in brackets": lambda: booster(bytearray(b"[#L" + struct.pack(">q", 1)) * 10**6),
    "a booster in a circle": lambda: booster(
        altered(LEFT + struct.pack(">ii", 1, -1), LEFT + struct.pack(">ii", 1, 1))
    ),
    "a booster of foreign columns": lambda: booster(altered(COLUMNS + b"3", COLUMNS + b"0")),
    "a random state that stands nowhere": lambda: Calls(
        np.random.MT19937(0).__reduce__()[0],
        np.random.MT19937,
        state=(
            {"bit_generator": "MT19937", "state": {"key": np.zeros(624, np.uint32), "pos": 9999}},
            None,
        ),
    ),
    "objects in bytes": lambda: Calls(
        np.zeros(1).__reduce_ex__(5)[0], bytes(8), np.dtype(object), (1,), "C"
    ),
    "an object that is a number": lambda: Calls(
        np.float64(1).__reduce__()[0], np.dtype(object), bytes(8)
    ),
    "an array of another size": lambda: Calls(
        np.zeros(1).__reduce_ex__(5)[0], bytes(8), np.dtype(np.float64), (10**9,), "C"
    ),
}


@pytest.mark.parametrize("case", LISTED_NAMES_ALONE)
def test_names_of_the_list_do_no_more_than_a_model_needs(tmp_path: Path, case: str) -> None:
    """What is forged of names that models really hold is refused before it does anything."""
    with pytest.raises(BundleRefusedError):
        opened(tmp_path, pickle.dumps(LISTED_NAMES_ALONE[case](), 5))


STEPS = {
    "a class is no end": SCALER + b".",
    "a class has no state": SCALER + b"}" + text("fit") + b"K\x01sb0" + EMPTY_SCALER + b".",
    "a state is set twice": EMPTY_SCALER + b"}b}b.",
    "a list has no state": b"]}b.",
    "a dtype is not changed": DTYPE
    + text("f8")
    + b"\x89\x88\x87R\x94(K\x03"
    + text("<")
    + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b0h\x00h\x01b.",
    "an estimator is no list": EMPTY_SCALER + b"K\x01a.",
    "an estimator is no dictionary": EMPTY_SCALER + text("mean_") + b"K\x01s.",
    "a tuple is no key": b"}" + b")" + b"\x85" * 200_000 + b"K\x01s.",
    "large numbers are no keys": b"}\x8a\x08" + b"\xff" * 7 + b"\x7fK\x01s.",
    "a set of tuples": b"\x8f()\x90.",
    "bytes of a tebibyte": b"\x8e" + struct.pack("<Q", 2**40) + b".",
    "a bytearray of a tebibyte": b"\x96" + struct.pack("<Q", 2**40) + b".",
    "a text of a tebibyte": b"\x8d" + struct.pack("<Q", 2**40) + b".",
    "a frame of a tebibyte": b"\x95" + struct.pack("<Q", 2**40) + b".",
    "a negative length": b"B\xff\xff\xff\xff.",
    "an extension": b"\x82\x01.",
    "a persistent name": b"Pname\n.",
    "an old instance": b"(isklearn.preprocessing._data\nStandardScaler\n.",
    "a buffer from outside": b"\x97.",
    "nothing at all": b"",
    "an empty stack": b".",
    "an item too few": b"K\x01\x86.",
    "a place that is not there": b"h\x07.",
}


@pytest.mark.parametrize("case", STEPS)
def test_steps_that_no_pickler_takes_are_refused(tmp_path: Path, case: str) -> None:
    """Opcodes put together by hand are a refusal, not an error of another kind or a dead server."""
    with pytest.raises(BundleRefusedError):
        opened(tmp_path, b"\x80\x05" + STEPS[case])


def test_a_function_of_numpy_may_stand_in_a_transformer_alone(tmp_path: Path) -> None:
    """As bundles of 0.1.0 may hold it, a logarithm opens and works; elsewhere it is no function."""
    transformer = opened(tmp_path, pickle.dumps(FunctionTransformer(np.log1p)))
    assert transformer.transform(np.zeros((1, 1))).tolist() == [[0.0]]
    state = {"mean_": np.log1p, "_sklearn_version": sklearn.__version__}
    scaler = opened(tmp_path, pickle.dumps(Made(StandardScaler, state)))
    assert not callable(scaler.mean_)


MODELS = {
    "boosting with categories": HistGradientBoostingClassifier(
        max_iter=2, categorical_features=[2]
    ),
    "neighbours": KNeighborsClassifier(p=3),
    "a vote": VotingClassifier([("one", GaussianNB()), ("two", TREE)], voting="soft"),
    "dropout": XGBClassifier(booster="dart", n_estimators=3, n_jobs=1),
    "linear boosting": XGBClassifier(booster="gblinear", n_estimators=3, n_jobs=1),
}


@pytest.mark.parametrize("case", MODELS)
def test_what_was_opened_is_written_and_opened_again(tmp_path: Path, case: str) -> None:
    """A model that was opened is like the one that was fitted, and can be handed on."""
    numbers = np.abs(X.round())
    model = MODELS[case].fit(numbers, Y)
    once = opened(tmp_path, pickle.dumps(model, 5))
    twice = opened(tmp_path, pickle.dumps(once, 5))
    assert np.array_equal(twice.predict_proba(numbers), model.predict_proba(numbers))
