"""The quick reading of numbers never differs from the strict one."""

import json
import threading
import tracemalloc
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bundle import Layout, Manifest
from serving.protocol import envelope, in_json, slices
from serving.protocol.codecs import decode
from serving.refusals import RequestRefusedError
from tests.serving.tensors_sent import tensor

NUMBERS = Manifest("boxes", "constant", Layout(("a", "b", "c")), 0.5, ("0", "1"), data_version=1)
GAPPED = Manifest(
    "boxes", "constant", Layout(("a", "b", "c"), missing=("b",)), 0.5, ("0", "1"), data_version=1
)

PLAIN = "1 -0 0.1 1e5 -2.5E-3 5e-324 1e-999 1e39 1e999 -1e308 null true [2] {} 01 1. .5 +1 NaN"
LONG = (
    '"1" 18446744073709551615 -9223372036854775808 123456789012345678901234567890 '
    "3.4028235677973366e38"
)
WRITTEN = st.sampled_from([*PLAIN.split(), *LONG.split()]) | st.floats(
    allow_nan=False, allow_infinity=False
).map(repr)
ROW = st.lists(WRITTEN, min_size=3, max_size=3).map(lambda row: f"[{', '.join(row)}]")
NESTED = st.lists(ROW, min_size=1, max_size=4).map(lambda rows: f"[{','.join(rows)}]")
FLAT = st.lists(WRITTEN, max_size=7).map(lambda items: f"[ {' , '.join(items)}]")
NUMBER_LISTS = st.lists(
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr), min_size=6, max_size=6
)
DATA = (
    FLAT
    | NESTED
    | NUMBER_LISTS.map(lambda items: f"[{','.join(items)}]")
    | st.text('[]{}",:0123 -.e\\u', max_size=24)
)
SHAPES = st.sampled_from([[2, 3], [1, 3], [3], [4, 3], [2, 3, 1]])
# Keys around the data, in any order, and what else may hold brackets, quotes or the key itself.
AROUND = st.sampled_from(
    [
        "",
        "]",
        ', "outputs": [{"name": "label"}]',
        ', "id": "]]\\"data\\": [[1]]"',
        ', "x": [[1]]',
        ', "parameters": {"data": [0]}',
        ', "d\\u0061ta": [[0, 0, 0]]',
        ', "data": [[9, 9, 9]]',
    ]
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Return a request with one input, its data before or behind the rest."""
    datatype = draw(st.sampled_from(["FP64", "INT8", "UINT64"]))
    fields = [
        f'"data": {draw(DATA)}',
        f'"name": "x", "shape": {draw(SHAPES)}, "datatype": "{datatype}"',
    ]
    inside = ", ".join(draw(st.permutations(fields)))
    body = f'{{"inputs": [{{{inside}{draw(AROUND)}}}]{draw(AROUND)}}}'
    return body.encode(errors="replace")


def _outcome(body: bytes, manifest: Manifest) -> Any:
    try:
        request = decode(body, manifest)
    except RequestRefusedError as refused:
        return refused.status, str(refused)
    return request.matrix.tobytes(), request.outputs, request.id


@pytest.mark.parametrize("manifest", [NUMBERS, GAPPED], ids=["numbers", "gaps"])
@given(body=bodies())
def test_quick_is_strict(manifest: Manifest, body: bytes) -> None:
    """Cut out and read at once, or decoded whole and strictly: the same matrix, or both refuse."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(envelope, "_WORTH_CUTTING_BYTES", 0)
        quick = _outcome(body, manifest)
        patched.setattr(envelope, "_WORTH_CUTTING_BYTES", len(body) + 1)
        patched.setattr(in_json, "_at_once", lambda *_, **__: None)
        strict = _outcome(body, manifest)
    assert (quick == strict) or (quick[0] == strict[0] == 400)


def test_a_large_matrix_arrives() -> None:
    """A body above every threshold gives the matrix that was sent, flat or nested."""
    rows = np.random.default_rng(0).normal(size=(9_000, 3)).astype(np.float32)
    for data in (rows.tolist(), rows.ravel().tolist()):
        body = json.dumps({"inputs": [tensor(data, [len(rows), 3])]}).encode()
        assert np.array_equal(decode(body, NUMBERS).matrix, rows)


OAK = Manifest(
    "boxes", "constant", Layout(("wood",), {"wood": ("oak",)}), 0.5, ("0", "1"), data_version=1
)
FLOODS = {
    "numbers": (NUMBERS, {"inputs": [tensor([0] * 99_999, [2, 3])]}, 400),
    "rows of numbers": (NUMBERS, {"inputs": [tensor([[0] * 3] * 33_333, [2, 3])]}, 400),
    "empty rows": (NUMBERS, {"inputs": [tensor([[]] * 99_999, [2, 3])]}, 400),
    "texts": (OAK, {"inputs": [tensor(["oak"] * 99_999, [2], "wood", "BYTES")]}, 400),
    "plain rows": (NUMBERS, {"rows": [[0, 0, 0]] * 33_333}, 413),
    "rows by name": (NUMBERS, {"rows": [{"a": 0, "b": 0, "c": 0}] * 33_333}, 413),
}


@pytest.mark.parametrize(("manifest", "sent", "status"), FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_is_refused_before_it_costs_memory(
    manifest: Manifest, sent: dict[str, Any], status: int
) -> None:
    """Far more values or rows than may come take no more than a few copies of the body."""
    body = json.dumps(sent).encode()
    tracemalloc.start()
    with pytest.raises(RequestRefusedError) as refused:
        decode(body, manifest)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused.value.status == status
    assert peak < 4 * len(body)


def test_commas_in_texts_are_no_items() -> None:
    """Texts that are full of commas, quotes and nulls are as many as they are."""
    texts = ['a,b,,,"null,\\', "oak", ","] * 3_000
    body = json.dumps({"inputs": [tensor(texts, [len(texts)], "wood", "BYTES")]}).encode()
    found = decode(body, OAK).matrix.ravel()
    assert np.flatnonzero(found == 0).tolist() == list(range(1, len(texts), 3))


def test_threads_do_not_share_a_parser() -> None:
    """Bodies that are decoded in several threads at once each give their own matrix."""
    wrong: list[Any] = []

    def repeat(value: float) -> None:
        body = json.dumps({"inputs": [tensor([value] * 300, [100, 3])]}).encode()
        found = [decode(body, NUMBERS).matrix for _ in range(200)]
        wrong.extend(matrix for matrix in found if not (matrix == value).all())

    threads = [threading.Thread(target=repeat, args=(float(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_too_many_rows_are_refused() -> None:
    """More rows than one request may have are 413, with the number that may."""
    body = json.dumps({"inputs": [tensor([1.0] * 9, [3, 3])]}).encode()
    rows = json.dumps({"rows": [[1, 2, 3]] * 3}).encode()
    for sent in (body, rows):
        assert len(decode(sent, NUMBERS, max_rows=3).matrix) == 3
        with pytest.raises(RequestRefusedError, match="3 rows came and at most 2 may") as refused:
            decode(sent, NUMBERS, max_rows=2)
        assert refused.value.status == 413


JSON = st.recursive(
    st.none() | st.integers(-99, 99) | st.text('"\\,[]{}:a \n\u00e9'),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text('"\\,]a'), inner, max_size=3)
    ),
    max_leaves=30,
)


NUMBERS_OR_NULLS = st.lists(st.integers(-99, 99) | st.none(), max_size=20)
# All that a request may hold: numbers, rows of numbers, or anything that has texts in it.
LISTS = (
    NUMBERS_OR_NULLS
    | st.lists(NUMBERS_OR_NULLS, max_size=9)
    | st.lists(JSON, max_size=20).map(lambda items: [*items, "text"])
)


@given(items=LISTS, size=st.integers(1, 40), form=st.tuples(st.booleans(), st.booleans()))
def test_pieces_hold_what_the_list_holds(
    items: list[Any], size: int, form: tuple[bool, bool]
) -> None:
    """Wherever a list is cut, its pieces are lists and have all of its items in order."""
    indent = 1 if form[0] else None
    raw = json.dumps(items, indent=indent, ensure_ascii=form[1]).encode()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(slices, "SLICE_BYTES", size)
        pieces = list(slices.slices(raw))
    assert [item for piece in pieces for item in json.loads(piece)] == items
    longest = max((len(json.dumps(one, indent=indent)) * 2 for one in items), default=0)
    assert all(len(piece) <= 3 * (size + longest) + 9 for piece in pieces)


@given(inside=st.text('[]{}",\\1 a', max_size=40), size=st.integers(1, 20))
def test_pieces_of_what_is_no_list_are_not_all_lists(inside: str, size: int) -> None:
    """However a list is damaged, cutting it never mends it."""
    raw = f"[{inside}]".encode()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(slices, "SLICE_BYTES", size)
        pieces = list(slices.slices(raw))
    try:
        found = [item for piece in pieces for item in json.loads(piece)]
    except ValueError:
        with_pieces = None
    else:
        with_pieces = found
    if with_pieces is not None:
        assert json.loads(raw) == with_pieces


def _many(item: str, count: int = 9_999) -> str:
    return ",".join([item] * count)


INPUT = '{"name":"x","shape":[1,3],"datatype":"FP64","data":[1,2,3]}'
OUTPUT = '{"name":"label"}'
SMALL_THINGS = {
    "inputs": f'{{"inputs":[{_many(INPUT)}]}}',
    "inputs that do not count": f'{{"inputs":[{_many(INPUT)}],"inputs":[{INPUT}]}}',
    "outputs": f'{{"inputs":[{INPUT}],"outputs":[{_many(OUTPUT)}]}}',
    "dimensions": INPUT.replace("1,3", _many("1", 99_999)).join(('{"inputs":[', "]}")),
    "rows": f'{{"inputs":[{INPUT.replace("1,3", "9999,3").replace("1,2,3", _many("[1]"))}]}}',
}


@pytest.mark.parametrize("body", SMALL_THINGS.values(), ids=SMALL_THINGS.keys())
def test_a_flood_of_small_things_makes_few_objects(body: str) -> None:
    """What is far more than can be meant is given up after the first pieces of it."""
    tracemalloc.start()
    with suppress(RequestRefusedError):
        decode(body.encode(), NUMBERS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * len(body) + 2**22


def test_the_place_of_what_is_wrong_is_that_in_the_whole_list() -> None:
    """A sentence names the row or the item as its sender counts them."""
    numbers = [[1.0, 2.0, 3.0]] * 9_000 + [[1.0, "x", 3.0]]
    for body, place in (
        ({"rows": numbers}, "row 9000, feature b"),
        ({"rows": [dict(zip("abc", row, strict=True)) for row in numbers]}, "row 9000, feature b"),
        ({"inputs": [tensor(numbers, [9001, 3])]}, r"\$\[9000\]\[1\]"),
        ({"inputs": [tensor([one for row in numbers for one in row], [9001, 3])]}, r"\$\[27001\]"),
    ):
        with pytest.raises(RequestRefusedError, match=place):
            decode(json.dumps(body).encode(), NUMBERS)
