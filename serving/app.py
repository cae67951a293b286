"""The routes beside infer: what the server says of itself, its models and how to ask them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

from serving.body import Bodies
from serving.front import FAILED, Application, Front, refusal_answer
from serving.models.batcher import Batcher
from serving.models.holder import Held, Holder
from serving.protocol import metadata, openapi
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


def make_app(holder: Holder, background: Background) -> Application:
    """Return the ASGI application; `background` follows the registry while it runs."""
    batcher = Batcher()
    service = Service(holder, batcher)
    rest = _rest(_About(service), _lifespan(background, batcher))
    return Front(service, Bodies(BODY_LIMIT), rest)


def _rest(about: "_About", lifespan: Callable[[Any], Any]) -> Starlette:
    model = "/v2/models/{name}"
    version = f"{model}/versions/{{version}}"
    return Starlette(
        routes=[
            Route("/", _to_docs),
            Route("/docs", _docs),
            Mount("/docs/assets", StaticFiles(directory=swagger_ui_path)),
            Route("/openapi.json", about.openapi),
            Route("/v2", about.server),
            Route("/v2/health/live", about.live),
            Route("/v2/health/ready", about.ready),
            *(Route(root, about.model) for root in (model, version)),
            *(Route(f"{root}/ready", about.model_ready) for root in (model, version)),
            *(Route(f"{root}/infer", _only_posted, methods=["POST"]) for root in (model, version)),
        ],
        lifespan=lifespan,
        exception_handlers={
            RequestRefusedError: _refused,
            HTTPException: _no_route,
            Exception: _failed,
        },
    )


def _lifespan(background: Background, batcher: Batcher) -> Callable[[Any], Any]:
    @asynccontextmanager
    async def run(_app: Starlette) -> AsyncIterator[None]:
        following = asyncio.ensure_future(background())
        yield
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        batcher.close()

    return run


class _About:
    """The answers that need to know what is loaded."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._holder = service.holder

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


async def _only_posted(_request: Request) -> Response:
    raise HTTPException(404)  # infer requests are answered before they come here


async def _to_docs(_request: Request) -> Response:
    return RedirectResponse("docs")


async def _docs(_request: Request) -> Response:
    return HTMLResponse(_DOCS)


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestRefusedError):
        raise error
    status, body, headers = refusal_answer(error)
    answer = Response(body, status, media_type="application/json")
    answer.raw_headers.extend(headers)
    return answer


async def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    sentence = f"{request.method} {request.url.path}: {getattr(error, 'detail', error)}; see /docs"
    answer = _json({"error": sentence}, status)
    answer.headers.update(headers or {})
    return answer


async def _failed(_request: Request, _error: Exception) -> Response:
    return _json({"error": FAILED}, 500)


def _json(answer: dict[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(answer), status, media_type="application/json")
