"""gRPC messages to matrices: texts and gaps, and whatever else a message can say."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bundle import Layout, Manifest, encode
from serving.grpc import inference_pb2 as v2
from serving.grpc.messages import decode, parse_message
from serving.refusals import RequestRefusedError

WOODEN = Manifest(
    "wooden",
    "constant",
    Layout(("height", "wood"), {"wood": ("ash", "oak")}, ("height",)),
    0.5,
    ("no", "yes"),
    data_version=1,
)


def _wooden(*, raw: bool) -> Any:
    message = v2.ModelInferRequest(model_name="wooden")
    height = message.inputs.add(name="height", datatype="FP32", shape=[2])
    wood = message.inputs.add(name="wood", datatype="BYTES", shape=[2, 1])
    if raw:
        message.raw_input_contents.append(struct.pack("<2f", 1.5, np.nan))
        message.raw_input_contents.append(b"\x03\0\0\0oak\x04\0\0\0teak")
    else:
        height.contents.fp32_contents.extend([1.5, np.nan])
        wood.contents.bytes_contents.extend([b"oak", b"teak"])
    return message


@pytest.mark.parametrize("raw", [False, True], ids=["typed", "raw"])
def test_categories_and_gaps(*, raw: bool) -> None:
    """Categories are texts, and a NaN is a missing value where one may be missing."""
    found = decode(_wooden(raw=raw), WOODEN).matrix
    expected = encode(WOODEN.layout, [(1.5, "oak"), (None, "teak")])
    assert np.array_equal(found, expected, equal_nan=True)


SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, -1, 2**62]), max_size=3)
DATATYPES = st.sampled_from(["FP32", "FP64", "FP16", "INT8", "INT64", "BYTES", "BOOL", "what"])
CONTENTS = st.fixed_dictionaries(
    {},
    optional={
        "fp32_contents": st.lists(st.floats(width=32), max_size=6),
        "fp64_contents": st.lists(st.floats(), max_size=6),
        "int_contents": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=6),
        "bytes_contents": st.lists(st.binary(max_size=4), max_size=3),
    },
)
MESSAGES = st.builds(
    lambda tensors, raw: v2.ModelInferRequest(
        inputs=[
            {"name": name, "shape": shape, "datatype": kind, "contents": contents}
            if contents
            else {"name": name, "shape": shape, "datatype": kind}
            for name, shape, kind, contents in tensors
        ],
        raw_input_contents=raw,
    ),
    st.lists(
        st.tuples(st.sampled_from(["x", "height", "wood"]), SHAPES, DATATYPES, CONTENTS),
        max_size=3,
    ),
    st.lists(st.binary(max_size=24), max_size=3),
)
NUMBERS = Manifest("boxes", "constant", Layout(("a", "b", "c")), 0.5, ("0", "1"), data_version=1)


@pytest.mark.parametrize("manifest", [NUMBERS, WOODEN], ids=["numbers", "woods"])
@given(
    packed=MESSAGES.map(lambda message: message.SerializeToString())
    | st.binary(max_size=60)
    | st.binary(max_size=40).map(lambda tail: _wooden(raw=True).SerializeToString() + tail)
)
def test_any_bytes_give_a_matrix_or_a_refusal(manifest: Manifest, packed: bytes) -> None:
    """Whatever the bytes, a model gets a matrix of its layout or the caller a 400 or 413."""
    width, status = len(manifest.features), 200
    matrix = np.zeros((1, width), np.float32)
    try:
        matrix = decode(parse_message(v2.ModelInferRequest, packed), manifest).matrix
    except RequestRefusedError as refused:
        status = refused.status
    assert status in {200, 400, 413}
    assert matrix.dtype == np.float32
    assert matrix.shape == (len(matrix), width)
    assert not np.isinf(matrix).any()
