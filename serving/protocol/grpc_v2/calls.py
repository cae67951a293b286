"""What each call of the gRPC service answers."""

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf.message import Message
from grpc import aio

from serving.protocol import metadata
from serving.protocol.grpc_v2 import inference_pb2 as v2
from serving.protocol.grpc_v2.messages import decode, encode, parsed
from serving.refusals import RequestRefusedError
from serving.service import Service

REQUEST_ID = "x-request-id"
Metadata = Iterable[tuple[str, str | bytes]]
Authorise = Callable[[Metadata], None]
"""Raises RequestRefusedError with status 401 unless the call's metadata carry a key."""
Call = Callable[[bytes, "aio.ServicerContext[bytes, bytes]"], Awaitable[bytes]]

_LONGEST_ID = 128
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

    async def index(self) -> Sequence[Mapping[str, str]]:
        """Return `name`, `version`, `state` and `reason` of each model; READY is one that answers.

        A version or reason that there is not is left out or empty.
        """

    async def load(self, name: str) -> None:
        """Load a model, or load it again; return when it answers."""

    async def unload(self, name: str) -> None:
        """Let a model answer no more."""


class Calls:
    """The calls of the service, each from the bytes of a message to the bytes of its answer."""

    def __init__(
        self, service: Service, repository: Repository, authorise: Authorise | None
    ) -> None:
        """Take what answers, what the repository calls ask, and what looks for a key."""
        self._service = service
        self._repository = repository
        self._authorise = authorise

    def all(self) -> dict[str, Call]:
        """Return every call by its name in the protocol."""
        return {
            "ServerLive": self._call("ServerLive", v2.ServerLiveRequest, self._live),
            "ServerReady": self._call("ServerReady", v2.ServerReadyRequest, self._ready),
            "ModelReady": self._call("ModelReady", v2.ModelReadyRequest, self._model_ready),
            "ServerMetadata": self._call("ServerMetadata", v2.ServerMetadataRequest, self._server),
            "ModelMetadata": self._call("ModelMetadata", v2.ModelMetadataRequest, self._model),
            "ModelInfer": self._call("ModelInfer", v2.ModelInferRequest, self._infer),
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
            sent = context.invocation_metadata() or ()
            _echo(sent, context)
            try:
                if self._authorise is not None and name not in _OPEN:
                    self._authorise(sent)
                answered: bytes = (await answer(parsed(asked, packed))).SerializeToString()
            except RequestRefusedError as refused:
                code = _CODES.get(refused.status, grpc.StatusCode.INTERNAL)
                sentence = str(refused)
            except Exception:
                log.exception("%s failed", name)
                code = grpc.StatusCode.INTERNAL
                sentence = "the server failed on this request; its log has the traceback"
            else:
                return answered
            raise await context.abort(code, sentence)

        return call

    async def _infer(self, asked: v2.ModelInferRequest) -> v2.ModelInferResponse:
        held = self._service.take(asked.model_name, asked.model_version or None)
        answer = await self._service.infer(held, partial(decode, asked))
        held = answer.held
        return encode(held.bundle, held.version, answer.request, answer.probability)

    async def _live(self, _asked: v2.ServerLiveRequest) -> v2.ServerLiveResponse:
        return v2.ServerLiveResponse(live=True)

    async def _ready(self, _asked: v2.ServerReadyRequest) -> v2.ServerReadyResponse:
        return v2.ServerReadyResponse(ready=metadata.ready(self._service.holder)["ready"])

    async def _model_ready(self, asked: v2.ModelReadyRequest) -> v2.ModelReadyResponse:
        try:
            self._service.take(asked.name, asked.version or None)
        except RequestRefusedError as refused:
            if refused.status != _UNAVAILABLE:
                raise
            return v2.ModelReadyResponse(ready=False)
        return v2.ModelReadyResponse(ready=True)

    async def _server(self, _asked: v2.ServerMetadataRequest) -> v2.ServerMetadataResponse:
        return v2.ServerMetadataResponse(**metadata.server())

    async def _model(self, asked: v2.ModelMetadataRequest) -> v2.ModelMetadataResponse:
        held = self._service.take(asked.name, asked.version or None)
        told = metadata.model(held, self._service.holder)
        parameters = told.pop("parameters")
        answer = v2.ModelMetadataResponse(**told)
        for name, value in parameters.items():
            _set(answer.parameters[name], value)
        return answer

    async def _index(self, asked: v2.RepositoryIndexRequest) -> v2.RepositoryIndexResponse:
        models = [
            v2.RepositoryIndexResponse.ModelIndex(**model)
            for model in await self._repository.index()
            if model["state"] == "READY" or not asked.ready
        ]
        return v2.RepositoryIndexResponse(models=models)

    async def _load(self, asked: v2.RepositoryModelLoadRequest) -> v2.RepositoryModelLoadResponse:
        await self._repository.load(asked.model_name)
        return v2.RepositoryModelLoadResponse()

    async def _unload(
        self, asked: v2.RepositoryModelUnloadRequest
    ) -> v2.RepositoryModelUnloadResponse:
        await self._repository.unload(asked.model_name)
        return v2.RepositoryModelUnloadResponse()


def _echo(sent: Metadata, context: "aio.ServicerContext[bytes, bytes]") -> None:
    """Send the caller's request id back, so that both logs can be laid side by side."""
    given = next((value for key, value in sent if key == REQUEST_ID), None)
    if given is not None and len(given) <= _LONGEST_ID:
        context.set_trailing_metadata(((REQUEST_ID, given),))


def _set(parameter: v2.InferParameter, value: Any) -> None:
    """Write a value into a parameter: as JSON where the protocol has no type for it."""
    if isinstance(value, float):
        parameter.double_param = value
    elif isinstance(value, int):
        parameter.int64_param = value
    else:
        parameter.string_param = value if isinstance(value, str) else json.dumps(value)
