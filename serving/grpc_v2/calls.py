"""What each call of the gRPC service answers."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar

import grpc
from google.protobuf.message import Message
from grpc import aio

from serving.grpc_v2 import inference_pb2 as v2
from serving.grpc_v2.dialects import model_metadata, named
from serving.grpc_v2.messages import decode, encode, parsed
from serving.guard.keys import Keys
from serving.guard.logs import request_id
from serving.protocol import metadata
from serving.refusals import RequestRefusedError
from serving.service import FAILED, Asked, Decode, Headers, Service

REQUEST_ID = "x-request-id"
Metadata = Iterable[tuple[str, str | bytes]]
Call = Callable[[bytes, "aio.ServicerContext[bytes, bytes]"], Awaitable[bytes]]

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_UNAVAILABLE = 503
# A probe has no key.
_OPEN = ("ServerLive", "ServerReady")
_Asked = TypeVar("_Asked", bound=Message)
log = logging.getLogger("serving.grpc")


class Repository(Protocol):
    """What the repository calls ask; all raise RequestRefusedError with a status and a sentence."""

    async def index(self, *, ready: bool = False) -> Sequence[Mapping[str, str]]:
        """Return `name`, `version`, `state` and `reason` of each model; `ready`: that answers.

        A version or reason that there is not is left out or empty.
        """

    async def load(self, name: str) -> None:
        """Load a model, or load it again; return when it answers."""

    async def unload(self, name: str) -> None:
        """Let a model answer no more."""


class Calls:
    """The calls of the service, each from the bytes of a message to the bytes of its answer."""

    def __init__(self, service: Service, repository: Repository, keys: Keys, max_rows: int) -> None:
        """Take what answers, what the repository calls ask, and who may ask."""
        self._service = service
        self._repository = repository
        self._keys = keys
        self._max_rows = max_rows

    def all(self) -> dict[str, Call]:
        """Return every call by its name in the protocol."""
        return {
            "ServerLive": self._call("ServerLive", v2.ServerLiveRequest, self._live),
            "ServerReady": self._call("ServerReady", v2.ServerReadyRequest, self._ready),
            "ModelReady": self._call("ModelReady", v2.ModelReadyRequest, self._model_ready),
            "ServerMetadata": self._call("ServerMetadata", v2.ServerMetadataRequest, self._server),
            "ModelMetadata": self._call("ModelMetadata", v2.ModelMetadataRequest, self._model),
            "ModelInfer": self._infer,
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
        self, name: str, asked: type[_Asked], answer: Callable[[_Asked], Awaitable[Message]]
    ) -> Call:
        async def call(packed: bytes, context: "aio.ServicerContext[bytes, bytes]") -> bytes:
            headers = _headers(context.invocation_metadata() or ())
            context.set_trailing_metadata(((REQUEST_ID, request_id(headers)),))
            try:
                if name not in _OPEN:
                    self._keys.require(headers)
                answered: bytes = (await answer(parsed(asked, packed))).SerializeToString()
            except RequestRefusedError as refused:
                raise await _refuse(context, refused) from refused
            except Exception as error:
                log.exception("%s failed", name)
                raise await _refuse(context, RequestRefusedError(500, FAILED)) from error
            return answered

        return call

    async def _infer(self, packed: bytes, context: "aio.ServicerContext[bytes, bytes]") -> bytes:
        headers = _headers(context.invocation_metadata() or ())
        named = request_id(headers)
        context.set_trailing_metadata(((REQUEST_ID, named),))
        try:
            message = parsed(v2.ModelInferRequest, packed)
            asked = Asked(message.model_name, message.model_version or None, headers, named)
            read = partial(self._read, message, len(packed))
            answer = await self._service.answer(asked, read)
            held = answer.held
            encoded: bytes = encode(
                held.bundle, held.version, answer.request, answer.probability
            ).SerializeToString()
        except RequestRefusedError as refused:
            raise await _refuse(context, refused) from refused
        return encoded

    async def _read(self, message: v2.ModelInferRequest, size: int) -> tuple[Decode, int]:
        return partial(decode, message, max_rows=self._max_rows), size

    async def _live(self, _asked: v2.ServerLiveRequest) -> v2.ServerLiveResponse:
        return v2.ServerLiveResponse(live=True)

    async def _ready(self, _asked: v2.ServerReadyRequest) -> v2.ServerReadyResponse:
        return v2.ServerReadyResponse(ready=metadata.ready(self._service.holder)["ready"])

    async def _model_ready(self, asked: v2.ModelReadyRequest) -> v2.ModelReadyResponse:
        try:
            self._service.holder.take(asked.name, asked.version or None)
        except RequestRefusedError as refused:
            if refused.status != _UNAVAILABLE:
                raise
            return v2.ModelReadyResponse(ready=False)
        return v2.ModelReadyResponse(ready=True)

    async def _server(self, _asked: v2.ServerMetadataRequest) -> v2.ServerMetadataResponse:
        return v2.ServerMetadataResponse(**metadata.server())

    async def _model(self, asked: v2.ModelMetadataRequest) -> v2.ModelMetadataResponse:
        held = self._service.holder.take(asked.name, asked.version or None)
        return model_metadata(metadata.model(held, self._service.holder))

    async def _index(self, asked: v2.RepositoryIndexRequest) -> v2.RepositoryIndexResponse:
        models = [
            v2.RepositoryIndexResponse.ModelIndex(**model)
            for model in await self._repository.index(ready=asked.ready)
        ]
        return v2.RepositoryIndexResponse(models=models)

    async def _load(self, asked: v2.RepositoryModelLoadRequest) -> v2.RepositoryModelLoadResponse:
        name = named(asked)
        await self._repository.load(name)
        return v2.RepositoryModelLoadResponse(model_name=name, isLoaded=True)

    async def _unload(
        self, asked: v2.RepositoryModelUnloadRequest
    ) -> v2.RepositoryModelUnloadResponse:
        name = named(asked)
        await self._repository.unload(name)
        return v2.RepositoryModelUnloadResponse(model_name=name, isUnloaded=True)


def _headers(sent: Metadata) -> Headers:
    """Return a call's metadata as HTTP has them."""
    return [
        (key.encode(), value if isinstance(value, bytes) else value.encode()) for key, value in sent
    ]


async def _refuse(
    context: "aio.ServicerContext[bytes, bytes]", refused: RequestRefusedError
) -> BaseException:
    """End a call with the status and the sentence of a refusal."""
    code = _CODES.get(refused.status, grpc.StatusCode.INTERNAL)
    ended: BaseException = await context.abort(code, str(refused))
    return ended
