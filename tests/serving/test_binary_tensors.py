"""The binary extension: packed inputs and outputs, and lengths that lie."""

import json
import struct
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bundle import Bundle, Layout, Manifest
from serving.models.holder import LoadedVersion
from serving.protocol.answers import EncodedAnswer
from serving.protocol.codecs import HEADER_LENGTH, decode, encode, header_length
from serving.refusals import RequestRefusedError
from tests.serving.tensors_sent import tensor

NUMBERS = Manifest("boxes", "constant", Layout(("a", "b", "c")), 0.5, ("0", "1"), data_version=1)
GAPPED = replace(NUMBERS, layout=Layout(("a", "b", "c"), missing=("b",)))
WOODEN = replace(NUMBERS, layout=Layout(("height", "wood"), {"wood": ("ash", "oak")}))
ROWS = np.array([[1, 2, 3], [4, 5, 6]])


def _input(
    size: Any, shape: list[int], name: str = "x", datatype: str = "FP64", **rest: Any
) -> dict[str, Any]:
    parameters = {"parameters": {"binary_data_size": size, "content_type": "np"}}
    return {"name": name, "shape": shape, "datatype": datatype, **parameters, **rest}


def _body(inputs: list[dict[str, Any]], *packed: bytes, **rest: Any) -> tuple[bytes, int]:
    head = json.dumps({"inputs": inputs, **rest}).encode()
    return b"".join((head, *packed)), len(head)


def _decode(manifest: Manifest, inputs: list[dict[str, Any]], *packed: bytes) -> Any:
    body, length = _body(inputs, *packed)
    return decode(body, manifest, header_length=length).matrix


DTYPES = {"FP64": "<f8", "FP32": "<f4", "FP16": "<f2"} | {
    f"{kind}{bits}": f"<{kind[0].lower()}{bits // 8}"
    for kind in ("INT", "UINT")
    for bits in (8, 16, 32, 64)
}


@pytest.mark.parametrize(("datatype", "dtype"), DTYPES.items())
def test_understands_every_number(datatype: str, dtype: str) -> None:
    """Packed numbers of every type give the same writable float32 matrix."""
    packed = ROWS.astype(dtype).tobytes()
    matrix = _decode(NUMBERS, [_input(len(packed), [2, 3], datatype=datatype)], packed)
    assert matrix.tolist() == ROWS.tolist()
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous
    assert matrix.flags.writeable


def test_packed_truths_are_one_and_zero() -> None:
    """A byte for each."""
    matrix = _decode(NUMBERS, [_input(3, [1, 3], datatype="BOOL")], b"\1\0\1")
    assert matrix.tolist() == [[1, 0, 1]]


def test_packed_and_plain_inputs_may_be_mixed() -> None:
    """Inputs by name take their pieces in the order in which they are listed."""
    wood = b"\x03\0\0\0oak\0\0\0\0\x05\0\0\0\xc3\xa9b\xc3\xa9"
    height = struct.pack("<3e", 1, 2, 0.5)
    inputs = [_input(len(wood), [3], "wood", "BYTES"), _input(6, [3, 1], "height", "FP16")]
    expected: list[list[float]] = [[1, 1], [2, np.nan], [0.5, np.nan]]
    assert np.array_equal(_decode(WOODEN, inputs, wood, height), expected, equal_nan=True)
    inputs[1] = tensor([1, 2, 0.5], [3], "height")
    assert np.array_equal(_decode(WOODEN, inputs, wood), expected, equal_nan=True)


def test_a_nan_is_a_missing_value() -> None:
    """A NaN is taken where a value may be missing and refused, by name, anywhere else."""
    rows = np.array([[1, np.nan, 3]])
    inputs = [_input(24, [1, 3])]
    assert np.array_equal(_decode(GAPPED, inputs, rows.tobytes()), rows, equal_nan=True)
    for manifest, sent, feature in ((GAPPED, [np.nan, 1, 2], "a"), (NUMBERS, rows[0], "b")):
        with pytest.raises(RequestRefusedError, match=f"row 0: feature {feature} is NaN"):
            _decode(manifest, inputs, np.array(sent, "<f8").tobytes())


@pytest.mark.parametrize(
    ("datatype", "packed"),
    [("FP16", b"\x01\x7c"), ("FP32", b"\1\0\x80\x7f"), ("FP64", b"\1\0\0\0\0\0\xf0\x7f")],
)
def test_a_nan_that_signals_is_one(datatype: str, packed: bytes) -> None:
    """A NaN with other bits is a missing value as well, and nobody is warned of it."""
    inputs = [tensor([1], [1], "a"), tensor([2], [1], "c")]
    inputs.append(_input(len(packed), [1], "b", datatype))
    found = _decode(GAPPED, inputs, packed)
    assert np.array_equal(found, [[1, np.nan, 2]], equal_nan=True)


EIGHT = bytes(8)
REFUSED: dict[str, tuple[Any, str]] = {
    "too short": (([_input(16, [1, 3])], EIGHT * 2), "16 bytes came where shape [1, 3] of FP64"),
    "too long": (([_input(32, [1, 3])], EIGHT * 4), "32 bytes came where shape [1, 3] of FP64"),
    "longer than the body": (([_input(24, [1, 3])], EIGHT), "24 where 8 bytes are left"),
    "overlapping": (
        ([_input(8, [1], "a"), _input(8, [1], "b"), _input(8, [1], "c")], EIGHT * 2),
        "input c has binary_data_size 8 where 0 bytes are left",
    ),
    "negative": (([_input(-8, [1, 3])], EIGHT * 3), "binary_data_size -8"),
    "enormous": (([_input(2**70, [1, 3])], EIGHT * 3), "binary_data_size 1180591620717411303424"),
    "no number": (([_input("24", [1, 3])], EIGHT * 3), "Expected `int`, got `str`"),
    "left over": (([_input(24, [1, 3])], EIGHT * 4), "8 bytes follow the JSON"),
    "and data": (([_input(24, [1, 3], data=[1, 2, 3])], EIGHT * 3), "and `data`"),
    "infinite": (
        ([_input(24, [1, 3])], struct.pack("<3d", 1, np.inf, 2)),
        "row 0, feature b: inf",
    ),
    "infinite half": (
        ([_input(6, [1, 3], datatype="FP16")], struct.pack("<3e", 1, 2, -np.inf)),
        "row 0, feature c: -inf",
    ),
    "no truth": (([_input(3, [1, 3], datatype="BOOL")], b"\1\0\2"), "feature c: 2 is no BOOL"),
    "enormous shape": (([_input(24, [2**31, 3])], EIGHT * 3), "rows came and at most"),
    "plain data left over": (([tensor([1, 2, 3], [1, 3])], EIGHT), "8 bytes follow the JSON"),
    "neither": (([_input(None, [1, 3]) | {"parameters": {}}], b""), "there is no `data`"),
}


@pytest.mark.parametrize(("sent", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_lengths_that_lie_are_refused(sent: Any, says: str) -> None:
    """What is packed wrongly is refused with a sentence that says what is wrong."""
    with pytest.raises(RequestRefusedError) as refused:
        _decode(NUMBERS, *sent)
    assert says in str(refused.value)
    assert refused.value.status == (413 if "at most" in says else 400)


TEXTS = {
    "short length": (b"\x03\0\0", "too few"),
    "short text": (b"\x09\0\0\0oak!", "9 bytes, which are not there"),
    "second missing": (b"\x03\0\0\0oak\0", "the bytes end before text 1"),
    "too many": (b"\x03\0\0\0oak\0\0\0\0x", "1 bytes are left over"),
    "no text": (b"\x02\0\0\0\xff\xfe\0\0\0\0", "text 0 is not UTF-8"),
}


@pytest.mark.parametrize(("packed", "says"), TEXTS.values(), ids=TEXTS.keys())
def test_texts_that_lie_are_refused(packed: bytes, says: str) -> None:
    """Texts whose lengths do not fit are refused, as is what is no UTF-8."""
    inputs = [_input(len(packed), [2], "wood", "BYTES"), tensor([1, 2], [2], "height")]
    with pytest.raises(RequestRefusedError, match=says):
        _decode(WOODEN, inputs, packed)


def test_the_header_has_to_fit() -> None:
    """The header is a length within the body; without it no input can be packed."""
    assert header_length(None) is None
    assert header_length("17") == 17
    for text in ("", "x", "-5", "1.5", "0x10", "9" * 5000, "١"):  # noqa: RUF001 - a digit as well
        with pytest.raises(RequestRefusedError, match=HEADER_LENGTH):
            header_length(text)
    body, length = _body([_input(24, [1, 3])], EIGHT * 3)
    for wrong in (0, len(body) + 1, length - 1, length + 1):
        with pytest.raises(RequestRefusedError):
            decode(body, NUMBERS, header_length=wrong)
    with pytest.raises(RequestRefusedError, match=f"no header {HEADER_LENGTH}"):
        decode(body[:length], NUMBERS)


ASKED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, []),
    "all": ({"parameters": {"binary_data_output": True}}, ["probability", "label"]),
    "one": (
        {
            "outputs": [
                {"name": "label", "parameters": {"binary_data": True}},
                {"name": "probability"},
            ]
        },
        ["label"],
    ),
    "all but one": (
        {
            "parameters": {"binary_data_output": True},
            "outputs": [
                {"name": "probability"},
                {"name": "label", "parameters": {"binary_data": False}},
            ],
        },
        ["probability"],
    ),
}


@pytest.mark.parametrize(("question", "packed"), ASKED.values(), ids=ASKED.keys())
def test_answers_are_packed_when_asked_for(question: dict[str, Any], packed: list[str]) -> None:
    """Outputs that were asked for in that form follow the JSON, each with its size."""
    answer, tail = _answered(NUMBERS, question)
    found = {}
    for output in answer["outputs"]:
        if "parameters" in output:
            size = output["parameters"]["binary_data_size"]
            found[output["name"]], tail = tail[:size], tail[size:]
            assert "data" not in output
    assert list(found) == packed
    assert not tail
    expected = {"probability": struct.pack("<2d", 0.25, 0.75), "label": struct.pack("<2q", 0, 1)}
    assert found == {name: expected[name] for name in packed}


def test_labels_that_are_words_are_packed_as_texts() -> None:
    """A text in an answer stands behind its length in four bytes."""
    asked = {"outputs": [{"name": "label", "parameters": {"binary_data": True}}]}
    _, tail = _answered(replace(NUMBERS, labels=("no", "yes")), asked)
    assert tail == b"\x02\0\0\0no\x03\0\0\0yes"


def _answered(manifest: Manifest, question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    body, _ = _body([tensor([1] * 6, [2, 3])], **question)
    bundle = Bundle(manifest, model=None)  # type: ignore[arg-type]  # encoding asks no model
    encoded: EncodedAnswer = encode(bundle, "4", decode(body, manifest), np.array([0.25, 0.75]))
    length = len(encoded.body) if encoded.header_length is None else encoded.header_length
    answer: dict[str, Any] = json.loads(encoded.body[:length])
    return answer, encoded.body[length:]


@pytest.mark.asyncio
async def test_over_http(client: httpx.AsyncClient, boxes: LoadedVersion) -> None:
    """The header says where the JSON ends, in the request and in the answer; a wrong one is 400."""
    url = f"/v2/models/{boxes.name}/infer"
    packed = ROWS.astype("<f4").tobytes()
    asked = {"parameters": {"binary_data_output": True}}
    body, length = _body([_input(24, [2, 3], datatype="FP32")], packed, **asked)
    answer = await client.post(url, content=body, headers={HEADER_LENGTH: str(length)})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    head = int(answer.headers[HEADER_LENGTH])
    sizes = [
        one["parameters"]["binary_data_size"]
        for one in json.loads(answer.content[:head])["outputs"]
    ]
    assert sizes == [16, 16]
    assert np.frombuffer(answer.content[head : head + 16]).tolist() == [0.7, 0.7]
    for wrong in ("x", str(len(body) + 1)):
        refused = await client.post(url, content=body, headers={HEADER_LENGTH: wrong})
        assert refused.status_code == 400
        assert HEADER_LENGTH in refused.json()["error"]
    assert (await client.get("/v2")).json()["extensions"] == ["binary_tensor_data"]


@given(
    rows=st.lists(
        st.lists(
            st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3
        ),
        min_size=1,
        max_size=4,
    )
)
def test_packed_is_plain(rows: list[list[float]]) -> None:
    """The same numbers, as JSON, as rows or packed in either width, are the same matrix."""
    shape = [len(rows), 3]
    plain, _ = _body([tensor(rows, shape)])
    expected = decode(plain, NUMBERS).matrix
    as_rows = [dict(zip(NUMBERS.features, row, strict=True)) for row in rows]
    assert np.array_equal(decode(json.dumps({"rows": as_rows}).encode(), NUMBERS).matrix, expected)
    for datatype in ("FP64", "FP32"):
        packed = np.array(rows, DTYPES[datatype]).tobytes()
        matrix = _decode(NUMBERS, [_input(len(packed), shape, datatype=datatype)], packed)
        assert np.array_equal(matrix, expected)


SIZES = st.sampled_from([0, 4, 6, 8, 12, 24, -1, 2**63, None, "8"])
SENT = st.lists(
    st.builds(
        _input,
        SIZES,
        st.sampled_from([[1], [2], [1, 3], [2, 3], [0], [1, 1], []]),
        st.sampled_from(["x", "a", "b", "height", "wood"]),
        st.sampled_from([*DTYPES, "BYTES", "BOOL"]),
    ),
    max_size=3,
)


@pytest.mark.parametrize("manifest", [NUMBERS, GAPPED, WOODEN], ids=["numbers", "gaps", "woods"])
@given(inputs=SENT, packed=st.binary(max_size=32), shift=st.integers(-2, 2))
def test_any_bytes_give_a_matrix_or_a_refusal(
    manifest: Manifest, inputs: list[dict[str, Any]], packed: bytes, shift: int
) -> None:
    """Whatever the lengths and the bytes, a model gets numbers or the caller a 400 or 413."""
    width, status = len(manifest.features), 200
    matrix = np.zeros((1, width), np.float32)
    body, length = _body(inputs, packed)
    try:
        matrix = decode(body, manifest, header_length=length + shift).matrix
    except RequestRefusedError as refused:
        status = refused.status
    assert status in {200, 400, 413}
    assert matrix.shape == (len(matrix), width)
    assert not np.isinf(matrix).any()
