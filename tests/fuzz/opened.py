"""`python -m tests.fuzz.opened COUNT SEED`: open pickles and watch what they reach.

In a process of its own, because what watches cannot be taken away again and a bad pickle may end
the process. Says in one line of JSON how many opened and how many were refused; a pickle that
reached something, or ended in another way, is written to the working folder and ends the process.
"""

import json
import pickle
import resource
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from ctypes import c_void_p
from functools import partial
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
from scipy.interpolate import interp1d
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import FunctionTransformer, SplineTransformer
from xgboost import XGBClassifier

from serving.bundle import BundleRefusedError
from serving.bundle.name_list import trusted_names
from serving.bundle.trust import open_model
from serving.bundle.trusted_parts import Function
from tests.fuzz.pickles import PickleFuzzer

SECONDS_EACH = 60
ROOM = 4 << 30  # bytes beyond what the libraries take
_FORBIDDEN = ("exec", "compile", "import", "os.", "subprocess.", "socket.", "shutil.", "pty.")
_PLAIN = (str, bytes, bytearray, bool, int, float, type(None), slice, np.generic, np.dtype)
reached: list[str] = []


def main(count: int, seed: int) -> None:
    """Open so many pickles."""
    warnings.simplefilter("ignore")
    names = sorted(name for kind in trusted_names().values() for name in kind)
    listed = {getattr(import_module(module), name) for module, name in names}
    fuzzer = PickleFuzzer(names, list(_models()), seed)
    path, outcomes = Path("model.joblib"), Counter[str]()
    limit = _size() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, as a hang should
    for content in fuzzer.draw(count):
        path.write_bytes(content)
        signal.alarm(SECONDS_EACH)
        outcomes[_outcome(path, listed)] += 1
    signal.alarm(0)
    path.unlink()
    sys.stdout.write(json.dumps(outcomes) + "\n")


def _outcome(path: Path, listed: set[Any]) -> str:
    watching.append(True)
    try:
        found = open_model(path)
    except BundleRefusedError as error:
        if isinstance(error.__cause__, MemoryError):
            raise
        return "refused"
    finally:
        watching.clear()
        if reached:
            raise AssertionError(f"opening reached {reached}")
    _require_listed(found, listed)
    return "opened"


watching: list[bool] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not watching:
        return
    writes = event == "open" and set(str(arguments[1])) & set("wax+")
    known = event == "import" and arguments[0] in sys.modules
    if writes or (event.startswith(_FORBIDDEN) and not known):
        reached.append(f"{event} {arguments!r:.200}")


def _require_listed(value: Any, listed: set[Any]) -> None:
    """Walk over all that an object is made of; nothing of it is of a class that is not listed."""
    seen: dict[int, Any] = {}
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _PLAIN) or type(one) in _MADE_INSIDE:
            continue
        seen[id(one)] = one
        if type(one) in {list, tuple, set, frozenset}:
            waiting += list(one)
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, np.ndarray):
            waiting += one.ravel().tolist() if one.dtype == object else []
        elif isinstance(one, type):
            assert issubclass(one, np.generic), one
        elif isinstance(one, partial | FunctionType | np.ufunc):
            assert getattr(one, "func", one) in listed, one
        else:
            kind = type(one)
            assert kind in listed, kind
            waiting += list(getattr(one, "__dict__", {}).values())


_MADE_INSIDE = {np.random.RandomState, np.random.Generator, Function, c_void_p, interp1d}
"""What is made by what is listed, and has no name in a file."""


def _models() -> Iterator[bytes]:
    chance = np.random.default_rng(0)
    X = np.abs(chance.normal(size=(40, 3))).round().astype(np.float32)
    y = (X[:, 0] > 0).astype(np.int8)
    kinds: tuple[ClassifierMixin, ...] = (
        GaussianNB(),
        KNeighborsClassifier(),
        RandomForestClassifier(2),
        GradientBoostingClassifier(n_estimators=2),
        HistGradientBoostingClassifier(max_iter=2, categorical_features=[2]),
        MLPClassifier((2,), max_iter=2),
        CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=2),
        XGBClassifier(n_estimators=2, n_jobs=1),
    )
    for kind in kinds:
        yield pickle.dumps(kind.fit(X, y), 5)
    yield pickle.dumps(SplineTransformer().fit(X), 5)
    yield pickle.dumps(FunctionTransformer(np.log1p), 5)


def _size() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    sys.addaudithook(_watch)
    main(int(sys.argv[1]), int(sys.argv[2]))
