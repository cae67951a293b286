"""Decodes a JSON request except for its data.

Guarantees that a large body is scanned once: the data are cut out before the rest is decoded, and
put back undecoded. A request that does not have the usual form is decoded as a whole.
"""

import re
from contextlib import suppress

import msgspec

from serving.protocol.in_json import NESTED_START, JsonTensor, Shape
from serving.protocol.parameters import OutputParameters, RequestParameters
from serving.protocol.single_keys import require_single
from serving.protocol.slices import SLICE_BYTES, at_most
from serving.values.units import KIB

# Below this, cutting costs as much as it saves.
_WORTH_CUTTING_BYTES = 16 * KIB
_KEY = b'"data"'
_START = re.compile(rb'"data"\s*:\s*(?=\[)')
_PLACEHOLDER = b"[]"


class Output(msgspec.Struct):
    """An output that is asked for."""

    name: str
    parameters: OutputParameters | None = None


class Envelope(msgspec.Struct):
    """A request, its inputs or rows still as they came."""

    inputs: list[JsonTensor] | msgspec.UnsetType = msgspec.UNSET
    rows: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    id: str | None = None
    outputs: list[Output] | None = None
    parameters: RequestParameters | None = None


def _with_raw(struct: type[msgspec.Struct], *raw: str) -> type[msgspec.Struct]:
    """Return a struct like another, in which these fields stay as they came."""
    fields = [
        (one.name, msgspec.Raw | msgspec.UnsetType, msgspec.UNSET)
        if one.name in raw
        else (one.name, one.type)
        if one.required
        else (one.name, one.type, one.default)
        for one in msgspec.structs.fields(struct)
    ]
    return msgspec.defstruct(struct.__name__, fields, kw_only=True, gc=False)


_DECODER = msgspec.json.Decoder(Envelope)
_LARGE = msgspec.json.Decoder(_with_raw(Envelope, "inputs", "outputs"))
_LARGE_TENSORS = msgspec.json.Decoder(list[_with_raw(JsonTensor, "shape")])  # type: ignore[misc]
_SHAPE = msgspec.json.Decoder(Shape)
_OUTPUTS = msgspec.json.Decoder(list[Output])
_MOST_OUTPUTS = 64
"""There are two, and each may be asked for again."""
_LONGEST_SHAPE_BYTES = 1024


def read_envelope(body: bytes, most_inputs: int) -> Envelope:
    """Return the request that a body holds; ValueError or RecursionError when it holds none.

    A large body with more inputs than can be meant is refused before they are all decoded, and so
    is one in which a key stands twice around the data; in rows that is for their reader to see.
    """
    envelope = None
    if len(body) >= _WORTH_CUTTING_BYTES:
        envelope = _around_its_data(body, most_inputs)
    if envelope is None:
        envelope = _decoded(body, most_inputs)
        _require_single_keys(body, envelope)
    return envelope


def _require_single_keys(body: bytes, envelope: Envelope) -> None:
    """Raise ValueError where a key stands twice; the keys of parameters are not all counted."""
    fields = sum(one is not None for one in (envelope.id, envelope.outputs, envelope.parameters))
    fields += len(envelope.outputs or ())
    data = []
    if isinstance(envelope.rows, msgspec.Raw):
        fields += 1
        data.append(bytes(envelope.rows))
    if isinstance(envelope.inputs, list):
        fields += 1
        for tensor in envelope.inputs:
            piece = bytes(tensor.data)
            fields += 3 + bool(piece) + (tensor.parameters is not None)
            data.append(piece)
    require_single(body, data, fields)


def _decoded(body: bytes, most_inputs: int) -> Envelope:
    if len(body) <= SLICE_BYTES:
        return _DECODER.decode(body)
    fields = msgspec.structs.asdict(_LARGE.decode(body))
    lists = {name: fields.pop(name) for name in ("inputs", "outputs")}
    if lists["inputs"] is not msgspec.UNSET:
        tensors = at_most(bytes(lists["inputs"]), _LARGE_TENSORS, most_inputs)
        fields["inputs"] = [_tensor(one) for one in tensors]
    if lists["outputs"] is not msgspec.UNSET and bytes(lists["outputs"]) != b"null":
        fields["outputs"] = at_most(bytes(lists["outputs"]), _OUTPUTS, _MOST_OUTPUTS)
    return Envelope(**fields)


def _tensor(large: msgspec.Struct) -> JsonTensor:
    fields = msgspec.structs.asdict(large)
    shape = fields.pop("shape")
    if shape is msgspec.UNSET:
        raise ValueError("an input has no `shape`")
    if memoryview(shape).nbytes > _LONGEST_SHAPE_BYTES:
        raise ValueError("the `shape` of an input is longer than any shape")
    return JsonTensor(**fields, shape=_SHAPE.decode(shape))


def _around_its_data(body: bytes, most_inputs: int) -> Envelope | None:
    """Return the request if all of its data are in one place, else None.

    The body is valid just when both the piece that is cut out and what is left are; the piece is
    judged when its numbers are read.
    """
    start, end = _place_of_data(body)
    left = body[:start] + _PLACEHOLDER + body[end:]
    # A backslash could spell the key in a second way.
    if end <= start or b"\\" in left:
        return None
    envelope = None
    with suppress(ValueError, RecursionError):
        envelope = _decoded(left, most_inputs)
    tensor = None if envelope is None else _placeholder(envelope)
    if envelope is None or tensor is None:
        return None
    _require_single_keys(left, envelope)
    tensor.data = msgspec.Raw(body[start:end])
    return envelope


def _placeholder(envelope: Envelope) -> JsonTensor | None:
    """Return the one input whose data were cut out; None where there are more inputs, or none."""
    inputs = envelope.inputs
    if isinstance(inputs, list) and len(inputs) == 1 and bytes(inputs[0].data) == _PLACEHOLDER:
        return inputs[0]
    return None


def _place_of_data(body: bytes) -> tuple[int, int]:
    """Return where the one list of data begins and ends.

    The end is not behind the start when there is none.
    """
    found = _START.match(body, max(body.find(_KEY), 0))
    if found is None or body.find(_KEY, found.end()) >= 0:
        return 0, 0
    start = found.end()
    if not NESTED_START.match(body, start):
        return start, body.find(b"]", start) + 1
    # Numbers hold no quote, and behind a rectangle of them no two lists end at once before one:
    # searching from there is quick, where searching forwards stops at every row.
    quote = body.find(b'"', start)
    return start, body.rfind(b"]]", start, quote if quote >= 0 else len(body)) + 2
