"""Each spelling of a value is answered alike: JSON, rows, packed, gRPC, the command."""

import json
import struct
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from serving import request
from serving.bundle import Layout
from serving.grpc import inference_pb2 as v2
from serving.models.holder import Holder, LoadedVersion
from serving.protocol.codecs import HEADER_LENGTH
from serving.values import notation as notations
from tests.serving.conftest import Open
from tests.serving.grpc_asked import Ask

FEATURES = ("amount", "member", "plan", "zone", "since")
LAYOUT = Layout(
    FEATURES,
    {"plan": ("caf\u00e9", "pro"), "zone": ("007", "1", "2")},
    ("amount", "plan"),
    {
        "amount": notations.Notation(thousands=",", currency="$", parentheses=True),
        "member": notations.Notation(boolean=True),
        "since": notations.Notation(date="%d-%b-%y"),
    },
    2,
)
PLAIN: list[Any] = [60_000.0, 1.0, "pro", "1", 13539.0]
SPELLINGS: dict[str, list[Any]] = {
    "amount": ["$60,000.00", "60000", "60,000", " $ 60,000.00 ", "6e4", 60_000],
    "member": ["true", "TRUE", "Yes", "1", "t", 1],
    "plan": [" pro ", "pro\u00a0"],
    "zone": ["1.0", " 1 ", 1, 1.0],
    "since": ["26-Jan-07", "26-JAN-07", "26-Jan-07 00:00:00Z", " 26-January-07", 13539],
}
OTHERS = [
    ("amount", "($60,000.00)", -60_000.0),
    ("amount", "\u2212$60,000.00", -60_000.0),
    ("amount", "\u2013\u200960,000 $", -60_000.0),
    ("amount", "$1,00,000", 100_000.0),
    ("plan", "cafe\u0301", "caf\u00e9"),
    ("zone", " 007", "007"),
    ("member", "No", 0.0),
    ("since", "25-Jan-07 12:00", 13538.5),
]


@pytest.fixture
def boxes(holder: Holder, open_bundle: Open) -> LoadedVersion:
    """Return a model to which every feature matters, held."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 5)) * [50_000, 1, 1, 1, 9_000]
    weights = np.array([1 / 50_000, 1, 1, 1, 1 / 9_000])
    model = make_pipeline(SimpleImputer(), LogisticRegression(C=1e-3, max_iter=10_000))
    model.fit(rows / [50_000, 1, 1, 1, 9_000], (rows @ weights > 0).astype(int))
    model[-1].coef_ = weights[None, :]
    held = LoadedVersion("boxes", "3", open_bundle(model, layout=LAYOUT, example=(tuple(PLAIN),)))
    holder.hold(held)
    return held


def tensor(feature: str, value: Any) -> dict[str, Any]:
    """Return one value as an input."""
    kind = {str: "BYTES", bool: "BOOL"}.get(type(value), "FP64")
    return {"name": feature, "shape": [1], "datatype": kind, "data": [value]}


def packed(row: Sequence[Any]) -> tuple[bytes, int]:
    """Return a row as packed inputs, and where their JSON ends."""
    inputs, tail = [], b""
    for feature, value in zip(FEATURES, row, strict=True):
        one = tensor(feature, value)
        text = value.encode() if isinstance(value, str) else b""
        data = struct.pack("<I", len(text)) + text if text else struct.pack("<d", value)
        del one["data"]
        inputs.append(one | {"parameters": {"binary_data_size": len(data)}})
        tail += data
    head = json.dumps({"inputs": inputs}).encode()
    return head + tail, len(head)


def message(row: Sequence[Any]) -> Any:
    """Return a row as a gRPC request."""
    inputs = []
    for feature, value in zip(FEATURES, row, strict=True):
        contents = v2.InferTensorContents()
        if isinstance(value, str):
            contents.bytes_contents.append(value.encode())
        else:
            contents.fp64_contents.append(value)
        kind = tensor(feature, value)["datatype"]
        inputs.append(
            v2.ModelInferRequest.InferInputTensor(
                name=feature, datatype=kind, shape=[1], contents=contents
            )
        )
    return v2.ModelInferRequest(model_name="boxes", inputs=inputs)


async def answers(client: httpx.AsyncClient, ask: Ask, row: Sequence[Any]) -> list[float]:
    """Return the probability of a row, asked in every way."""
    url = "/v2/models/boxes/infer"
    body, length = packed(row)
    asked: list[dict[str, Any]] = [
        {"json": {"inputs": [tensor(*one) for one in zip(FEATURES, row, strict=True)]}},
        {"json": {"rows": [list(row)]}},
        {"json": {"rows": [dict(zip(FEATURES, row, strict=True))]}},
        {"content": body, "headers": {HEADER_LENGTH: str(length)}},
    ]
    found = []
    for one in asked:
        answer = await client.post(url, **one)
        assert answer.status_code == 200, answer.text
        said = answer.json()
        by_row = [one["probability"] for one in said.get("rows", ())]
        found.append((by_row or said["outputs"][0]["data"])[0])
    contents = (await ask("ModelInfer", message(row))).outputs[0].contents
    return [*found, contents.fp64_contents[0]]


def changed(feature: str, value: Any) -> list[Any]:
    """Return the plain row with another spelling of one value."""
    return [value if one == feature else plain for one, plain in zip(FEATURES, PLAIN, strict=True)]


@pytest.mark.asyncio
async def test_each_spelling_is_answered_alike(
    client: httpx.AsyncClient, ask: Ask, boxes: LoadedVersion
) -> None:
    """In JSON, as rows, packed and over gRPC, to the bit."""
    del boxes
    (expected,) = set(await answers(client, ask, PLAIN))
    for feature, values in SPELLINGS.items():
        for value in values:
            row = changed(feature, value)
            assert set(await answers(client, ask, row)) == {expected}, (feature, value)
    for feature, text, value in OTHERS:
        plain = set(await answers(client, ask, changed(feature, value)))
        assert plain == set(await answers(client, ask, changed(feature, text)))
        assert plain != {expected}


@pytest.mark.asyncio
async def test_the_command_sends_texts_as_they_stand(
    client: httpx.AsyncClient, boxes: LoadedVersion
) -> None:
    """Amounts, dates and truths as the file has them; numbers too."""
    del boxes
    metadata = (await client.get("/v2/models/boxes")).json()
    assert metadata["parameters"]["notations"]["since"] == {"date": "%d-%b-%y"}
    found = []
    for line in ('"$60,000.00",yes,pro,1,26-Jan-07', "60000,1,pro,1.0,26-Jan-07"):
        row = request.row_values(metadata, line)
        body = request.request_body(request.by_name(metadata, row), row)
        answer = await client.post("/v2/models/boxes/infer", json=body)
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["outputs"][0]["data"][0])
    assert len(set(found)) == 1
    row = request.row_values(metadata, "much,yes,pro,1,26-Jan-07")
    body = request.request_body(request.by_name(metadata, row), row)
    refused = await client.post("/v2/models/boxes/infer", json=body)
    assert refused.status_code == 400
    assert "amount" in refused.json()["error"]
    assert "much" in refused.json()["error"]


@pytest.fixture(params=["caf\u00e9", "cafe\u0301"])
def own_name(
    boxes: LoadedVersion, holder: Holder, open_bundle: Open, request: pytest.FixtureRequest
) -> str:
    """Return the name that a model has for its first feature; older releases kept it as typed."""
    own = str(request.param)
    layout = Layout((own, *FEATURES[1:]), LAYOUT.categories, (own, "plan"), LAYOUT.notations, 2)
    bundle = open_bundle(boxes.bundle.model, layout=layout, example=(tuple(PLAIN),))
    holder.hold(LoadedVersion("boxes", "4", bundle))
    return own


@pytest.mark.asyncio
@pytest.mark.parametrize("typed", ["caf\u00e9", "cafe\u0301", " caf\u00e9 "])
async def test_a_feature_is_one_however_its_name_is_typed(
    client: httpx.AsyncClient, own_name: str, typed: str
) -> None:
    """As columns of files are; twice in one row it is refused."""
    names = (typed, *FEATURES[1:])
    inputs = [tensor(*one) for one in zip(names, PLAIN, strict=True)]
    by_name = dict(zip(names, PLAIN, strict=True))
    for asked in ({"inputs": inputs}, {"rows": [by_name, by_name]}):
        answer = await client.post("/v2/models/boxes/infer", json=asked)
        assert answer.status_code == 200, answer.text
    twice = {"rows": [by_name | {own_name: 1.0, f"{typed} ": 1.0}]}
    answer = await client.post("/v2/models/boxes/infer", json=twice)
    assert answer.status_code == 400


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [{"rows": [{"amont": 1}]}, {"inputs": [tensor("amont", 1.0)]}])
async def test_a_refusal_shows_which_texts_stand_for_numbers(
    client: httpx.AsyncClient, boxes: LoadedVersion, body: dict[str, Any]
) -> None:
    """Whoever has a file before them sends its amounts and dates as they are."""
    del boxes
    answer = await client.post("/v2/models/boxes/infer", json=body)
    assert answer.status_code == 400
    forms = "$1,234.5 for amount, true or false for member, 31-Dec-24 for since"
    assert f"any other, or texts such as {forms}" in answer.json()["error"]
