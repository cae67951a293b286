"""V2 JSON to a feature matrix, and probabilities back to V2 JSON.

Guarantees that whatever bytes come in, the outcome is a float32 matrix in the model's layout or a
`RequestRefusedError` with status 400 whose sentence says what came and what was expected. Pure: no
I/O and no state.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from include.bundle import Bundle, Layout, Manifest
from serving.protocol.tensors import TEXT, Tensor, listed, matrix, reason, refusal
from serving.refusals import RequestRefusedError

OUTPUTS = ("probability", "label")


class _Output(msgspec.Struct):
    name: str


class _Body(msgspec.Struct):
    inputs: list[Tensor]
    id: str | None = None
    outputs: list[_Output] | None = None


class Request(msgspec.Struct, frozen=True):
    """A decoded request."""

    matrix: NDArray[np.float32]
    """Shape (n, features), float32, C order; finite but for what is missing or unknown."""
    outputs: tuple[str, ...]
    """The outputs to send, in the order asked for."""
    id: str | None


_DECODER = msgspec.json.Decoder(_Body)


def decode(body: bytes, manifest: Manifest) -> Request:
    """Decode the JSON body of an infer request for a model with this manifest.

    Takes one tensor of shape [n] or [n, 1] for every feature, by name, of strings where it holds
    categories; or, where no feature does, one tensor of shape [n, F] in feature order under any
    name. A missing value is null. Raises RequestRefusedError with status 400 for anything else.
    """
    envelope = _envelope(body, manifest.layout)
    rows = matrix(envelope.inputs, manifest.layout)
    return Request(rows, _chosen(envelope.outputs), envelope.id)


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
    return TEXT, (negative, positive)


def _is_whole(label: str) -> bool:
    digits = label.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < len(str(2**63))):
        return False
    return str(int(label)) == label


def _envelope(body: bytes, layout: Layout) -> _Body:
    try:
        envelope = _DECODER.decode(body)
    except (ValueError, RecursionError) as error:
        raise refusal(f"the body is not a V2 request: {reason(error)}", layout) from error
    if not envelope.inputs:
        raise refusal("the request has no inputs", layout)
    return envelope


def _chosen(outputs: list[_Output] | None) -> tuple[str, ...]:
    if not outputs:
        return OUTPUTS
    # Each once: otherwise a small request could ask for an answer of any size.
    names = tuple(dict.fromkeys(output.name for output in outputs))
    unknown = [name for name in names if name not in OUTPUTS]
    if unknown:
        raise RequestRefusedError(
            400, f"there is no output {listed(unknown)}; the outputs are {', '.join(OUTPUTS)}"
        )
    return names
