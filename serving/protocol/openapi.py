"""The OpenAPI document of what is loaded now: real names, real shapes, a real row to send.

Guarantees that it declares every status that an answer can have. Version 3.0 of the format, because
that is what the bundled Swagger UI draws.
"""

from typing import Any
from urllib.parse import quote

from serving import VERSION
from serving.bundle import Layout, Value, stand_in
from serving.models.holder import LoadedVersion
from serving.protocol import schemas
from serving.protocol.codecs import HEADER_LENGTH
from serving.protocol.metadata import INPUT
from serving.values.datatypes import TEXT

_FEATURES_SHOWN = 12
_ERROR = {"$ref": "#/components/schemas/Error"}
_REFUSALS = (400, 401, 404, 413, 415, 500, 504)
OF_CONNECTIONS = (408, 429, 431, 503)
"""What any request may be answered before its address is known."""
_STATUSES = {
    400: "The request cannot be understood or scored; the sentence names the input",
    401: "A key is needed, and none that is valid came",
    404: "There is no such model or version",
    408: "The head or the body did not come in time",
    413: "The body or the number of rows is over the limit",
    415: "The body is compressed in a way that is not read; the sentence names Content-Encoding",
    429: "Too much is waiting, or comes from this address; ask again after `Retry-After` seconds",
    431: "The head of the request is too long",
    500: "The server failed on this request; its log has the traceback",
    503: "The model is not loaded, the server is stopping, or every connection is busy",
    504: "The answer took longer than a request may",
}
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "The key as the password, under any name",
    },
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def document(loaded: list[LoadedVersion], *, needs_key: bool = False) -> dict[str, Any]:
    """Return the document for these models, as JSON-able values."""
    components: dict[str, Any] = {
        "Error": {
            "type": "object",
            "properties": {"error": {"type": "string"}},
            "required": ["error"],
        }
    }
    paths: dict[str, Any] = {
        "/v2": _get("server", "Server metadata", 401),
        "/v2/health/live": _open(_get("server", "The process answers")),
        "/v2/health/ready": _open(_get("server", "At least one champion is loaded", 503)),
    }
    for place, held in enumerate(loaded):
        root = f"/v2/models/{quote(held.name, safe='')}"
        components[f"Question{place}"] = schemas.question(held.bundle.manifest)
        components[f"Answer{place}"] = schemas.answer(held.bundle.manifest)
        paths |= _model_paths(root, held, place)
        paths |= _model_paths(f"{root}/versions/{held.version}", held, place)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Ratchet",
            "version": VERSION,
            "description": "Champions of the registry, served over the Open Inference Protocol V2.",
        },
        "security": [{name: []} for name in _KEYS] if needs_key else [],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _KEYS},
    }


def _model_paths(root: str, held: LoadedVersion, place: int) -> dict[str, Any]:
    tag = held.name
    return {
        root: _get(tag, f"Metadata of {held.name}", 401, 404, 503),
        f"{root}/ready": _get(tag, f"{held.name} answers, and in which version", 401, 404, 503),
        f"{root}/infer": {"post": _infer(held, place)},
    }


def _infer(held: LoadedVersion, place: int) -> dict[str, Any]:
    asked = {"$ref": f"#/components/schemas/Question{place}"}
    answered = {"$ref": f"#/components/schemas/Answer{place}"}
    summary = "What the model says of each row"
    length = {"schema": {"type": "integer", "minimum": 1}}
    return {
        "tags": [held.name],
        "summary": f"Score rows with version {held.version} of {held.name}",
        "description": _what_to_send(held.bundle.manifest.layout),
        "parameters": [
            {
                "name": HEADER_LENGTH,
                "in": "header",
                "description": "How long the JSON is, when packed data follow it",
                **length,
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": asked, "examples": _examples(held)},
                **_BYTES,
            },
        },
        "responses": {
            "200": _answer(summary, answered, _BYTES) | {"headers": {HEADER_LENGTH: length}},
            **_errors(*_REFUSALS),
        },
    }


def _what_to_send(layout: Layout) -> str:
    names = _names(layout.features)
    form = "Either `rows`, objects by feature name or lists in feature order; or `inputs`: "
    if not layout.categories:
        form += f"one tensor of shape [n, {len(layout.features)}] in the order {names}; or one "
        form += "tensor of shape [n] for each feature, by name."
    else:
        form += f"one tensor of shape [n] for each of the features {names}, by name: with datatype "
        form += f"{TEXT} and strings for {_names(tuple(layout.categories))}, and numbers for any "
        form += "other. A category that the model does not know counts as missing."
    if layout.missing:
        form += f" May be null: {_names(layout.missing)}."
    if layout.id is not None:
        form += f" A row that is an object may have its id, {layout.id}: it is logged, no more."
    return (
        f"{form} Packed tensors: the JSON, with `binary_data_size` among an input's parameters, "
        f"then the data; {HEADER_LENGTH} says how long the JSON is."
    )


def _names(features: tuple[str, ...]) -> str:
    shown = ", ".join(features[:_FEATURES_SHOWN])
    more = f", ... ({len(features)} in all)" if len(features) > _FEATURES_SHOWN else ""
    return shown + more


def _examples(held: LoadedVersion) -> dict[str, Any]:
    manifest = held.bundle.manifest
    layout = manifest.layout
    row = list(manifest.example[0] if manifest.example else stand_in(layout))
    by_name = [
        _tensor(feature, [1], TEXT if feature in layout.categories else "FP64", [value])
        for feature, value in zip(layout.features, row, strict=True)
    ]
    rows = {"rows": [dict(zip(layout.features, row, strict=True))]}
    examples = {
        "rows": {"summary": "One row", "value": rows},
        "by_name": {"summary": "One row by feature name", "value": {"inputs": by_name}},
    }
    if layout.categories:
        return examples
    matrix = {"inputs": [_tensor(INPUT, [1, len(row)], "FP64", row)]}
    return examples | {"matrix": {"summary": "One row as a matrix", "value": matrix}}


def _tensor(name: str, shape: list[int], datatype: str, data: list[Value]) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


def _get(tag: str, summary: str, *errors: int) -> dict[str, Any]:
    responses = {"200": _answer("As the summary says", {"type": "object"}), **_errors(*errors)}
    return {"get": {"tags": [tag], "summary": summary, "responses": responses}}


def _open(path: dict[str, Any]) -> dict[str, Any]:
    """Return the path as one that a probe may ask without a key."""
    return {method: operation | {"security": []} for method, operation in path.items()}


def _errors(*statuses: int) -> dict[str, Any]:
    every = sorted({*statuses, *OF_CONNECTIONS})
    answers = {str(status): _answer(_STATUSES[status], _ERROR) for status in every}
    seconds = {"schema": {"type": "integer", "minimum": 0}}
    answers["429"] |= {"headers": {"Retry-After": seconds}}
    return answers


def _answer(
    description: str, schema: dict[str, Any], others: dict[str, Any] | None = None
) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}} | (others or {})
    return {"description": description, "content": content}
