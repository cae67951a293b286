"""The parts that all connections of a gRPC server share, and the frames of every answer."""

from dataclasses import dataclass
from urllib.parse import quote

from serving.connections.limits import ConnectionLimits
from serving.connections.open_connections import Connections
from serving.grpc import frames
from serving.grpc.call import CallFinder, grpc_status
from serving.grpc.fields import untraced_block
from serving.grpc.message import ENCODINGS
from serving.refusals import RequestRefusedError
from serving.traffic.memory_budget import MemoryBudget

_BEGINNING = untraced_block(
    [
        (b":status", b"200"),
        (b"content-type", b"application/grpc"),
        (b"grpc-accept-encoding", ENCODINGS),
    ]
)
_SUCCEEDED = untraced_block([(b"grpc-status", b"0")])
_NO_GRPC = untraced_block([(b":status", b"415")])
_LEGIBLE = " !\"#$&'()*+,/:;<=>?@[\\]^`{|}"
"""Besides letters, digits and `_.-~`: what gRPC lets stand in a sentence as it is."""

_LONGEST_SENTENCE = 1000
"""Longest sentence; it fits into a frame with every character percent-encoded."""


@dataclass(frozen=True)
class SharedParts:
    """The objects that all connections of a server share."""

    calls: CallFinder
    memory: MemoryBudget
    connections: Connections

    @property
    def limits(self) -> ConnectionLimits:
        """What a connection may take: a head is a call's header fields, a body its message."""
        return self.connections.limits


def answer_beginning(stream: int) -> bytes:
    """Return the frame that an answer begins with."""
    return frames.frame(frames.HEADERS, frames.END_HEADERS, stream, _BEGINNING)


def answer_ending(stream: int, request_id: str) -> bytes:
    """Return the frame that follows the message of an answer."""
    fields = _SUCCEEDED + _named(request_id)
    return frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream, fields)


def refusal(stream: int, request_id: str, refused: RequestRefusedError) -> bytes:
    """Return the frame that is all of a refused call's answer."""
    sentence = quote(str(refused)[:_LONGEST_SENTENCE], safe=_LEGIBLE).encode()
    status = str(grpc_status(refused)).encode()
    fields = untraced_block([(b"grpc-status", status), (b"grpc-message", sentence)])
    return frames.frame(
        frames.HEADERS,
        frames.END_HEADERS | frames.END_STREAM,
        stream,
        _BEGINNING + fields + _named(request_id),
    )


def no_grpc(stream: int) -> bytes:
    """Return the answer to a request that is none of gRPC."""
    return frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream, _NO_GRPC)


def _named(request_id: str) -> bytes:
    return untraced_block([(b"x-request-id", request_id.encode())])
