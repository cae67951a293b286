"""What stands around the data of a JSON request.

Guarantees that a large body is gone through once: its data are cut out before the rest is decoded
and put back unread. Whatever does not look like the usual request is decoded whole.
"""

import re
from contextlib import suppress

import msgspec

from serving.protocol.in_json import NESTED_START, JsonTensor
from serving.protocol.parameters import OutputParameters, RequestParameters

# Below this, cutting costs as much as it saves.
_WORTH_CUTTING_BYTES = 2**14
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


_DECODER = msgspec.json.Decoder(Envelope)


def read_envelope(body: bytes) -> Envelope:
    """Return the request that a body holds; ValueError or RecursionError when it holds none."""
    if len(body) >= _WORTH_CUTTING_BYTES:
        envelope = _around_its_data(body)
        if envelope is not None:
            return envelope
    return _DECODER.decode(body)


def _around_its_data(body: bytes) -> Envelope | None:
    """Return the request if all of its data are in one place, else None.

    The body is valid just when both the piece that is cut out and what is left are; the piece is
    judged when its numbers are read.
    """
    start, end = _place_of_data(body)
    left = body[:start] + _PLACEHOLDER + body[end:]
    # A backslash could spell the key in a second way.
    if end <= start or b"\\" in left:
        return None
    with suppress(ValueError, RecursionError):
        envelope = _DECODER.decode(left)
        if (
            isinstance(envelope.inputs, list)
            and len(envelope.inputs) == 1
            and bytes(envelope.inputs[0].data) == _PLACEHOLDER
        ):
            envelope.inputs[0].data = msgspec.Raw(body[start:end])
            return envelope
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
