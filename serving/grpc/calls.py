"""Implements the calls of the gRPC service."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from serving.grpc import inference_pb2 as v2
from serving.grpc.call import Call, ReceivedMessage
from serving.grpc.dialects import model_metadata, model_named_in
from serving.grpc.messages import decode, encode, parse_message
from serving.grpc.parse_cost import parse_cost
from serving.observing.logs import request_id
from serving.protocol import absent, metadata
from serving.refusals import RequestRefusedError
from serving.service import LARGE_BYTES, Decode, Headers, RequestHead, Service
from serving.traffic.keys import Keys
from serving.values.units import KIB, MIB

SERVICES = (
    "inference.GRPCInferenceService",
    # Where MLServer has its repository calls, besides.
    "inference.model_repository.ModelRepositoryService",
)
_UNAVAILABLE = 503
# A probe has no key.
_OPEN = ("ServerLive", "ServerReady")
_INFER = "ModelInfer"
_MOST_QUESTION_BYTES = 64 * KIB
"""Of a message that is no inference: names, and parameters of a load."""
_Asked = TypeVar("_Asked", bound=Message)


class RepositoryCalls(Protocol):
    """The model repository as the gRPC calls use it; every method may raise RequestRefusedError."""

    async def index(self, *, ready: bool = False) -> Sequence[Mapping[str, str]]:
        """Return `name`, `version`, `state` and `reason` of each model; `ready`: that answers.

        A version or reason that there is not is left out or empty.
        """

    async def load(self, name: str) -> None:
        """Load a model, or load it again; return when it answers."""

    async def unload(self, name: str) -> None:
        """Take a model out of service."""


class Calls:
    """The calls of the service, each from the bytes of a message to the bytes of its answer."""

    def __init__(
        self,
        service: Service,
        repository: RepositoryCalls,
        keys: Keys,
        max_rows: int,
        max_message_bytes: int,
    ) -> None:
        """`max_rows` and `max_message_bytes` are the limits of one inference."""
        self._service = service
        self._repository = repository
        self._keys = keys
        self._max_rows = max_rows
        self._most_cost = 4 * max_message_bytes
        calls = {_INFER: Call(self._infer, max_message_bytes, is_open=False)} | self._questions()
        self._calls = {
            f"/{place}/{name}".encode(): call for place in SERVICES for name, call in calls.items()
        }

    def find(self, path: bytes, headers: Headers) -> Call:
        """Return the call of a path that these headers may make.

        Raises RequestRefusedError: 401 without a key, 501 where there is no such call.
        """
        call = self._calls.get(path)
        if call is None or not call.is_open:
            try:
                self._keys.require(headers)
            except RequestRefusedError as refused:
                self.note_refused(request_id(headers), refused)
                raise
        if call is None:
            raise RequestRefusedError(501, _absence(path))
        return call

    def note_refused(self, request_id: str, refused: RequestRefusedError) -> None:
        """Count a call that was refused before its message was read."""
        self._service.note_refused("", request_id, refused)

    def _questions(self) -> dict[str, Call]:
        """Return every call but the inference by its name in the protocol."""
        return {
            "ServerLive": self._call("ServerLive", v2.ServerLiveRequest, self._live),
            "ServerReady": self._call("ServerReady", v2.ServerReadyRequest, self._ready),
            "ModelReady": self._call("ModelReady", v2.ModelReadyRequest, self._model_ready),
            "ServerMetadata": self._call("ServerMetadata", v2.ServerMetadataRequest, self._server),
            "ModelMetadata": self._call("ModelMetadata", v2.ModelMetadataRequest, self._model),
            "RepositoryIndex": self._call(
                "RepositoryIndex", v2.RepositoryIndexRequest, self._index
            ),
            "RepositoryModelLoad": self._call(
                "RepositoryModelLoad", v2.RepositoryModelLoadRequest, self._load
            ),
            "RepositoryModelUnload": self._call(
                "RepositoryModelUnload", v2.RepositoryModelUnloadRequest, self._unload
            ),
        }

    def _call(
        self, name: str, message_type: type[_Asked], answer: Callable[[_Asked], Awaitable[Message]]
    ) -> Call:
        async def call(sent: ReceivedMessage) -> bytes:
            answered: bytes = (
                await answer(parse_message(message_type, sent.message))
            ).SerializeToString()
            return answered

        return Call(call, _MOST_QUESTION_BYTES, is_open=name in _OPEN)

    async def _infer(self, sent: ReceivedMessage) -> bytes:
        size = len(sent.message)
        try:
            message = await self._parsed(sent)
        except RequestRefusedError as refused:
            self.note_refused(sent.request_id, refused)
            raise
        asked = RequestHead(
            message.model_name, message.model_version or None, sent.headers, sent.request_id
        )
        answer = await self._service.answer(asked, partial(self._read, message, size))
        held = answer.held
        encoded: bytes = encode(
            held.bundle, held.version, answer.request, answer.scores
        ).SerializeToString()
        return encoded

    async def _parsed(self, sent: ReceivedMessage) -> v2.ModelInferRequest:
        """Parse a message after reserving the memory that parsing takes."""
        if len(sent.message) <= LARGE_BYTES:
            sent.reservation.grow(self._cost(sent.message))
            return parse_message(v2.ModelInferRequest, sent.message)
        sent.reservation.grow(await asyncio.to_thread(self._cost, sent.message))
        return await asyncio.to_thread(parse_message, v2.ModelInferRequest, sent.message)

    def _cost(self, message: bytes | bytearray) -> int:
        cost = parse_cost(message)
        if cost > self._most_cost:
            raise RequestRefusedError(
                413,
                f"the message takes more than {self._most_cost // MIB} MiB when it is read; "
                "send the rows in several requests",
            )
        return cost

    async def _read(self, message: v2.ModelInferRequest, size: int) -> tuple[Decode, int]:
        return partial(decode, message, max_rows=self._max_rows), size

    async def _live(self, _asked: v2.ServerLiveRequest) -> v2.ServerLiveResponse:
        return v2.ServerLiveResponse(live=True)

    async def _ready(self, _asked: v2.ServerReadyRequest) -> v2.ServerReadyResponse:
        return v2.ServerReadyResponse(ready=metadata.ready(self._service.holder)["ready"])

    async def _model_ready(self, request: v2.ModelReadyRequest) -> v2.ModelReadyResponse:
        try:
            self._service.holder.take(request.name, request.version or None)
        except RequestRefusedError as refused:
            if refused.status != _UNAVAILABLE:
                raise
            return v2.ModelReadyResponse(ready=False)
        return v2.ModelReadyResponse(ready=True)

    async def _server(self, _asked: v2.ServerMetadataRequest) -> v2.ServerMetadataResponse:
        return v2.ServerMetadataResponse(**metadata.server())

    async def _model(self, request: v2.ModelMetadataRequest) -> v2.ModelMetadataResponse:
        held = self._service.holder.take(request.name, request.version or None)
        return model_metadata(metadata.model(held, self._service.holder))

    async def _index(self, request: v2.RepositoryIndexRequest) -> v2.RepositoryIndexResponse:
        models = [
            v2.RepositoryIndexResponse.ModelIndex(**model)
            for model in await self._repository.index(ready=request.ready)
        ]
        return v2.RepositoryIndexResponse(models=models)

    async def _load(self, request: v2.RepositoryModelLoadRequest) -> v2.RepositoryModelLoadResponse:
        name = model_named_in(request)
        await self._repository.load(name)
        return v2.RepositoryModelLoadResponse(model_name=name, isLoaded=True)

    async def _unload(
        self, request: v2.RepositoryModelUnloadRequest
    ) -> v2.RepositoryModelUnloadResponse:
        name = model_named_in(request)
        await self._repository.unload(name)
        return v2.RepositoryModelUnloadResponse(model_name=name, isUnloaded=True)


def _absence(path: bytes) -> str:
    """Return the sentence for an unknown call; one of Triton's or MLServer's has its own."""
    name = path.rpartition(b"/")[2].decode("latin-1")
    instead = absent.CALLS.get(name)
    return "there is no such call" if instead is None else f"{name}: {instead}"
