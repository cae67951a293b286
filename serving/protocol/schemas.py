"""What a request to one model may look like and what comes back, as schemas of OpenAPI 3.0.

Guarantees that a schema takes whatever the server takes: a request that does not fit is refused.
The other way round does not hold, for no schema can say that shape and data agree.
"""

from typing import Any

from serving.bundle import Layout, Manifest
from serving.bundle.problems import problem_named
from serving.protocol.answers import answer_form
from serving.protocol.parameters import CONTENT_TYPES, PLAIN_CONTENT_TYPES
from serving.values.datatypes import FLOATS, INTEGERS, TEXT, TRUTH
from serving.values.spelling import SPELLING, truth_words

_LARGEST = 3.4028234663852886e38
_TEXT = {"type": "string"}
_TRUTH = {"type": "boolean"}
_COUNT = {"type": "integer", "minimum": 1}
_FLAG = {"type": "boolean", "nullable": True}


def question(manifest: Manifest) -> dict[str, Any]:
    """Return the schema of an infer request's JSON."""
    layout = manifest.layout
    more = {
        "id": _TEXT | {"nullable": True},
        "outputs": _list(
            _object({"name": _outputs(manifest), "parameters": _parameters("binary_data")}, "name")
        )
        | {"minItems": 0, "nullable": True},
        "parameters": _parameters("binary_data_output"),
    }
    rows = _object({"rows": _rows(layout), **more}, "rows") | {"not": {"required": ["inputs"]}}
    inputs = _object({"inputs": _inputs(layout), **more}, "inputs")
    return {"anyOf": [rows, inputs | {"not": {"required": ["rows"]}}]}


def answer(manifest: Manifest) -> dict[str, Any]:
    """Return the schema of an answer's JSON."""
    columns = problem_named(manifest.problem).columns(manifest)
    values = {output.name: dict(output.schema) for output in columns.outputs}
    datatypes = list(dict.fromkeys(output.datatype for output in columns.outputs))
    told = {"model_name": _TEXT, "model_version": _TEXT, "id": _TEXT}
    output = _object(
        {
            "name": _outputs(manifest),
            "shape": _list(_COUNT) | {"maxItems": 1},
            "datatype": {"type": "string", "enum": datatypes},
            "data": _list({"anyOf": [*values.values()]}),
            "parameters": _object({"binary_data_size": {"type": "integer"}}),
        },
        "name",
        "shape",
        "datatype",
    )
    stated: dict[str, Any] = {name: {"type": "number"} for name in columns.parameters}
    tensors = {"outputs": _list(output), "parameters": _object(stated, *stated)}
    rows = {**stated, "rows": _list(_object(values))}
    return {
        "anyOf": [
            _object(told | tensors, "model_name", "model_version", "outputs", "parameters"),
            _object(told | rows, "model_name", "model_version", *stated, "rows"),
        ]
    }


def _rows(layout: Layout) -> dict[str, Any]:
    values = {feature: _value(layout, feature) for feature in layout.features}
    if layout.id is not None:
        kinds: list[dict[str, Any]] = [_TEXT, {"type": "number"}, _TRUTH]
        values = {layout.id: {"anyOf": kinds, "nullable": True}} | values
    by_name = _object(values, *layout.features) | {"additionalProperties": False}
    width = len(layout.features)
    in_order = {
        "type": "array",
        "minItems": width,
        "maxItems": width,
        "items": {"anyOf": _kinds(layout)},
    }
    return {"anyOf": [_list(by_name), _list(in_order)]}


def _inputs(layout: Layout) -> dict[str, Any]:
    width = len(layout.features)
    columns = [
        _tensor(_column(layout, feature), 1) | {"title": feature} for feature in layout.features
    ]
    by_name = {
        "type": "array",
        "minItems": width,
        "maxItems": width,
        "items": {"anyOf": columns},
    }
    if layout.categories:
        return by_name
    number = _value(layout, next(iter(layout.missing), ""))
    matrix = _tensor({"name": _TEXT, "datatype": _numeric(), "data": _data(_or_truth(number))}, 2)
    return {"anyOf": [_list(matrix) | {"maxItems": 1}, by_name]}


def _column(layout: Layout, feature: str) -> dict[str, Any]:
    value = _value(layout, feature)
    if feature not in layout.categories:
        texts = [TEXT] if feature in layout.notations else []
        datatype, value = _numeric(*texts), _or_truth(value)
    elif layout.spelling >= SPELLING:
        datatype, value = _numeric(TEXT), _or_truth(value)
    elif truth_words(layout.categories[feature]) is None:
        datatype = {"type": "string", "enum": [TEXT]}
    else:
        datatype = {"type": "string", "enum": [TEXT, TRUTH]}
        value = _or_truth({"anyOf": [value, {"type": "integer", "minimum": 0, "maximum": 1}]})
    return {
        "name": {"type": "string", "enum": [feature]},
        "datatype": datatype,
        "data": _data(value),
    }


def _tensor(fields: dict[str, Any], dimensions: int) -> dict[str, Any]:
    packed = {
        "binary_data_size": {"type": "integer", "minimum": 0},
        "content_type": _content_type(CONTENT_TYPES),
    }
    told = {
        "shape": {"type": "array", "minItems": dimensions, "maxItems": 2, "items": _COUNT},
        "parameters": _object(packed) | {"nullable": True},
    }
    return _object(fields | told, "name", "shape", "datatype")


def _data(item: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [_list(item), _list(_list(item))]}


def _numeric(*more: str) -> dict[str, Any]:
    return {"type": "string", "enum": [*FLOATS, *INTEGERS, TRUTH, *more]}


def _or_truth(number: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [number, {"type": "boolean"}]}


def _content_type(allowed: tuple[str, ...]) -> dict[str, Any]:
    return {"type": "string", "enum": list(allowed), "nullable": True}


def _value(layout: Layout, feature: str) -> dict[str, Any]:
    kind: dict[str, Any] = {"type": "number", "minimum": -_LARGEST, "maximum": _LARGEST}
    if feature in layout.categories:
        kind = dict(_TEXT) if layout.spelling < SPELLING else {"anyOf": [_TEXT, kind, _TRUTH]}
    elif feature in layout.notations:
        kind = {"anyOf": [kind, _TEXT, _TRUTH]}
    return kind | {"nullable": True} if feature in layout.optional else kind


def _kinds(layout: Layout) -> list[dict[str, Any]]:
    """Return every kind of value that stands in a row, each once."""
    kinds: list[dict[str, Any]] = []
    for feature in layout.features:
        kind = _value(layout, feature)
        if kind not in kinds:
            kinds.append(kind)
    return kinds


def _outputs(manifest: Manifest) -> dict[str, Any]:
    return {"type": "string", "enum": list(answer_form(manifest).names)}


def _parameters(flag: str) -> dict[str, Any]:
    read = {flag: _FLAG, "content_type": _content_type(PLAIN_CONTENT_TYPES)}
    return _object(read) | {"nullable": True}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": items}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "properties": properties}
    return found | {"required": list(required)} if required else found
