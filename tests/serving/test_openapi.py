"""The document says the truth: what is accepted fits its schemas, and so does every answer."""

import json
from typing import Any

import jsonschema_rs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bundle import Bundle, Layout, Manifest
from serving.models.holder import LoadedVersion
from serving.protocol import openapi, schemas
from serving.protocol.codecs import decode, encode
from serving.refusals import RequestRefusedError
from tests.serving.tensors_sent import tensor

LAYOUTS = {
    "numbers": Layout(("height", "width")),
    "gaps": Layout(("height", "width"), missing=("width",)),
    "woods": Layout(("height", "wood"), {"wood": ("ash", "oak")}, missing=("wood",)),
    "one": Layout(("height",)),
    "truths": Layout(("height", "wood"), {"wood": ("False", "True")}, missing=("wood",)),
}


def _manifest(layout: Layout, labels: tuple[str, str] = ("0", "1")) -> Manifest:
    return Manifest("boxes", "constant", layout, 0.5, labels, data_version=1)


def _plain(schema: Any) -> Any:
    """Return a schema of OpenAPI 3.0 in words that JSON Schema knows."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _plain(value) for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") else plain


def _validator(schema: dict[str, Any]) -> Any:
    return jsonschema_rs.Draft4Validator(_plain(schema))


QUESTIONS = {
    name: _validator(schemas.question(_manifest(layout))) for name, layout in LAYOUTS.items()
}
NUMBERS = st.sampled_from([0, 1.5, -3, None, "oak", True, 1e39, 2.0])
NAMES = st.sampled_from(["height", "width", "wood", "x"])
PARAMETERS: st.SearchStrategy[Any] = st.sampled_from(
    [None, {}, {"content_type": "np"}, {"content_type": "x"}, {"binary_data": True}, 5, []]
)
TENSORS = st.fixed_dictionaries(
    {
        "name": NAMES,
        "shape": st.sampled_from([[1], [2], [1, 2], [2, 1], [1, 1], [0, 2], [1.0, 2], [-1]]),
        "datatype": st.sampled_from(["FP64", "FP16", "INT8", "BYTES", "BOOL"]),
        "data": st.lists(NUMBERS | st.lists(NUMBERS, max_size=2), max_size=2),
    },
    optional={"parameters": PARAMETERS},
)
MORE = {
    "id": st.sampled_from([None, "r", 5]),
    "outputs": st.sampled_from(
        [None, [], [{"name": "label"}], [{"name": "odds"}], [{"name": "label", "parameters": 5}]]
    ),
    "parameters": st.sampled_from([None, {}, {"binary_data_output": None}, {"a": 1}, 5]),
    "other": st.just(1),
}
ROWS = st.lists(
    st.dictionaries(NAMES, NUMBERS, max_size=3) | st.lists(NUMBERS, max_size=3), max_size=2
)
BY_NAME = st.lists(NUMBERS, min_size=4, max_size=4).map(
    lambda values: [
        tensor(values[:2], [2], "height"),
        tensor(values[2:], [2, 1], "wood", "BOOL" if values[0] == 0 else "BYTES"),
    ]
)
SENT = st.fixed_dictionaries(
    {}, optional={"rows": ROWS, "inputs": st.lists(TENSORS, max_size=2) | BY_NAME, **MORE}
) | st.builds(
    lambda rows, more: {"rows": rows, **more}, ROWS, st.fixed_dictionaries({}, optional=MORE)
)


@pytest.mark.parametrize("name", LAYOUTS)
@given(sent=SENT)
def test_what_is_accepted_fits_the_schema(name: str, sent: dict[str, Any]) -> None:
    """No request that the server takes is ruled out by the schema of requests."""
    try:
        decode(json.dumps(sent).encode(), _manifest(LAYOUTS[name]))
        accepted = True
    except RequestRefusedError:
        accepted = False
    assert QUESTIONS[name].is_valid(sent) or not accepted


FITTING: dict[str, list[dict[str, Any]]] = {
    "numbers": [
        {"rows": [{"height": 1, "width": 2}]},
        {"rows": [[1, 2]], "id": None, "outputs": None, "parameters": None},
        {"inputs": [tensor([1, 2, 3, 4], [2, 2])], "id": "r", "outputs": [{"name": "label"}]},
        {"inputs": [tensor([[1, 2]], [1, 2]) | {"parameters": {"content_type": "np"}}]},
        {"inputs": [tensor([1], [1], "width", "INT8"), tensor([[1]], [1, 1], "height")]},
        {"inputs": [tensor([True], [1], "width", "BOOL"), tensor([1], [1], "height")]},
    ],
    "gaps": [{"rows": [[1, None]]}, {"inputs": [tensor([1, None], [1, 2])]}],
    "woods": [
        {"rows": [{"height": 1, "wood": None}]},
        {"inputs": [tensor([1], [1], "height"), tensor([None], [1], "wood", "BYTES")]},
    ],
    "truths": [
        {"inputs": [tensor([1], [1], "height"), tensor(["True"], [1], "wood", "BYTES")]},
        {"inputs": [tensor([1, 2], [2], "height"), tensor([True, None], [2], "wood", "BOOL")]},
        {"inputs": [tensor([1, 2], [2], "height"), tensor([1, False], [2], "wood", "BOOL")]},
    ],
    "one": [{"inputs": [tensor([1, 2], [2], "height")]}, {"inputs": [tensor([1], [1, 1])]}],
}


@pytest.mark.parametrize("labels", [("0", "1"), ("no", "yes")], ids=["numbers", "words"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_answers_fit_the_schema(name: str, labels: tuple[str, str]) -> None:
    """Every usual request fits its schema, is taken, and is answered as the schema says."""
    manifest = _manifest(LAYOUTS[name], labels)
    bundle = Bundle(
        manifest,
        model=None,  # type: ignore[arg-type]  # encoding asks for the threshold, not the model
    )
    answers = _validator(schemas.answer(manifest))
    for sent in FITTING[name]:
        assert QUESTIONS[name].is_valid(sent)
        for more in ({}, {"parameters": {"binary_data_output": True}}):
            request = decode(json.dumps(sent | more).encode(), manifest)
            encoded = encode(bundle, "4", request, np.full(len(request.matrix), 0.75))
            assert answers.is_valid(json.loads(encoded.body[: encoded.header_length]))


def test_every_status_and_key_is_declared() -> None:
    """Infer declares all that can come; a key is asked for everywhere but by probes."""
    manifest = _manifest(LAYOUTS["woods"])
    held = LoadedVersion(
        "boxes and more",
        "3",
        Bundle(manifest, model=None),  # type: ignore[arg-type]  # nobody asks it
    )
    document = openapi.document([held], needs_key=True)
    infer = document["paths"]["/v2/models/boxes%20and%20more/infer"]["post"]
    statuses = {"200", "400", "401", "404", "413", "415", "500", "504"}
    statuses |= {"408", "429", "431", "503"}
    assert infer["responses"].keys() == statuses
    assert {"application/json", "application/octet-stream"} == infer["requestBody"][
        "content"
    ].keys()
    assert document["security"] == [{"bearer": []}, {"basic": []}, {"header": []}]
    keys = document["components"]["securitySchemes"]
    assert {scheme["type"] for scheme in keys.values()} == {"http", "apiKey"}
    assert document["paths"]["/v2/health/live"]["get"]["security"] == []
    assert openapi.document([held])["security"] == []


def test_every_reference_leads_somewhere() -> None:
    """What the document refers to is in it."""
    held = LoadedVersion(
        "boxes",
        "3",
        Bundle(_manifest(LAYOUTS["gaps"]), model=None),  # type: ignore[arg-type]  # nobody asks it
    )
    document = openapi.document([held])
    references = set(_references(document))
    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def _references(part: Any) -> list[str]:
    if isinstance(part, list):
        return [found for inner in part for found in _references(inner)]
    if not isinstance(part, dict):
        return []
    own = [part["$ref"]] if "$ref" in part else []
    return own + [found for inner in part.values() for found in _references(inner)]
