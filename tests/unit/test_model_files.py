"""What a model file of somebody else may be, and what it may do when it is opened."""

import importlib.util
import lzma
import os
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joblib.numpy_pickle import NumpyArrayWrapper, NumpyPickler
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from include.adapters import model_files
from include.adapters.model_files import open_model_file
from include.errors import AdoptionError
from tests.unit.test_bundle_trust import FORBIDDEN, LISTED_NAMES_ALONE, STEPS, Calls, Made, X, Y

TEXTS = np.where(Y, "yes", "no").astype(object)
MODELS = {
    "a forest of texts": RandomForestClassifier(3).fit(X, TEXTS),
    "a pipeline": make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y),
    "neighbours": KNeighborsClassifier().fit(X, TEXTS),
    "histograms": HistGradientBoostingClassifier(max_iter=2).fit(X, Y),
    "XGBoost": XGBClassifier(n_estimators=2, n_jobs=1).fit(X, Y),
}
COMPRESSIONS: dict[str, Any] = {
    "uncompressed": 0,
    "a level": 3,
    **{kind: (kind, 3) for kind in ("zlib", "gzip", "bz2", "lzma", "xz")},
}


@pytest.fixture(autouse=True)
def plain_joblib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take dill's functions out of joblib's table, if another test has imported it."""
    spec = importlib.util.find_spec("pickle")
    assert spec is not None
    assert spec.loader is not None
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    monkeypatch.setattr(NumpyPickler, "dispatch", vars(fresh)["_Pickler"].dispatch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a model file goes."""
    return tmp_path / "theirs.joblib"


def refusal(path: Path, content: bytes) -> str:
    """Return why a file of this content is not opened."""
    path.write_bytes(content)
    with pytest.raises(AdoptionError) as refused:
        open_model_file(path)
    assert str(path) in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("case", MODELS)
@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_what_joblib_writes_opens(path: Path, case: str, compress: str) -> None:
    """In each of its packings, to a model that answers as the one that was saved."""
    model = MODELS[case]
    joblib.dump(model, path, compress=COMPRESSIONS[compress])
    opened = open_model_file(path)
    assert np.array_equal(opened.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("case", MODELS)
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_what_pickle_writes_opens(path: Path, case: str, protocol: int) -> None:
    """In the protocols that it has chosen by itself since Python 3, and joblib in each of them."""
    model = MODELS[case]
    path.write_bytes(pickle.dumps(model, protocol))
    assert np.array_equal(open_model_file(path).predict_proba(X), model.predict_proba(X))
    joblib.dump(model, path, protocol=protocol)
    assert np.array_equal(open_model_file(path).predict_proba(X), model.predict_proba(X))


def test_columns_first_and_mapped_arrays_open_as_arrays(path: Path, tmp_path: Path) -> None:
    """Whatever lay in a file of its own, or the other way round, is read to memory."""
    model = GaussianNB().fit(X, Y)
    model.var_ = np.asfortranarray(model.var_)
    mapped = np.memmap(tmp_path / "theta", np.float64, "w+", shape=model.theta_.shape)
    mapped[:] = model.theta_
    model.theta_ = mapped
    joblib.dump(model, path)
    opened = open_model_file(path)
    assert (type(opened.theta_), opened.theta_.flags.writeable) == (np.ndarray, True)
    assert np.array_equal(opened.predict_proba(X), model.predict_proba(X))


NO_CLASSIFIERS = {
    "a tuple": (MODELS["a pipeline"], 0.5),
    "a dictionary": {"model": MODELS["a pipeline"]},
    "an array": X,
    "a transformer": StandardScaler().fit(X),
}


@pytest.mark.parametrize("case", NO_CLASSIFIERS)
def test_what_is_no_classifier_is_refused_in_words(path: Path, case: str) -> None:
    """The sentence names the file, what is in it, and what to do."""
    joblib.dump(NO_CLASSIFIERS[case], path)
    told = refusal(path, path.read_bytes())
    assert f"holds a {type(NO_CLASSIFIERS[case]).__name__} and no classifier" in told
    assert "save the fitted classifier alone" in told


@pytest.mark.parametrize("compress", COMPRESSIONS)
@pytest.mark.parametrize("where", ["alone", "in a model", "among objects"])
def test_no_program_in_a_file_runs(path: Path, tmp_path: Path, compress: str, where: str) -> None:
    """Alone, among attributes, and in the pickle that joblib keeps for an array of objects."""
    trace = tmp_path / "it ran"
    program = Calls(os.mkdir, str(trace))
    model = GaussianNB().fit(X, Y)
    model.theta_ = np.array([program], dtype=object) if where == "among objects" else program
    joblib.dump(program if where == "alone" else model, path, compress=COMPRESSIONS[compress])
    assert "mkdir, which is not on the list" in refusal(path, path.read_bytes())
    assert not trace.exists()


@pytest.mark.parametrize("case", [*FORBIDDEN, *LISTED_NAMES_ALONE])
def test_what_is_refused_in_a_bundle_is_refused_here(path: Path, case: str) -> None:
    """Written by joblib, with arrays behind wrappers, forged files do no more than as pickles."""
    joblib.dump(FORBIDDEN[case] if case in FORBIDDEN else LISTED_NAMES_ALONE[case](), path)
    assert "is not opened: " in refusal(path, path.read_bytes())


@pytest.mark.parametrize("case", STEPS)
def test_steps_that_no_pickler_takes_are_refused(path: Path, case: str) -> None:
    """Opcodes put together by hand are a refusal here too."""
    assert "is not opened: " in refusal(path, b"\x80\x05" + STEPS[case])


def wrapped(data: bytes = b"\x01\xff" + bytes(24), **lies: Any) -> bytes:
    """Return a file of one array, whose wrapper may lie."""
    true = vars(NumpyArrayWrapper(np.ndarray, (3,), "C", np.dtype(np.float64), allow_mmap=True))
    return pickle.dumps(Made(NumpyArrayWrapper, true | lies), 3)[:-1] + data + b"."


OBJECTS = pickle.dumps(np.array([1, "one"], dtype=object), 5)
HONEST = {
    "aligned": wrapped(),
    "not aligned": wrapped(bytes(24), numpy_array_alignment_bytes=None),
    "columns first": wrapped(shape=(1, 3), order="F"),
    "a number": wrapped(b"\x01\xff" + bytes(8), shape=()),
    "nothing": wrapped(b"\x01\xff", shape=(0, 7)),
    "texts": wrapped(b"\x01\xff" + "abcdef".encode("utf-32-le"), dtype=np.dtype("<U2")),
    "objects": wrapped(OBJECTS, shape=(2,), dtype=np.dtype(object)),
}


@pytest.mark.parametrize("case", HONEST)
def test_a_true_wrapper_becomes_an_array(path: Path, case: str) -> None:
    """So that what is refused below is refused for its lie."""
    assert "holds a ndarray" in refusal(path, HONEST[case])


LIES: dict[str, Callable[[], bytes]] = {
    "a longer array": lambda: wrapped(shape=(4,)),
    "an array of a tebibyte": lambda: wrapped(shape=(2**37,)),
    "no end of rows": lambda: wrapped(shape=(0, 2**80)),
    "fewer than none": lambda: wrapped(shape=(-1, -3)),
    "a shape that is none": lambda: wrapped(shape=[3]),
    "halves of rows": lambda: wrapped(shape=(1.5, 2)),
    "another dtype": lambda: wrapped(dtype=np.dtype("<U100")),
    "a time": lambda: wrapped(dtype=np.dtype("M8[s]")),
    "numbers of another machine": lambda: wrapped(dtype=np.dtype(">f8")),
    "no dtype": lambda: wrapped(dtype="f8"),
    "bytes for objects": lambda: wrapped(dtype=np.dtype(object)),
    "other objects": lambda: wrapped(OBJECTS, shape=(3,), dtype=np.dtype(object)),
    "objects that are none": lambda: wrapped(
        pickle.dumps([1, 2, 3], 5), shape=(3,), dtype=np.dtype(object)
    ),
    "numbers for objects": lambda: wrapped(
        pickle.dumps(np.zeros(3), 5), shape=(3,), dtype=np.dtype(object)
    ),
    "a matrix": lambda: wrapped(subclass=np.matrix),
    "a record array": lambda: wrapped(subclass=np.recarray),
    "a class that is no array": lambda: wrapped(subclass=StandardScaler),
    "a class by its name": lambda: wrapped(subclass="numpy.ndarray"),
    "no class": lambda: wrapped(subclass=X),
    "another order": lambda: wrapped(order="K"),
    "orders": lambda: wrapped(order=X),
    "another alignment": lambda: wrapped(numpy_array_alignment_bytes=2**20),
    "an alignment that is none": lambda: wrapped(numpy_array_alignment_bytes=True),
    "no padding": lambda: wrapped(b"\x00" + bytes(24)),
    "more padding": lambda: wrapped(b"\x11" + b"\xff" * 17 + bytes(24)),
    "other padding": lambda: wrapped(b"\x01\x00" + bytes(24)),
    "a method of its own": lambda: wrapped(read=1),
    "no wrapper at all": lambda: pickle.dumps(Made(NumpyArrayWrapper, []), 3),
    "no state": lambda: pickle.dumps(Made(NumpyArrayWrapper, {}), 3),
    "arguments": lambda: pickle.dumps(Calls(NumpyArrayWrapper, 1, 2, 3), 3),
    "an array of another's": lambda: pickle.dumps(
        Calls(np.zeros(1).__reduce__()[0], np.memmap, (0,), b"b"), 3
    ),
}


@pytest.mark.parametrize("case", LIES)
def test_a_wrapper_that_lies_is_refused(path: Path, case: str) -> None:
    """Class, shape, order, dtype and padding are what joblib writes, and the bytes are there."""
    told = refusal(path, LIES[case]())
    assert "is not opened: " in told


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_a_file_that_was_cut_off_is_refused(path: Path, compress: str) -> None:
    """Wherever it ends, and although some packings do not miss their end."""
    joblib.dump(MODELS["a forest of texts"], path, compress=COMPRESSIONS[compress])
    whole = path.read_bytes()
    for length in (0, 1, 2, 5, 20, len(whole) // 2, len(whole) - 200, len(whole) - 1):
        assert "is not opened: " in refusal(path, whole[:length])


@pytest.mark.parametrize("compress", [one for one in COMPRESSIONS if one != "uncompressed"])
def test_a_small_file_that_holds_a_huge_one_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, compress: str
) -> None:
    """It is not unpacked further than a model ever is."""
    monkeypatch.setattr(model_files, "FREE_BYTES", 1 << 20)
    joblib.dump(np.zeros(4 << 20), path, compress=COMPRESSIONS[compress])
    assert "unpacks to more than" in refusal(path, path.read_bytes())


def test_a_large_file_is_unpacked_to_some_bytes_at_most(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much went in."""
    monkeypatch.setattr(model_files, "MOST_BYTES", 1 << 20)
    joblib.dump(np.random.default_rng(0).random(1 << 18), path, compress=1)
    assert "unpacks to more than 1 MB" in refusal(path, path.read_bytes())


UNREADABLE = {
    "lz4": (b"\x04\x22\x4d\x18" + bytes(40), "packed with lz4"),
    "an old one": (b"ZF0x10" + bytes(40), "joblib before 0.10"),
    "a zip archive": (b"PK\x03\x04" + bytes(40), "a zip archive"),
    "a text": (b"nothing of the kind", "no file of pickle or joblib"),
    "a damaged one": (b"BZh9" + bytes(40), "damaged"),
    "a dictionary of gigabytes": (
        lzma.compress(b"x", lzma.FORMAT_ALONE)[:1] + b"\x00\xff\xff\xff\xf0" + bytes(40),
        "damaged",
    ),
    "an old protocol": (pickle.dumps(MODELS["a pipeline"], 0), "in a protocol from 3 on"),
    "zlib in zlib": (zlib.compress(zlib.compress(OBJECTS)), "no file of pickle or joblib"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_other_files_are_refused_in_words(path: Path, case: str) -> None:
    """The sentence says what it is, where that can be seen."""
    content, said = UNREADABLE[case]
    assert said in refusal(path, content)


def test_a_file_that_is_not_there_is_refused_in_words(path: Path) -> None:
    """An error of the system is a sentence too."""
    with pytest.raises(AdoptionError, match="No such file"):
        open_model_file(path)


STARTS = (
    b"",
    b"\x80\x04",
    b"\x80\x05\x95",
    b"\x78\x9c",
    b"\x1f\x8b\x08\x00",
    b"BZh9",
    b"]\x00\x00",
)


@given(st.sampled_from(STARTS), st.binary(max_size=300))
def test_any_bytes_are_a_model_or_a_refusal(start: bytes, rest: bytes) -> None:
    """Nothing else comes of a file, whatever is in it."""
    assert is_model_or_refusal(start + rest)


@given(
    st.sampled_from([pickle.dumps(model, 4) for model in MODELS.values()] + list(HONEST.values())),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)), max_size=4),
)
def test_a_damaged_file_is_a_model_or_a_refusal(
    content: bytes, changes: list[tuple[float, bytes]]
) -> None:
    """Bytes of a true file are replaced, here and there."""
    for place, new in changes:
        at = int(place * len(content))
        content = content[:at] + new + content[at + len(new) :]
    assert is_model_or_refusal(content)


def is_model_or_refusal(content: bytes) -> bool:
    """Open a file of this content; return whether a classifier or a sentence about it comes."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "theirs.joblib"
        path.write_bytes(content)
        try:
            return hasattr(type(open_model_file(path)), "predict_proba")
        except AdoptionError as refused:
            return str(path) in str(refused) and str(refused).isprintable()
