"""Requests and answers: a table of what is understood, a table of what is refused, and chaos."""

import gc
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bundle import Bundle, Layout, Manifest
from serving.protocol.answers import DecodedRequest
from serving.protocol.codecs import decode, encode
from serving.protocol.prepared import PreparedByManifest
from serving.refusals import RequestRefusedError
from tests.serving.tensors_sent import by_name, tensor

MANIFEST = Manifest(
    name="boxes",
    family="constant",
    layout=Layout(("height", "width", "depth")),
    threshold=0.5,
    labels=("0", "1"),
    data_version=1,
)
GAPPED = replace(MANIFEST, layout=replace(MANIFEST.layout, missing=("width",)))
WOODEN = replace(
    MANIFEST,
    layout=Layout(("height", "wood", "year"), {"wood": ("ash", "oak")}, missing=("wood", "year")),
)
ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
FLAT = [1, 2, 3, 4, 5, 6]


def _body(inputs: list[dict[str, Any]], **rest: Any) -> bytes:
    return json.dumps({"inputs": inputs, **rest}).encode()


def _twice(key: str, again: str) -> bytes:
    """Return a good request in which one key is written again before itself."""
    return _body([tensor([1, 2, 3], [1, 3])]).replace(key.encode(), again.encode(), 1)


UNDERSTOOD = {
    "flat matrix": [tensor(FLAT, [2, 3])],
    "nested matrix": [tensor(ROWS, [2, 3])],
    "32-bit floats": [tensor(ROWS, [2, 3], datatype="FP32")],
    "bytes": [tensor(FLAT, [2, 3], datatype="UINT8")],
    "long integers": [tensor(FLAT, [2, 3], datatype="INT64")],
    "a matrix named as a feature": [tensor(FLAT, [2, 3], "height")],
    "by name, in another order": by_name([2], [3, 6], [1, 4], [2, 5]),
    "by name, as columns": by_name([2, 1], [[3], [6]], [[1], [4]], [[2], [5]]),
    "by name, flat columns": by_name([2, 1], [3, 6], [1, 4], [2, 5]),
}


@pytest.mark.parametrize("inputs", UNDERSTOOD.values(), ids=UNDERSTOOD.keys())
def test_understands(inputs: list[dict[str, Any]]) -> None:
    """Every way to write the same two rows gives the same float32 matrix in column order."""
    request = decode(_body(inputs), MANIFEST)
    assert request.matrix.tolist() == ROWS
    assert request.matrix.dtype == np.float32
    assert request.matrix.flags.c_contiguous
    assert request.outputs == ("probability", "label")


def test_tolerates_what_it_does_not_know() -> None:
    """Fields of the protocol that the server has no use for are no reason to refuse."""
    inputs = [tensor(ROWS, [2, 3]) | {"parameters": {"content_type": "np"}}]
    request = decode(_body(inputs, id="r1", parameters={"trace": True}, extra=[1]), MANIFEST)
    assert request.id == "r1"


ODD_TEXTS = [
    'say "data": [1]',
    '{"a": 1, "a": 2}',
    "\\",
    '"',
    ":",
    "[",
    "{",
    "}",
    "ash:oak",
    "a\nb",
]


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_texts_are_no_keys(text: str) -> None:
    """Whatever stands in names, ids and data, nothing stands twice."""
    inputs = [
        tensor([1, 2], [2], "height"),
        tensor([text] * 2, [2], "wood", "BYTES") | {"parameters": {"x": [text, {text: text}]}},
        tensor([1, 2], [2], "year"),
    ]
    request = decode(_body(inputs, id=text, extra={text: {text: [text]}}), WOODEN)
    assert request.id == text
    assert np.isnan(request.matrix[:, 1]).all()
    assert decode(_body([tensor(ROWS, [2, 3], text)], id=text), MANIFEST).id == text


REFUSED = {
    "nothing": (b"", "not a V2 request"),
    "no JSON": (b"height=1", "not a V2 request"),
    "no object": (b"[1]", "Expected `object`"),
    "NaN": (b'{"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP64", "data": [NaN]}]}', ""),
    "no inputs field": (b"{}", "`inputs`"),
    "no inputs": (_body([]), "no inputs"),
    "an input without data": (
        _body([{"name": "x", "shape": [1, 3], "datatype": "FP64"}]),
        "`data`",
    ),
    "too narrow": (_body([tensor([1, 2], [1, 2])]), "input x has shape [1, 2]"),
    "no matrix": (_body([tensor([1, 2, 3], [3])]), "input x has shape [3]"),
    "no shape": (_body([tensor([], [])]), "input x has shape []"),
    "negative shape": (_body([tensor([], [-1, 3])]), "$.inputs[0].shape[0]"),
    "too few for its shape": (_body([tensor([1], [9, 3])]), "1 values came where shape"),
    "a hundred dimensions": (_body([tensor([], [1] * 100)]), "$.inputs[0].shape"),
    "empty batch": (_body([tensor([], [0, 3])]), "empty batch"),
    "empty column": (_body(by_name([0], [], [], [])), "empty batch"),
    "too few": (_body([tensor([1, 2], [1, 3])]), "2 values came where shape [1, 3] needs 3"),
    "too many rows": (_body([tensor([*ROWS, [1, 2, 3]], [2, 3])]), "9 values came"),
    "ragged": (_body([tensor([[1, 2], [3, 4, 5, 6]], [2, 3])]), "a row has 2 values"),
    "nested where flat": (_body(by_name([1], [[1]], [2], [3])), "input depth"),
    "text datatype": (_body([tensor(["a"] * 3, [1, 3], datatype="BYTES")]), "datatype BYTES"),
    "text": (_body([tensor([1, "2", 3], [1, 3])]), "Expected `float`, got `str`"),
    "truth": (_body([tensor([1, True, 3], [1, 3])]), "Expected `float`, got `bool`"),
    "null": (_body([tensor([1, None, 3], [1, 3])]), "Expected `float`, got `null`"),
    "data null": (_body([tensor(None, [1, 3])]), "Expected `array`, got `null`"),
    "data text": (_body([tensor("123", [1, 3])]), "Expected `array`, got `str`"),
    "infinite": (_body([tensor([1, 2, 3], [1, 3])]).replace(b"2", b"1e999"), "out of range"),
    "beyond 32 bits": (_body([tensor([1, 2, -1e39], [1, 3])]), "row 0, feature depth: -1e+39"),
    "beyond, by name": (_body(by_name([2], [1, 2], [3, 1e300], [4, 5])), "row 1, feature height"),
    "fraction as integer": (_body([tensor([1, 2.5, 3], [1, 3], datatype="INT32")]), "is no INT32"),
    "too large for a byte": (
        _body([tensor([1, 256, 3], [1, 3], datatype="UINT8")]),
        "is no UINT8",
    ),
    "beyond 16 bits": (
        _body([tensor([1, 65520, 3], [1, 3], datatype="FP16")]),
        "row 0, feature width: 65520 is no FP16",
    ),
    "data twice": (_twice('"data"', '"data": [9, 9, 9], "data"'), "the key data stands twice"),
    "inputs twice": (_twice('"inputs"', '"inputs": [], "inputs"'), "the key inputs stands twice"),
    "inputs twice, spelt otherwise": (
        _twice('"inputs"', '"inp\\u0075ts": [], "inputs"'),
        "the key inputs stands twice",
    ),
    "shape twice": (_twice('"shape"', '"shape": [9, 9], "shape"'), "the key shape stands twice"),
    "a parameter twice": (
        _twice('"inputs"', '"parameters": {"a": 1, "b": {"c": 1, "c": 2}}, "inputs"'),
        "the key c stands twice",
    ),
    "unknown name": (
        _body([*by_name([1], [1], [2], [3]), tensor([1], [1], "age")]),
        "names: age",
    ),
    "missing name": (_body(by_name([1], [1], [2], [3])[:2]), "1 missing features: width"),
    "one name of three": (_body([tensor([1], [1], "depth")]), "2 missing features: height, width"),
    "twice": (_body([*by_name([1], [1], [2], [3]), tensor([1], [1], "depth")]), "twice: depth"),
    "unequal": (
        _body([*by_name([1], [1], [2], [3])[:2], tensor([1, 2], [2], "width")]),
        "length",
    ),
    "column of two": (
        _body([*by_name([1], [1], [2], [3])[:2], tensor([1, 2], [1, 2], "width")]),
        "",
    ),
    "unknown output": (
        _body([tensor(ROWS, [2, 3])], outputs=[{"name": "odds"}]),
        "no output odds",
    ),
    "id a number": (_body([tensor(ROWS, [2, 3])], id=5), "`$.id`"),
    "deep": (b'{"extra": ' + b"[" * 100_000, "nested too deeply"),
    "deep data": (b'{"inputs": [{"data": ' + b"[" * 100_000, "nested too deeply"),
    "broken text": (b'{"inputs": [{"name": "\xff\xfe"}]}', "not a V2 request"),
    "lone surrogate": (b'{"inputs": [], "id": "\\ud800"}', "not a V2 request"),
}


@pytest.mark.parametrize(("sent", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses(sent: bytes, says: str) -> None:
    """What cannot be scored is refused with 400, a bounded sentence and what was expected."""
    with pytest.raises(RequestRefusedError) as refused:
        decode(sent, MANIFEST)
    assert refused.value.status == 400
    assert says in str(refused.value)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize(
    ("sent", "says"), [case for case in REFUSED.values() if "stands twice" in case[1]]
)
def test_a_key_stands_twice_in_a_large_request_as_in_a_small_one(sent: bytes, says: str) -> None:
    """Around data that are cut out before the rest is decoded, a repeated key is refused too."""
    large = sent.replace(b"[1, 2, 3]", b"[1, " + b" " * 20_000 + b"2, 3]")
    assert len(large) > len(sent)
    with pytest.raises(RequestRefusedError, match=says):
        decode(large, MANIFEST)


def test_a_refusal_names_what_was_expected() -> None:
    """The sentence carries the shape, the datatypes and the first feature names."""
    with pytest.raises(RequestRefusedError, match=r"\[n, 3\].*FP64.*height, width, depth"):
        decode(b"{}", MANIFEST)


def test_long_names_do_not_come_back() -> None:
    """A name of a megabyte is cut in the sentence that refuses it."""
    with pytest.raises(RequestRefusedError) as refused:
        decode(_body([tensor([1], [1], "n" * 2**20)]), MANIFEST)
    assert len(str(refused.value)) < 1000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["name", "shape", "datatype", "data", "id"]), inner)
    ),
    max_leaves=12,
)
ITEMS = st.floats() | st.integers() | st.sampled_from(["oak", "pine", "", True]) | st.none()
NEARLY = st.fixed_dictionaries(
    {
        "inputs": st.lists(
            st.fixed_dictionaries(
                {
                    "name": st.sampled_from(["x", "height", "width", "depth", "wood"]),
                    "shape": st.lists(st.sampled_from([0, 1, 2, 3, -1, 10**30]), max_size=3) | JSON,
                    "datatype": st.sampled_from(["FP64", "INT8", "UINT64", "BOOL", "BYTES"]) | JSON,
                    "data": st.lists(ITEMS, max_size=7) | JSON,
                }
            )
            | JSON,
            max_size=4,
        )
    },
    optional={"id": JSON, "outputs": JSON},
)
# As a client would send them: every feature by name, and only the data are anything at all.
BY_NAME = st.tuples(*(st.lists(ITEMS, min_size=2, max_size=2) | JSON for _ in WOODEN.features)).map(
    lambda columns: {
        "inputs": [
            tensor(data, [2], name, "BYTES" if name == "wood" else "FP64")
            for name, data in zip(WOODEN.features, columns, strict=True)
        ]
    }
)


@pytest.mark.parametrize("manifest", [MANIFEST, GAPPED, WOODEN], ids=["numbers", "gaps", "woods"])
@given(
    sent=st.binary(max_size=200)
    | (JSON | NEARLY | BY_NAME).map(lambda value: json.dumps(value).encode())
)
def test_chaos_gives_a_matrix_or_a_refusal(manifest: Manifest, sent: bytes) -> None:
    """Whatever the bytes, a model gets numbers where there have to be some, or the caller a 400."""
    layout = manifest.layout
    matrix, status = np.zeros((1, len(layout.features))), 200
    try:
        matrix = decode(sent, manifest).matrix.astype(np.float64)
    except RequestRefusedError as refused:
        status = refused.status
    assert status in {200, 400, 413}
    assert matrix.shape == (len(matrix), len(layout.features))
    assert len(matrix) > 0
    assert not np.isinf(matrix).any()
    fixed = [name not in {*layout.missing, *layout.categories} for name in layout.features]
    assert not np.isnan(matrix[:, fixed]).any()


@given(
    rows=st.lists(
        st.lists(
            st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3
        ),
        min_size=1,
        max_size=5,
    )
)
def test_every_float32_arrives_unchanged(rows: list[list[float]]) -> None:
    """Every finite 32-bit float, sent in either form, is the number that the model gets."""
    matrix = decode(_body([tensor(rows, [len(rows), 3])]), MANIFEST).matrix
    columns = [
        tensor([row[index] for row in rows], [len(rows)], name)
        for index, name in enumerate(MANIFEST.features)
    ]
    assert matrix.tolist() == rows
    assert decode(_body(columns), MANIFEST).matrix.tolist() == rows


LABELS = {
    "whole numbers": (("0", "1"), "INT64", [0, 1]),
    "negative": (("-1", "1"), "INT64", [-1, 1]),
    "words": (("no", "yes"), "BYTES", ["no", "yes"]),
    "one word": (("0", "yes"), "BYTES", ["0", "yes"]),
    "leading zero": (("00", "01"), "BYTES", ["00", "01"]),
    "fraction": (("0.0", "1.0"), "BYTES", ["0.0", "1.0"]),
    "beyond 64 bits": (("0", "9" * 30), "BYTES", ["0", "9" * 30]),
}


@pytest.mark.parametrize(("labels", "datatype", "sent"), LABELS.values(), ids=LABELS.keys())
def test_labels_are_the_datas_own(labels: tuple[str, str], datatype: str, sent: list[Any]) -> None:
    """A label is the data's own word, as a number only when it is one; at the threshold it is 1."""
    answer = _answered(DecodedRequest(np.zeros((2, 3), np.float32), ("label",), None), labels)
    assert answer["outputs"] == [
        {"name": "label", "shape": [2], "datatype": datatype, "data": sent},
    ]


def test_answers_what_was_asked_for() -> None:
    """Outputs come in the order asked for, each once, with the id and the threshold."""
    sent = _body([tensor(ROWS, [2, 3])], id="a", outputs=[{"name": "label"}] * 3)
    answer = _answered(decode(sent, MANIFEST), ("0", "1"))
    assert answer["id"] == "a"
    assert answer["model_version"] == "4"
    assert answer["parameters"] == {"threshold": 0.5}
    assert [output["name"] for output in answer["outputs"]] == ["label"]


def test_what_is_prepared_goes_with_the_model() -> None:
    """What is worked out for a model is made once, and does not outlive it."""
    prepared = PreparedByManifest(lambda manifest: [manifest.name])
    first, second = replace(MANIFEST), replace(MANIFEST)
    assert prepared.of(first) is prepared.of(first)
    assert prepared.of(first) is not prepared.of(second)
    del first
    gc.collect()
    assert len(prepared) == 1


def _answered(request: DecodedRequest, labels: tuple[str, str]) -> dict[str, Any]:
    bundle = Bundle(
        replace(MANIFEST, labels=labels),
        model=None,  # type: ignore[arg-type]  # encoding asks for the threshold, not the model
    )
    parsed: dict[str, Any] = json.loads(encode(bundle, "4", request, np.array([0.25, 0.5])).body)
    return parsed
