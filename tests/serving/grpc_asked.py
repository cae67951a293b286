"""Calls over gRPC as a client of the protocol makes them, and a repository to ask."""

from collections.abc import Callable, Iterable
from typing import Any

from grpc import aio

from serving.connections.limits import ConnectionLimits
from serving.grpc import inference_pb2 as v2
from serving.grpc.calls import SERVICES
from serving.grpc.server import GrpcOptions
from serving.refusals import RequestRefusedError

ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
LONGEST = 2**20
LIMITS = ConnectionLimits(
    connections=2048,
    client_connections=1536,
    head_bytes=2**14,
    head_seconds=10.0,
    body_seconds=60.0,
    idle_seconds=300.0,
)
AT = GrpcOptions("127.0.0.1", 0, LONGEST, max_rows=10_000, limits=LIMITS)
Ask = Callable[..., Any]


class Shelf:
    """A repository of one model that remembers what it was asked."""

    def __init__(self) -> None:
        """Start with nothing asked."""
        self.asked: list[str] = []

    async def index(self, *, ready: bool = False) -> list[dict[str, str]]:
        """Return a model that answers and one that does not."""
        models = [
            {"name": "boxes", "version": "3", "state": "READY"},
            {"name": "crates", "state": "UNAVAILABLE", "reason": "no champion"},
        ]
        return models[:1] if ready else models

    async def load(self, name: str) -> None:
        """Remember it, unless nobody knows the model."""
        if name != "boxes":
            raise RequestRefusedError(404, f"there is no model {name!r}")
        self.asked.append(f"load {name}")

    async def unload(self, name: str) -> None:
        """Remember it."""
        self.asked.append(f"unload {name}")


def call(channel: aio.Channel, name: str, message: Any = None, **rest: Any) -> Any:
    """Return the call of this name, to await; `service` is where, and bytes go as they are."""
    answer = getattr(v2, f"{name}Response", v2.ServerLiveResponse)
    method = channel.unary_unary(
        f"/{rest.pop('service', SERVICES[0])}/{name}", response_deserializer=answer.FromString
    )
    asked = getattr(v2, f"{name}Request")() if message is None else message
    return method(asked if isinstance(asked, bytes) else asked.SerializeToString(), **rest)


def question(datatype: str = "FP32", field: str = "fp32_contents", **rest: Any) -> Any:
    """Return two rows as typed contents of this datatype."""
    contents = v2.InferTensorContents()
    getattr(contents, field).extend(int(value) for row in ROWS for value in row)
    tensor = v2.ModelInferRequest.InferInputTensor(
        name="x", datatype=datatype, shape=[2, 3], contents=contents
    )
    return v2.ModelInferRequest(model_name="boxes", inputs=[tensor], **rest)


def raw_question(values: bytes, shape: Iterable[int] = (2, 3), datatype: str = "FP64") -> Any:
    """Return a question with these raw contents."""
    tensor = v2.ModelInferRequest.InferInputTensor(name="x", datatype=datatype, shape=shape)
    return v2.ModelInferRequest(model_name="boxes", inputs=[tensor], raw_input_contents=[values])
