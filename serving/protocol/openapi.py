"""The OpenAPI document of what is loaded now: real names, real shapes, a real row to send.

Version 3.0 of the format, because that is what the bundled Swagger UI draws.
"""

from typing import Any
from urllib.parse import quote

from include.bundle import Layout, Value, stand_in
from serving import VERSION
from serving.models.holder import Held
from serving.protocol.answers import OUTPUTS, label_values
from serving.protocol.metadata import INPUT
from serving.protocol.sentences import TEXT

_FEATURES_SHOWN = 12
_ERROR = {"$ref": "#/components/schemas/Error"}


def document(loaded: list[Held]) -> dict[str, Any]:
    """Return the document for these models, as JSON-able values."""
    paths: dict[str, Any] = {
        "/v2": _get("server", "Server metadata"),
        "/v2/health/live": _get("server", "The process answers"),
        "/v2/health/ready": _get("server", "At least one champion is loaded", 503),
    }
    for held in loaded:
        root = f"/v2/models/{quote(held.name, safe='')}"
        paths |= _model_paths(root, held)
        paths |= _model_paths(f"{root}/versions/{held.version}", held)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Ratchet",
            "version": VERSION,
            "description": "Champions of the registry, served over the Open Inference Protocol V2.",
        },
        "paths": paths,
        "components": {"schemas": {"Error": _object({"error": {"type": "string"}}, ["error"])}},
    }


def _model_paths(root: str, held: Held) -> dict[str, Any]:
    return {
        root: _get(held.name, f"Metadata of {held.name}", 404, 503),
        f"{root}/ready": _get(held.name, f"{held.name} answers, and in which version", 404, 503),
        f"{root}/infer": {"post": _infer(held)},
    }


def _infer(held: Held) -> dict[str, Any]:
    return {
        "tags": [held.name],
        "summary": f"Score rows with version {held.version} of {held.name}",
        "description": _what_to_send(held.bundle.manifest.layout),
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _request(), "examples": _examples(held)}},
        },
        "responses": {
            "200": _answer("Probabilities of the positive label, and labels", _response(held)),
            **_errors(400, 404, 413, 503),
        },
    }


def _what_to_send(layout: Layout) -> str:
    names = _names(layout.features)
    if not layout.categories:
        form = f"One tensor of shape [n, {len(layout.features)}] in the order {names}; or one "
        form += "tensor of shape [n] for each feature, by name."
    else:
        form = f"One tensor of shape [n] for each of the features {names}, by name: with datatype "
        form += f"{TEXT} and strings for {_names(tuple(layout.categories))}, and numbers for any "
        form += "other. A category that the model does not know counts as missing."
    return form + (f" May be null: {_names(layout.missing)}." if layout.missing else "")


def _names(features: tuple[str, ...]) -> str:
    shown = ", ".join(features[:_FEATURES_SHOWN])
    more = f", ... ({len(features)} in all)" if len(features) > _FEATURES_SHOWN else ""
    return shown + more


def _request() -> dict[str, Any]:
    tensor = _object(
        {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "datatype": {"type": "string"},
            "data": {"type": "array", "items": {}},
        },
        ["name", "shape", "datatype", "data"],
    )
    output = _object({"name": {"type": "string", "enum": list(OUTPUTS)}}, ["name"])
    return _object(
        {
            "id": {"type": "string"},
            "inputs": {"type": "array", "items": tensor, "minItems": 1},
            "outputs": {"type": "array", "items": output},
        },
        ["inputs"],
    )


def _response(held: Held) -> dict[str, Any]:
    label = "integer" if label_values(held.bundle.manifest)[0] == "INT64" else "string"
    number_or_label = {"oneOf": [{"type": "number"}, {"type": label}]}
    tensor = _object(
        {
            "name": {"type": "string", "enum": list(OUTPUTS)},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "datatype": {"type": "string"},
            "data": {"type": "array", "items": number_or_label if label == "string" else {}},
        },
        ["name", "shape", "datatype", "data"],
    )
    return _object(
        {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": tensor},
            "parameters": {"type": "object"},
        },
        ["model_name", "model_version", "outputs"],
    )


def _examples(held: Held) -> dict[str, Any]:
    manifest = held.bundle.manifest
    layout = manifest.layout
    row = list(manifest.example[0] if manifest.example else stand_in(layout))
    by_name = [
        _tensor(feature, [1], TEXT if feature in layout.categories else "FP64", [value])
        for feature, value in zip(layout.features, row, strict=True)
    ]
    examples = {"by_name": {"summary": "One row by feature name", "value": {"inputs": by_name}}}
    if layout.categories:
        return examples
    matrix = _tensor(INPUT, [1, len(row)], "FP64", row)
    return {"matrix": {"summary": "One row as a matrix", "value": {"inputs": [matrix]}}} | examples


def _tensor(name: str, shape: list[int], datatype: str, data: list[Value]) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


def _get(tag: str, summary: str, *errors: int) -> dict[str, Any]:
    responses = {"200": _answer("As the summary says", {"type": "object"}), **_errors(*errors)}
    return {"get": {"tags": [tag], "summary": summary, "responses": responses}}


def _errors(*statuses: int) -> dict[str, Any]:
    return {
        str(status): _answer("A sentence that says what is wrong", _ERROR) for status in statuses
    }


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required}
