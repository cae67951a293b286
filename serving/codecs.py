"""V2 JSON to a feature matrix, and probabilities back to V2 JSON.

Guarantees that whatever bytes come in, the outcome is a finite float32 matrix in the model's
column order or a `RequestRefusedError` with status 400 whose sentence says what came and what was
expected: a model never sees a value that the caller did not send. Pure: no I/O and no state.
"""

import math
import re
from collections import Counter
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from include.bundle import Bundle, Manifest
from serving.refusals import RequestRefusedError

OUTPUTS = ("probability", "label")
_FLOATS = ("FP64", "FP32")
_INTEGERS = {
    f"{kind}{bits}": np.iinfo(f"{kind.lower()}{bits}")
    for kind in ("INT", "UINT")
    for bits in (8, 16, 32, 64)
}
_LARGEST = float(np.finfo(np.float32).max)
_CLIP = 60
_SHOWN = 3

_Dimension = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class _Input(msgspec.Struct):
    name: str
    shape: list[_Dimension]
    datatype: str
    # Raw, because whether the numbers come flat or nested is only known from the shape.
    data: msgspec.Raw


class _Output(msgspec.Struct):
    name: str


class _Body(msgspec.Struct):
    inputs: list[_Input]
    id: str | None = None
    outputs: list[_Output] | None = None


class Request(msgspec.Struct, frozen=True):
    """A decoded request."""

    matrix: NDArray[np.float32]
    """Shape (n, features), float32, C order, finite."""
    outputs: tuple[str, ...]
    """The outputs to send, in the order asked for."""
    id: str | None


_DECODER = msgspec.json.Decoder(_Body)
_FLAT = msgspec.json.Decoder(list[float])
_NESTED_START = re.compile(rb"\s*\[\s*\[")
_NESTED = msgspec.json.Decoder(list[list[float]])


def decode(body: bytes, manifest: Manifest) -> Request:
    """Decode the JSON body of an infer request for a model with this manifest.

    Takes one tensor of shape [n, F] in feature order under any name, or one tensor of shape [n] or
    [n, 1] for every feature, by name. Raises RequestRefusedError with status 400 for anything else.
    """
    envelope = _envelope(body, manifest)
    matrix = _matrix(envelope.inputs, manifest)
    return Request(matrix, _chosen(envelope.outputs), envelope.id)


def encode(
    bundle: Bundle, version: str, request: Request, probability: NDArray[np.float64]
) -> bytes:
    """Encode the answer to a request; `probability` has shape (n,), of the positive label."""
    manifest = bundle.manifest
    datatype, labels = label_values(manifest)
    tensors = {
        "probability": ("FP64", probability.tolist()),
        "label": (datatype, [labels[side] for side in bundle.label(probability)]),
    }
    answer: dict[str, Any] = {"model_name": manifest.name, "model_version": version}
    if request.id is not None:
        answer["id"] = request.id
    answer["outputs"] = [
        {"name": name, "shape": [len(probability)], "datatype": kind, "data": data}
        for name in request.outputs
        for kind, data in [tensors[name]]
    ]
    answer["parameters"] = {"threshold": manifest.threshold}
    return msgspec.json.encode(answer)


def label_values(manifest: Manifest) -> tuple[str, tuple[int | str, int | str]]:
    """Return the V2 datatype of the label output and both labels as they go over the wire.

    INT64 when both labels are whole numbers written the plain way, so that "01" stays text.
    """
    negative, positive = manifest.labels
    if _is_whole(negative) and _is_whole(positive):
        return "INT64", (int(negative), int(positive))
    return "BYTES", (negative, positive)


def _is_whole(label: str) -> bool:
    digits = label.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < len(str(2**63))):
        return False
    return str(int(label)) == label


def _envelope(body: bytes, manifest: Manifest) -> _Body:
    try:
        envelope = _DECODER.decode(body)
    except (ValueError, RecursionError) as error:
        raise _refusal(f"the body is not a V2 request: {_reason(error)}", manifest) from error
    if not envelope.inputs:
        raise _refusal("the request has no inputs", manifest)
    return envelope


def _matrix(inputs: list[_Input], manifest: Manifest) -> NDArray[np.float32]:
    features = manifest.features
    first = inputs[0]
    is_whole = first.shape[1:] == [len(features)]
    if len(inputs) == 1 and (is_whole or first.name not in features):
        if not is_whole:
            raise _refusal(f"input {_clip(first.name)} has shape {_clip(first.shape)}", manifest)
        values = _numbers(first, manifest).reshape(first.shape)
    else:
        values = _columns(inputs, manifest)
    return np.ascontiguousarray(values, dtype=np.float32)


def _columns(inputs: list[_Input], manifest: Manifest) -> NDArray[np.float64]:
    by_name = {tensor.name: tensor for tensor in inputs}
    _require_features([tensor.name for tensor in inputs], manifest)
    columns = [_numbers(_column(by_name[name], manifest), manifest) for name in manifest.features]
    lengths = {len(column): name for column, name in zip(columns, manifest.features, strict=True)}
    if len(lengths) > 1:
        found = ", ".join(f"{_clip(name)} has {rows} rows" for rows, name in lengths.items())
        raise _refusal(f"the inputs differ in length: {_clip(found)}", manifest)
    return np.column_stack(columns)


def _require_features(names: list[str], manifest: Manifest) -> None:
    seen, known = Counter(names), set(manifest.features)
    problems = {
        "unknown feature names": [name for name in seen if name not in known],
        "missing features": [name for name in manifest.features if name not in seen],
        "features sent twice": [name for name, times in seen.items() if times > 1],
    }
    for problem, found in problems.items():
        if found:
            raise _refusal(f"{len(found)} {problem}: {_list(found)}", manifest)


def _column(tensor: _Input, manifest: Manifest) -> _Input:
    if tensor.shape and tensor.shape[1:] in ([], [1]):
        return tensor
    raise _refusal(
        f"input {_clip(tensor.name)} has shape {_clip(tensor.shape)}; "
        "an input for one feature has shape [n] or [n, 1]",
        manifest,
    )


def _numbers(tensor: _Input, manifest: Manifest) -> NDArray[np.float64]:
    """Return the flat numbers of a tensor, refused unless they are what its shape and type say."""
    where = f"input {_clip(tensor.name)}"
    if tensor.datatype not in _FLOATS and tensor.datatype not in _INTEGERS:
        raise _refusal(f"{where} has datatype {_clip(tensor.datatype)}", manifest)
    if 0 in tensor.shape:
        raise _refusal(f"{where} is an empty batch: it has shape {_clip(tensor.shape)}", manifest)
    try:
        numbers = _flatten(tensor)
    except (ValueError, RecursionError) as error:
        raise _refusal(
            f"{where} has data that cannot be used: {_reason(error)}", manifest
        ) from error
    values = np.array(numbers, dtype=np.float64)
    _require_in_range(values, tensor, manifest)
    return values


def _flatten(tensor: _Input) -> list[float]:
    expected = math.prod(tensor.shape)
    if not _NESTED_START.match(memoryview(tensor.data)):
        numbers = _FLAT.decode(tensor.data)
    else:
        rows = _NESTED.decode(tensor.data)
        if len(tensor.shape) == 1:
            raise ValueError(f"the data are nested where shape {tensor.shape} is flat")
        wrong = [len(row) for row in rows if len(row) != tensor.shape[1]]
        if wrong:
            raise ValueError(
                f"a row has {wrong[0]} numbers where shape {tensor.shape} says otherwise"
            )
        numbers = [number for row in rows for number in row]
    if len(numbers) != expected:
        raise ValueError(f"{len(numbers)} numbers came where shape {tensor.shape} needs {expected}")
    return numbers


def _require_in_range(values: NDArray[np.float64], tensor: _Input, manifest: Manifest) -> None:
    bad = ~(np.abs(values) <= _LARGEST)
    rule = "is not a number that 32-bit floats can hold"
    limits = _INTEGERS.get(tensor.datatype)
    if limits is not None and not bad.any():
        bad = (values != np.floor(values)) | (values < limits.min) | (values > limits.max)
        rule = f"is no {tensor.datatype}"
    if bad.any():
        position = int(np.argmax(bad))
        width = math.prod(tensor.shape[1:])
        feature = manifest.features[position % width] if width > 1 else tensor.name
        raise _refusal(
            f"input {_clip(tensor.name)}, row {position // width}, feature {_clip(feature)}: "
            f"{values[position]:g} {rule}",
            manifest,
        )


def _chosen(outputs: list[_Output] | None) -> tuple[str, ...]:
    if not outputs:
        return OUTPUTS
    # Each once: otherwise a small request could ask for an answer of any size.
    names = tuple(dict.fromkeys(output.name for output in outputs))
    unknown = [name for name in names if name not in OUTPUTS]
    if unknown:
        raise RequestRefusedError(
            400, f"there is no output {_list(unknown)}; the outputs are {', '.join(OUTPUTS)}"
        )
    return names


def _refusal(sentence: str, manifest: Manifest) -> RequestRefusedError:
    count = len(manifest.features)
    return RequestRefusedError(
        400,
        f"{sentence}. Expected one input of shape [n, {count}] with datatype FP64, FP32, INT or "
        f"UINT (8 to 64 bits) and finite numbers in the order {_list(manifest.features)}, or one "
        f"input of shape [n] or [n, 1] for each of these names.",
    )


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _list(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(_clip(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, ... ({len(names)} in all)"


def _clip(value: object) -> str:
    text = str(value)
    return text if len(text) <= _CLIP else f"{text[:_CLIP]}..."
