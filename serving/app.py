"""The routes: parse, delegate, answer.

Guarantees that every answer that is no success is `{"error": <sentence>}` with the right status,
and that a request is answered by the one model version that it found when it came.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

from serving.models.holder import Held, Holder
from serving.models.predictor import Predictor
from serving.protocol import codecs, metadata, openapi
from serving.refusals import RequestRefusedError
from serving.service import Service

BODY_LIMIT = 32 * 2**20
_DOCS = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Ratchet: the endpoint</title>
<link rel="icon" href="docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="docs/assets/swagger-ui.css"></head>
<body><div id="ui"></div><script src="docs/assets/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "openapi.json", dom_id: "#ui", validatorUrl: null})</script>
</body></html>
"""

Background = Callable[[], Awaitable[None]]


def make_app(holder: Holder, background: Background) -> Starlette:
    """Return the ASGI application; `background` follows the registry while it runs."""
    predictor = Predictor()
    endpoint = _Endpoint(Service(holder, predictor), predictor)
    model = "/v2/models/{name}"
    version = f"{model}/versions/{{version}}"
    return Starlette(
        routes=[
            Route("/", _to_docs),
            Route("/docs", _docs),
            Mount("/docs/assets", StaticFiles(directory=swagger_ui_path)),
            Route("/openapi.json", endpoint.openapi),
            Route("/v2", endpoint.server),
            Route("/v2/health/live", endpoint.live),
            Route("/v2/health/ready", endpoint.ready),
            *(Route(root, endpoint.model) for root in (model, version)),
            *(Route(f"{root}/ready", endpoint.model_ready) for root in (model, version)),
            *(
                Route(f"{root}/infer", endpoint.infer, methods=["POST"])
                for root in (model, version)
            ),
        ],
        lifespan=endpoint.lifespan(background),
        exception_handlers={
            RequestRefusedError: _refused,
            HTTPException: _no_route,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
    )


class _Endpoint:
    """The answers that need to know what is loaded."""

    def __init__(self, service: Service, predictor: Predictor) -> None:
        self._service = service
        self._holder = service.holder
        self._predictor = predictor

    def lifespan(self, background: Background) -> Callable[[Any], Any]:
        @asynccontextmanager
        async def run(_app: Starlette) -> AsyncIterator[None]:
            following = asyncio.ensure_future(background())
            yield
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
            self._predictor.close()

        return run

    async def infer(self, request: Request) -> Response:
        held = self._held(request)
        length = codecs.header_length(request.headers.get(codecs.HEADER_LENGTH))
        body = await _read(request)
        answer = await self._service.infer(held, partial(codecs.decode, body, header_length=length))
        encoded = codecs.encode(
            answer.held.bundle, answer.held.version, answer.request, answer.probability
        )
        if encoded.header_length is None:
            return Response(encoded.body, media_type="application/json")
        headers = {codecs.HEADER_LENGTH: str(encoded.header_length)}
        return Response(encoded.body, headers=headers, media_type="application/octet-stream")

    async def model(self, request: Request) -> Response:
        return _json(metadata.model(self._held(request), self._holder))

    async def model_ready(self, request: Request) -> Response:
        return _json(metadata.model_ready(self._held(request), self._holder))

    async def ready(self, _request: Request) -> Response:
        answer = metadata.ready(self._holder)
        return _json(answer, 200 if answer["ready"] else 503)

    async def live(self, _request: Request) -> Response:
        return _json({"live": True})

    async def server(self, _request: Request) -> Response:
        return _json(metadata.server())

    async def openapi(self, _request: Request) -> Response:
        return _json(openapi.document(self._holder.loaded()))

    def _held(self, request: Request) -> Held:
        return self._service.take(request.path_params["name"], request.path_params.get("version"))


async def _read(request: Request) -> bytes:
    """Return the body, giving up as soon as it is known to be over the limit."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > BODY_LIMIT:
        raise _too_large()
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_LIMIT:
            raise _too_large()
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large() -> RequestRefusedError:
    return RequestRefusedError(
        413, f"the body is over {BODY_LIMIT // 2**20} MiB; send the rows in several requests"
    )


async def _to_docs(_request: Request) -> Response:
    return RedirectResponse("docs")


async def _docs(_request: Request) -> Response:
    return HTMLResponse(_DOCS)


async def _refused(_request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, RequestRefusedError) else 400
    answer = _json({"error": str(error)}, status)
    if status == 413:  # noqa: PLR2004 - the status itself; what is left of the body is not read
        answer.headers["connection"] = "close"
    return answer


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    sentence = f"{request.method} {request.url.path}: {getattr(error, 'detail', error)}; see /docs"
    answer = _json({"error": sentence}, status)
    answer.headers.update(headers or {})
    return answer


async def _gone(_request: Request, _error: Exception) -> Response:
    # Nobody reads it; without it every client that hangs up would leave a traceback in the log.
    return _json({"error": "the client hung up before the body was complete"}, 400)


async def _failed(_request: Request, _error: Exception) -> Response:
    sentence = "the server failed on this request; its log has the traceback"
    return _json({"error": sentence}, 500)


def _json(answer: dict[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(answer), status, media_type="application/json")
