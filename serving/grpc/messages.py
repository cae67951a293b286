"""Decodes messages of the gRPC protocol to a matrix, and encodes what a model says as a message.

Guarantees what `codecs` guarantees for JSON: a matrix in the model's layout, or a refusal.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from serving.bundle import Bundle, Layout, Manifest
from serving.grpc.inference_pb2 import (
    InferParameter,
    InferTensorContents,
    ModelInferRequest,
    ModelInferResponse,
)
from serving.protocol.answers import DecodedRequest, answer_form
from serving.protocol.codecs import MAX_ROWS, chosen_outputs
from serving.protocol.in_binary import BinaryTensor, decode_text, pack
from serving.protocol.parameters import (
    CONTENT_TYPES,
    PLAIN_CONTENT_TYPES,
    REFUSED,
    read_as,
    why_unheeded,
)
from serving.protocol.sentences import clip, refusal
from serving.protocol.tensors import Tensor, matrix
from serving.refusals import RequestRefusedError
from serving.values.datatypes import TEXT, TRUTH

_Asked = TypeVar("_Asked", bound=Message)
Parameters = Mapping[str, InferParameter]
_CONTENTS = {
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    **{f"INT{bits}": "int_contents" for bits in (8, 16, 32)},
    **{f"UINT{bits}": "uint_contents" for bits in (8, 16, 32)},
    TRUTH: "bool_contents",
    TEXT: "bytes_contents",
}
_DTYPES = {
    "fp32_contents": np.float32,
    "fp64_contents": np.float64,
    "int64_contents": np.int64,
    "uint64_contents": np.uint64,
    "int_contents": np.int32,
    "uint_contents": np.uint32,
    "bool_contents": np.bool_,
}
_MOST_DIMENSIONS = 8
_AT_ONCE = 2**15


@dataclass(frozen=True, slots=True)
class TypedTensor:
    """A tensor whose items stand in the message one by one."""

    name: str
    shape: list[int]
    datatype: str
    contents: InferTensorContents
    absent: ClassVar[str] = "NaN"

    def numbers(self, *, may_be_missing: bool) -> NDArray[Any]:
        """Return the numbers, flat; see Tensor."""
        del may_be_missing  # a NaN is judged where the features are known
        field, items = self._items()
        # In pieces, between which others run: making an array of a field holds Python's lock.
        pieces: list[NDArray[Any]] = [
            np.array(items[start : start + _AT_ONCE], dtype=_DTYPES[field])
            for start in range(0, len(items), _AT_ONCE)
        ]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def texts(self, *, may_be_missing: bool) -> list[str | None]:
        """Return the strings, flat; none is ever missing. See Tensor."""
        del may_be_missing
        return [decode_text(item, place) for place, item in enumerate(self._items()[1])]

    def _items(self) -> tuple[str, Any]:
        field = _CONTENTS.get(self.datatype)
        if field is None:
            raise ValueError(f"{self.datatype} can only come in `raw_input_contents`")
        others = [found.name for found, _ in self.contents.ListFields() if found.name != field]
        if others:
            raise ValueError(f"`{others[0]}` came where {self.datatype} stands in `{field}`")
        items = getattr(self.contents, field)
        expected = math.prod(self.shape)
        if len(items) != expected:
            raise ValueError(
                f"{len(items)} values came in `{field}` where shape {self.shape} needs {expected}"
            )
        return field, items


def parse_message(message_type: type[_Asked], packed: bytes | bytearray) -> _Asked:
    """Return the message that these bytes are; RequestRefusedError, 400, when they are none."""
    try:
        found: _Asked = message_type.FromString(packed)
    except DecodeError as error:
        raise RequestRefusedError(400, f"the bytes are no {message_type.__name__}") from error
    return found


def decode(
    message: ModelInferRequest, manifest: Manifest, max_rows: int = MAX_ROWS
) -> DecodedRequest:
    """Decode an infer request for a model with this manifest.

    Takes the tensors that `codecs.decode` takes, all of them typed or all of them raw; a missing
    value is NaN. Raises RequestRefusedError as that does.
    """
    layout = manifest.layout
    if not message.inputs:
        raise refusal("the request has no inputs", layout)
    _require_heeded(message)
    inputs = _raw(message, layout) if message.raw_input_contents else _typed(message)
    for tensor in inputs:
        if len(tensor.shape) > _MOST_DIMENSIONS or any(size < 0 for size in tensor.shape):
            shape = clip(list(tensor.shape[:_MOST_DIMENSIONS]))
            raise refusal(f"input {clip(tensor.name)} has shape {shape}", layout)
    rows = matrix(
        [_read(*pair) for pair in zip(inputs, message.inputs, strict=True)], layout, max_rows
    )
    outputs = chosen_outputs([output.name for output in message.outputs], manifest)
    binary = frozenset(outputs if message.raw_input_contents else ())
    return DecodedRequest(rows, outputs, message.id or None, binary=binary)


def encode(
    bundle: Bundle, version: str, request: DecodedRequest, scores: NDArray[np.float64]
) -> ModelInferResponse:
    """Return the answer to a request by the model's scores of its rows."""
    manifest = bundle.manifest
    form = answer_form(manifest)
    answer = ModelInferResponse(
        model_name=manifest.name, model_version=version, id=request.id or ""
    )
    for name, value in form.parameters.items():
        answer.parameters[name].double_param = value
    for name, datatype, values in form.outputs(request, scores):
        output = answer.outputs.add(name=name, datatype=datatype, shape=[len(values)])
        if request.binary:
            answer.raw_output_contents.append(pack(datatype, values))
        elif datatype == TEXT:
            output.contents.bytes_contents.extend(value.encode() for value in values)
        else:
            getattr(output.contents, _CONTENTS[datatype]).extend(values)
    return answer


def _require_heeded(message: ModelInferRequest) -> None:
    """Refuse parameters that would change the answer and cannot be honoured."""
    if problem := _unheeded(message.parameters, PLAIN_CONTENT_TYPES):
        raise RequestRefusedError(400, f"the request {problem}")
    for tensor in message.inputs:
        if problem := _unheeded(tensor.parameters, CONTENT_TYPES):
            raise RequestRefusedError(400, f"input {clip(tensor.name)} {problem}")
    for output in message.outputs:
        if problem := _unheeded(output.parameters, PLAIN_CONTENT_TYPES):
            raise RequestRefusedError(400, f"output {clip(output.name)} {problem}")


def _unheeded(parameters: Parameters, content_types: Sequence[str]) -> str | None:
    if not parameters:
        return None
    refused = (name for name in REFUSED if name in parameters and _value(parameters[name]))
    return why_unheeded(refused, _content_type(parameters), content_types)


def _content_type(parameters: Parameters) -> str | None:
    # Asking a map of messages for what it has not got puts it there.
    return parameters["content_type"].string_param or None if "content_type" in parameters else None


def _value(parameter: InferParameter) -> Any:
    """Return what a parameter holds, None where a dialect knows a type that this one does not."""
    held = parameter.WhichOneof("parameter_choice")
    return None if held is None else getattr(parameter, held)


def _read(tensor: Tensor, message: ModelInferRequest.InferInputTensor) -> Tensor:
    """Return the data of an input as its parameters say that they are to be read."""
    return read_as(tensor, _content_type(message.parameters))


def _typed(message: ModelInferRequest) -> list[Tensor]:
    return [
        TypedTensor(tensor.name, list(tensor.shape), tensor.datatype, tensor.contents)
        for tensor in message.inputs
    ]


def _raw(message: ModelInferRequest, layout: Layout) -> list[Tensor]:
    pieces = message.raw_input_contents
    if len(pieces) != len(message.inputs):
        raise refusal(
            f"{len(message.inputs)} inputs came with {len(pieces)} `raw_input_contents`", layout
        )
    # MLServer's client puts contents without a value beside the raw ones.
    both = [tensor.name for tensor in message.inputs if tensor.contents.ByteSize()]
    if both:
        raise refusal(f"input {clip(both[0])} has `contents` beside `raw_input_contents`", layout)
    return [
        BinaryTensor(tensor.name, list(tensor.shape), tensor.datatype, memoryview(piece))
        for tensor, piece in zip(message.inputs, pieces, strict=True)
    ]
