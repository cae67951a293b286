"""All routes except inference: health, metadata, metrics, model repository and documentation."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from swagger_ui_bundle import swagger_ui_path

from serving.configuration.settings import Settings
from serving.models.holder import Holder, LoadedVersion
from serving.protocol import absent, metadata, openapi
from serving.protocol.parameters import require_known
from serving.protocol.sentences import reason
from serving.protocol.single_keys import require_single
from serving.refusals import RequestRefusedError
from serving.registry.repository import Repository
from serving.registry.webhook import Webhook
from serving.rest.body import Bodies
from serving.rest.front import plain_body, refusal_answer
from serving.service import FAILED
from serving.traffic.drain import Drain
from serving.traffic.guard import Guard
from serving.traffic.memory_budget import MemoryBudget
from serving.traffic.own_pages import require_own_page
from serving.values.units import KIB

_ANY = ["GET", "POST"]
_DOCS = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Ratchet: the endpoint</title>
<link rel="icon" href="docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="docs/assets/swagger-ui.css"></head>
<body><div id="ui"></div><script src="docs/assets/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "openapi.json", dom_id: "#ui", validatorUrl: null})</script>
</body></html>
"""
_LARGEST_DELIVERY = 64 * KIB
"""Largest body of a webhook delivery; MLflow's are smaller than 2 kB."""
_DELIVERIES_TOGETHER = 16


class _RepositoryCall(msgspec.Struct):
    """The body of a call of the repository API."""

    ready: bool | None = None
    parameters: dict[str, msgspec.Raw] | None = None


class Routes:
    """The routes whose answers depend on the loaded models."""

    def __init__(  # noqa: PLR0913 - each is what one of the routes tells of
        self,
        settings: Settings,
        holder: Holder,
        guard: Guard,
        repository: Repository,
        *,
        webhook: Webhook,
        drain: Drain,
        bodies: Bodies,
    ) -> None:
        """Use these parts of the server for the answers."""
        self._settings = settings
        self._holder = holder
        self._guard = guard
        self._repository = repository
        self._webhook = webhook
        self._drain = drain
        self._bodies = bodies
        # Of its own, for it is read of callers without a key: inference must not go short for it.
        self._deliveries = Bodies(
            _LARGEST_DELIVERY, MemoryBudget(_DELIVERIES_TOGETHER * _LARGEST_DELIVERY)
        )

    def application(self, lifespan: Callable[[Any], Any]) -> Starlette:
        """Return the ASGI application of these routes."""
        model = "/v2/models/{name}"
        version = f"{model}/versions/{{version}}"
        repository = "/v2/repository"
        page = self._settings.metrics_endpoint
        return Starlette(
            routes=[
                Route("/", _to_docs),
                Route("/docs", _docs),
                Mount("/docs/assets", _whole(StaticFiles(directory=swagger_ui_path))),
                Route("/openapi.json", self._openapi),
                Route("/v2", _server),
                Route("/v2/health/live", _live),
                Route("/v2/health/ready", self._ready),
                *(Route(root, self._model) for root in (model, version)),
                *(Route(f"{root}/ready", self._model_ready) for root in (model, version)),
                *(
                    Route(f"{root}/infer", _answered_before, methods=["POST"])
                    for root in (model, version)
                ),
                Route(f"{repository}/index", self._index, methods=["POST"]),
                Route(f"{repository}/models/{{name}}/load", self._load, methods=["POST"]),
                Route(f"{repository}/models/{{name}}/unload", self._unload, methods=["POST"]),
                Route(f"{repository}/webhook", self._deliver, methods=["POST"]),
                *([Route(page, self._metrics)] if page else []),
                *(Route(path, _absent(said), methods=_ANY) for path, said in absent.ROUTES.items()),
                *(
                    Route(f"{root}{rest}", _absent(said), methods=_ANY)
                    for root in (model, version)
                    for rest, said in absent.ROUTES_OF_MODELS.items()
                ),
            ],
            lifespan=lifespan,
            exception_handlers={
                RequestRefusedError: _refused,
                HTTPException: _no_route,
                Exception: _failed,
            },
        )

    async def _model(self, request: Request) -> Response:
        return _json(metadata.model(self._held(request), self._holder))

    async def _model_ready(self, request: Request) -> Response:
        return _json(metadata.model_ready(self._held(request), self._holder))

    async def _ready(self, _request: Request) -> Response:
        board = self._guard.board
        others = [state for _, state in board.others()] if board else []
        answer = metadata.ready(self._holder, others, stopping=self._drain.has_begun)
        return _json(answer, 200 if answer["ready"] else 503)

    async def _openapi(self, _request: Request) -> Response:
        needs_key = self._guard.keys.are_asked
        return _json(openapi.document(self._holder.loaded(), needs_key=needs_key))

    async def _metrics(self, _request: Request) -> Response:
        page, kind = self._guard.metrics.exposition()
        return Response(page, headers={"content-type": kind})

    async def _index(self, request: Request) -> Response:
        asked = await self._call(request)
        return _json(await self._repository.index(ready=asked.ready is True))

    async def _load(self, request: Request) -> Response:
        await self._require_change(request)
        await self._repository.load(request.path_params["name"])
        return _json({})

    async def _unload(self, request: Request) -> Response:
        await self._require_change(request)
        await self._repository.unload(request.path_params["name"])
        return _json({})

    async def _require_change(self, request: Request) -> None:
        """Refuse a load or unload from another site's page, or with unknown parameters."""
        require_own_page(request.headers, needs_key=self._guard.keys.are_asked)
        require_known((await self._call(request)).parameters or ())

    async def _deliver(self, request: Request) -> Response:
        self._webhook.expect(request.headers)
        self._webhook.receive(request.headers, await _body(self._deliveries, request))
        return _json({})

    async def _call(self, request: Request) -> _RepositoryCall:
        """Return the decoded body of a call of the repository API, which may be empty."""
        body = (await _body(self._bodies, request)).strip() or b"{}"
        try:
            call = msgspec.json.decode(body, type=_RepositoryCall)
            require_single(body, [], 0)
        except (ValueError, RecursionError) as error:
            raise RequestRefusedError(
                400,
                f"the body is no JSON of this call: {reason(error)}. Send nothing, or "
                '{"ready": true} to the index, {"parameters": {...}} to load and unload.',
            ) from error
        return call

    def _held(self, request: Request) -> LoadedVersion:
        return self._holder.take(request.path_params["name"], request.path_params.get("version"))


async def _body(bodies: Bodies, request: Request) -> bytes:
    """Read a body whose memory reservation is released at once, as it is small and used now."""
    reservation = bodies.reservation()
    try:
        headers = request.scope["headers"]
        return await plain_body(bodies, request.receive, headers, reservation)
    finally:
        reservation.release()


def _whole(files: StaticFiles) -> ASGIApp:
    """Serve whole files, ignoring Range headers: an invalid range would not be answered in JSON."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [one for one in scope["headers"] if one[0] != b"range"]
        await files({**scope, "headers": headers}, receive, send)

    return answer


async def _live(_request: Request) -> Response:
    return _json({"live": True})


async def _server(_request: Request) -> Response:
    return _json(metadata.server())


async def _answered_before(_request: Request) -> Response:
    raise HTTPException(404)  # it is here for the method alone: a GET is 405, not 404


def _absent(sentence: str) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler of a route that only Triton or MLServer has; it answers `sentence`."""

    async def refuse(_request: Request) -> Response:
        raise RequestRefusedError(404, sentence)

    return refuse


async def _to_docs(_request: Request) -> Response:
    return RedirectResponse("docs")


async def _docs(_request: Request) -> Response:
    return HTMLResponse(_DOCS)


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestRefusedError):
        raise error
    status, body, headers = refusal_answer(error)
    answer = Response(body, status)
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


def _json(answer: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(answer), status, media_type="application/json")
