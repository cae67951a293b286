"""Parameters that would change an answer: honoured or refused by name, over REST and gRPC alike."""

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bundle import Layout, Manifest
from serving.grpc import inference_pb2 as v2
from serving.grpc import messages
from serving.protocol import codecs
from serving.protocol.answers import DecodedRequest
from serving.refusals import RequestRefusedError
from tests.serving.tensors_sent import tensor

LAYOUT = Layout(("age", "paid", "plan"), {"plan": ("basic", "plus", "pro")}, ("age", "plan"))
MANIFEST = Manifest("plans", "constant", LAYOUT, 0.5, ("0", "1"), data_version=1)
Parameters = dict[str, Any]
Ask = Callable[..., DecodedRequest]


def _rest(
    request: Parameters | None = None,
    plan: Parameters | None = None,
    label: Parameters | None = None,
    texts: list[str] | None = None,
) -> DecodedRequest:
    inputs = [
        tensor([30], [1], "age"),
        tensor([True], [1], "paid", "BOOL"),
        tensor(texts or ["pro"], [1], "plan", "BYTES") | {"parameters": plan},
    ]
    outputs = [{"name": "label", "parameters": label}]
    sent = {"inputs": inputs, "outputs": outputs, "parameters": request}
    return codecs.decode(json.dumps(sent).encode(), MANIFEST)


def _grpc(
    request: Parameters | None = None,
    plan: Parameters | None = None,
    label: Parameters | None = None,
    texts: list[str] | None = None,
) -> DecodedRequest:
    message = v2.ModelInferRequest()
    age = message.inputs.add(name="age", datatype="FP64", shape=[1])
    age.contents.fp64_contents.append(30)
    paid = message.inputs.add(name="paid", datatype="BOOL", shape=[1])
    paid.contents.bool_contents.append(True)
    last = message.inputs.add(name="plan", datatype="BYTES", shape=[1])
    last.contents.bytes_contents.extend(text.encode() for text in texts or ["pro"])
    output = message.outputs.add(name="label")
    for told, values in ((message, request), (last, plan), (output, label)):
        for name, value in (values or {}).items():
            _set(told.parameters[name], value)
    return messages.decode(message, MANIFEST)


def _set(parameter: v2.InferParameter, value: Any) -> None:
    if isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, int):
        parameter.int64_param = value
    elif value is not None:
        parameter.string_param = value


WAYS = pytest.mark.parametrize("ask", [_rest, _grpc], ids=["rest", "grpc"])
REFUSED: dict[str, tuple[dict[str, Parameters], str]] = {
    "request datetime": ({"request": {"content_type": "datetime"}}, "the request has content_type"),
    "request base64": ({"request": {"content_type": "base64"}}, "it may be np, pd, str, or left"),
    "request sequence": ({"request": {"sequence_id": 3}}, "the request has the parameter sequence"),
    "request sequence by name": ({"request": {"sequence_id": "a"}}, "keeps nothing from one"),
    "input datetime": ({"plan": {"content_type": "datetime"}}, "input plan has content_type date"),
    "input pd_json": ({"plan": {"content_type": "pd_json"}}, "content_type pd_json, which cannot"),
    "input memory": (
        {"plan": {"shared_memory_region": "r"}},
        "input plan has the parameter shared",
    ),
    "output base64": ({"label": {"content_type": "base64"}}, "output label has content_type base"),
    "output memory": ({"label": {"shared_memory_region": "r"}}, "output label has the parameter"),
    "output classes": ({"label": {"classification": 2}}, "has no list of classes"),
    "output class count": ({"label": {"class_count": 2}}, "label has the parameter class_count"),
}


@WAYS
@pytest.mark.parametrize(("given_", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_honoured_is_refused(
    ask: Ask, given_: dict[str, Parameters], says: str
) -> None:
    """With 400 and a sentence that says whose parameter it is and why."""
    with pytest.raises(RequestRefusedError) as refused:
        ask(**given_)
    assert refused.value.status == 400
    assert says in str(refused.value)


IGNORED: dict[str, dict[str, Parameters]] = {
    "nothing": {},
    "hints": {"request": {"priority": 1, "timeout": 5, "note": "mine", "headers": "x"}},
    "codecs": {"request": {"content_type": "pd"}, "plan": {"content_type": "str"}},
    "arrays": {"request": {"content_type": "np"}, "plan": {"content_type": "np"}},
    "output codec": {"label": {"content_type": "np"}},
    "no sequence": {"request": {"sequence_id": 0, "sequence_start": False}},
    "no classes": {"label": {"classification": 0}},
    "no memory": {"plan": {"shared_memory_region": "", "shared_memory_offset": 0}},
}


@WAYS
@pytest.mark.parametrize("given_", IGNORED.values(), ids=IGNORED.keys())
def test_what_changes_nothing_is_taken(ask: Ask, given_: dict[str, Parameters]) -> None:
    """Hints, notes, the codecs that say what the datatype says, and what means "no"."""
    assert ask(**given_).matrix.tolist() == [[30, 1, 2]]


@WAYS
@given(text=st.text(max_size=20))
def test_base64_is_the_text_that_it_stands_for(ask: Ask, text: str) -> None:
    """Whatever text: in base64 it is the same category, or the same unknown one."""
    coded = base64.b64encode(text.encode()).decode()
    plain = ask(texts=[text]).matrix
    matrix = ask(plan={"content_type": "base64"}, texts=[coded]).matrix
    assert np.array_equal(matrix, plain, equal_nan=True)
    pro = ask(plan={"content_type": "base64"}, texts=["cHJv"]).matrix
    assert pro.tolist() == [[30, 1, 2]]


@WAYS
@pytest.mark.parametrize("text", ["pro", "cHJ", "cHJv\n", "//79/A==", "é"])
def test_what_is_no_base64_is_refused(ask: Ask, text: str) -> None:
    """Neither guessed nor taken for an unknown category; nor are bytes that are no text."""
    with pytest.raises(
        RequestRefusedError, match="input plan has data that cannot be used: text 0"
    ):
        ask(plan={"content_type": "base64"}, texts=[text])


@pytest.mark.parametrize("content_type", ["base64", "str"])
def test_a_codec_of_texts_needs_texts(content_type: str) -> None:
    """Numbers that are said to be texts are refused, for one of the two is wrong."""
    sent = tensor([1, 2], [1, 2]) | {"parameters": {"content_type": content_type}}
    manifest = Manifest("n", "constant", Layout(("a", "b")), 0.5, ("0", "1"), data_version=1)
    with pytest.raises(RequestRefusedError, match="which goes with datatype BYTES"):
        codecs.decode(json.dumps({"inputs": [sent]}).encode(), manifest)


NUMBERS = Manifest(
    "numbers", "constant", Layout(("a", "b"), missing=("b",)), 0.5, ("0", "1"), data_version=1
)


@pytest.mark.parametrize(
    ("data", "row"),
    [
        ([True, False], [1, 0]),
        ([[False, True]], [0, 1]),
        ([1, 0], [1, 0]),
        ([True, 0], [1, 0]),
        ([True, None], [1, np.nan]),
    ],
)
def test_truths_are_one_and_zero(data: list[Any], row: list[float]) -> None:
    """As JSON's own words or as numbers, flat or nested, with a gap where one may be."""
    sent = {"inputs": [tensor(data, [1, 2], datatype="BOOL")]}
    matrix = codecs.decode(json.dumps(sent).encode(), NUMBERS).matrix
    assert np.array_equal(matrix, [row], equal_nan=True)


@pytest.mark.parametrize(
    "words", [("False", "True"), ("true", "false"), ("FALSE", "TRUE"), ("0", "1")]
)
def test_truths_are_the_categories_that_stand_for_them(words: tuple[str, str]) -> None:
    """A column of truths that was trained on as text may be asked as truths, packed or not."""
    layout = Layout(("a",), {"a": words}, ("a",))
    manifest = Manifest("words", "constant", layout, 0.5, ("0", "1"), data_version=1)
    yes, no = (words.index(word) for word in sorted(words, key=str.lower, reverse=True))
    sent = {"inputs": [tensor([True, False, None], [3], "a", "BOOL")]}
    matrix = codecs.decode(json.dumps(sent).encode(), manifest).matrix[:, 0]
    assert np.array_equal(matrix, [yes, no, np.nan], equal_nan=True)
    message = v2.ModelInferRequest(raw_input_contents=[b"\1\0"])
    message.inputs.add(name="a", datatype="BOOL", shape=[2])
    assert messages.decode(message, manifest).matrix[:, 0].tolist() == [yes, no]


@pytest.mark.parametrize("words", [("off", "on"), ("True",), ("False", "True", "other")])
def test_truths_are_no_other_categories(words: tuple[str, ...]) -> None:
    """Which of them would be true is not guessed."""
    layout = Layout(("a",), {"a": words})
    manifest = Manifest("words", "constant", layout, 0.5, ("0", "1"), data_version=1)
    sent = {"inputs": [tensor([True], [1], "a", "BOOL")]}
    with pytest.raises(RequestRefusedError, match="datatype BOOL where BYTES"):
        codecs.decode(json.dumps(sent).encode(), manifest)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([True, 2], "row 0, feature b: 2 is no BOOL"),
        ([0.5, 1], "row 0, feature a: 0.5 is no BOOL"),
        ([None, True], "row 0: feature a is null"),
        (["true", True], "got `str`"),
    ],
)
def test_what_is_no_truth_is_refused(data: list[Any], says: str) -> None:
    """Nothing is rounded to a truth."""
    sent = {"inputs": [tensor(data, [1, 2], datatype="BOOL")]}
    with pytest.raises(RequestRefusedError, match=says):
        codecs.decode(json.dumps(sent).encode(), NUMBERS)
