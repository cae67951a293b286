"""Decodes the JSON body of an infer request to a feature matrix, and encodes the answer.

Guarantees that whatever bytes come in, the outcome is a float32 matrix in the model's layout or a
`RequestRefusedError` with status 400 (413 for too many rows) whose sentence says what came and what
was expected. Pure: no I/O, and no state but what is prepared once for a model.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.bundle import Bundle, Layout, Manifest
from serving.protocol.answers import DecodedRequest, EncodedAnswer, answer_form
from serving.protocol.envelope import Envelope, read_envelope
from serving.protocol.in_binary import BinaryTensor
from serving.protocol.in_json import JsonTensor
from serving.protocol.parameters import CONTENT_TYPES, read_as
from serving.protocol.prepared import PreparedByManifest
from serving.protocol.rows import RowReader, SentRows
from serving.protocol.sentences import clip, listed, reason, refusal
from serving.protocol.tensors import Tensor, matrix
from serving.refusals import RequestRefusedError, quoted

MAX_ROWS = 10_000  # the default of SERVING_MAX_ROWS
HEADER_LENGTH = "Inference-Header-Content-Length"
_LONGEST_NUMBER = 12


_ROW_READERS = PreparedByManifest(lambda manifest: RowReader(manifest.layout))


def header_length(text: str | None) -> int | None:
    """Return the length that the header `Inference-Header-Content-Length` gives, if it is there.

    Raises RequestRefusedError with status 400 when it is no length.
    """
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < _LONGEST_NUMBER):
        raise RequestRefusedError(
            400,
            f"{HEADER_LENGTH} is {quoted(clip(text))}: it must be the length of the JSON in bytes",
        )
    return int(text)


def decode(
    body: bytes,
    manifest: Manifest,
    *,
    header_length: int | None = None,
    max_rows: int = MAX_ROWS,
) -> DecodedRequest:
    """Decode the body of an infer request for a model with this manifest.

    Takes either `rows`, objects by feature name or lists in feature order; or `inputs`: one tensor
    of shape [n] or [n, 1] for every feature, by name, of strings where it holds categories, or,
    where no feature does, one tensor of shape [n, F] in feature order under any name. A missing
    value is null. With `header_length`, the JSON is that many bytes and the data of inputs follow
    it, packed; there a missing value is NaN. Raises RequestRefusedError with status 400 for
    anything else, and 413 for more than `max_rows` rows.
    """
    layout = manifest.layout
    head, tail = _cut(body, header_length, layout)
    envelope = _envelope(head, layout)
    _require_heeded(envelope)
    if isinstance(envelope.rows, msgspec.UnsetType):
        sent = SentRows(matrix(_inputs(envelope, tail, layout), layout, max_rows), None)
    else:
        _require_nothing_left(tail, layout)
        sent = _ROW_READERS.of(manifest).read(bytes(envelope.rows), max_rows)
    outputs = chosen_outputs([output.name for output in envelope.outputs or ()], manifest)
    is_rows = isinstance(envelope.rows, msgspec.Raw)
    binary = _as_binary(envelope, outputs)
    return DecodedRequest(sent.matrix, outputs, envelope.id, is_rows, binary, sent.ids)


def encode(
    bundle: Bundle, version: str, request: DecodedRequest, scores: NDArray[np.float64]
) -> EncodedAnswer:
    """Encode the answer to a request by the model's scores of its rows."""
    form = answer_form(bundle.manifest)
    if request.is_rows:
        return form.rows(version, request, scores)
    return form.tensors(version, request, scores)


def chosen_outputs(names: Sequence[str], manifest: Manifest) -> tuple[str, ...]:
    """Return the outputs that a request asks for, all of them when it names none.

    Raises RequestRefusedError with status 400 for a name that is no output.
    """
    known = answer_form(manifest).names
    if not names:
        return known
    unknown = [name for name in names if name not in known]
    if unknown:
        raise RequestRefusedError(
            400, f"there is no output {listed(unknown)}; the outputs are {', '.join(known)}"
        )
    # Each once: otherwise a small request could ask for an answer of any size.
    return tuple(dict.fromkeys(names))


def _cut(body: bytes, length: int | None, layout: Layout) -> tuple[bytes, memoryview | None]:
    """Return the JSON of a body, and what follows it when a header said where it ends."""
    if length is None:
        return body, None
    if not 0 < length <= len(body):
        raise refusal(f"{HEADER_LENGTH} is {length} and the body has {len(body)} bytes", layout)
    return body[:length], memoryview(body)[length:]


def _envelope(body: bytes, layout: Layout) -> Envelope:
    try:
        envelope = read_envelope(body, most_inputs=len(layout.features))
    except (ValueError, RecursionError) as error:
        raise refusal(f"the body is not a V2 request: {reason(error)}", layout) from error
    has_rows = isinstance(envelope.rows, msgspec.Raw)
    if has_rows != isinstance(envelope.inputs, msgspec.UnsetType):
        amount = "both" if has_rows else "neither"
        raise refusal(f"the body has {amount} of `inputs` and `rows`", layout)
    return envelope


def _inputs(envelope: Envelope, tail: memoryview | None, layout: Layout) -> Sequence[Tensor]:
    """Return the inputs, each with its piece of what follows the JSON where it says so."""
    if not envelope.inputs:
        raise refusal("the request has no inputs", layout)
    rest, tensors = tail, list[Tensor]()
    for tensor in envelope.inputs:
        size = tensor.parameters.binary_data_size if tensor.parameters else None
        if not isinstance(size, int):
            tensors.append(_read(tensor, tensor))
            continue
        if rest is None or memoryview(tensor.data).nbytes or not 0 <= size <= len(rest):
            raise refusal(_no_piece(tensor, size, rest), layout)
        packed = BinaryTensor(tensor.name, tensor.shape, tensor.datatype, rest[:size])
        tensors.append(_read(packed, tensor))
        rest = rest[size:]
    _require_nothing_left(rest, layout)
    return tensors


def _read(tensor: Tensor, tensor_given: JsonTensor) -> Tensor:
    """Return the data of an input as its parameters say that they are to be read."""
    return (
        read_as(tensor, tensor_given.parameters.content_type) if tensor_given.parameters else tensor
    )


def _require_heeded(envelope: Envelope) -> None:
    """Refuse parameters that would change the answer and cannot be honoured."""
    if envelope.parameters and (problem := envelope.parameters.unheeded()):
        raise RequestRefusedError(400, f"the request {problem}")
    for tensor in envelope.inputs or ():
        if tensor.parameters and (problem := tensor.parameters.unheeded(CONTENT_TYPES)):
            raise RequestRefusedError(400, f"input {clip(tensor.name)} {problem}")
    for output in envelope.outputs or ():
        if output.parameters and (problem := output.parameters.unheeded()):
            raise RequestRefusedError(400, f"output {clip(output.name)} {problem}")


def _no_piece(tensor: JsonTensor, size: int, rest: memoryview | None) -> str:
    where = f"input {clip(tensor.name)} has binary_data_size {clip(size)}"
    if rest is None:
        return f"{where}, and the request no header {HEADER_LENGTH}"
    if memoryview(tensor.data).nbytes:
        return f"{where} and `data`; it can have one of them"
    return f"{where} where {len(rest)} bytes are left"


def _require_nothing_left(rest: memoryview | None, layout: Layout) -> None:
    if rest:
        raise refusal(f"{len(rest)} bytes follow the JSON that belong to no input", layout)


def _as_binary(envelope: Envelope, outputs: tuple[str, ...]) -> frozenset[str]:
    """Return the outputs that are to follow the answer's JSON, packed."""
    usual = bool(envelope.parameters and envelope.parameters.binary_data_output)
    if not envelope.outputs:
        return frozenset(outputs) if usual else frozenset()
    told = {
        output.name: output.parameters.binary_data
        for output in envelope.outputs
        if output.parameters and output.parameters.binary_data is not None
    }
    return frozenset(name for name in outputs if told.get(name, usual))
