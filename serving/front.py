"""The way of an infer request over HTTP: as few steps as it takes, since nearly all come this way.

Any other request goes on to the application of `app`. Guarantees that every answer that is no
success is `{"error": <sentence>}` with the right status, and that a request is answered by the one
model version that it found when it came.
"""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

import msgspec

from serving.body import Bodies, ClientGoneError, Receive
from serving.protocol import codecs
from serving.refusals import RequestRefusedError
from serving.service import Service

LOG = logging.getLogger("serving")
Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_BESIDE = {
    413: [(b"connection", b"close")],  # what is left of the body is not read
    429: [(b"retry-after", b"1")],
}
_JSON = (b"content-type", b"application/json")
FAILED = "the server failed on this request; its log has the traceback"


class Front:
    """An ASGI application: infer requests here, everything else in `rest`."""

    def __init__(self, service: Service, bodies: Bodies, rest: Application) -> None:
        """Take what answers, what reads bodies and the application for all other requests."""
        self._service = service
        self._bodies = bodies
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        target = _target(scope)
        if target is None:
            await self._rest(scope, receive, send)
            return
        try:
            status, body, headers = 200, *await self._answer(*target, scope, receive)
        except ClientGoneError:
            return
        except RequestRefusedError as refused:
            status, body, headers = refusal_answer(refused)
        except Exception:
            LOG.exception("%s failed", scope["path"])
            status, body, headers = 500, error_body(FAILED), []
        await respond(send, status, body, headers)

    async def _answer(
        self, name: str, version: str | None, scope: Scope, receive: Receive
    ) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        held = self._service.take(name, version)
        body = await self._bodies.read(receive, scope["headers"])
        answer = await self._service.infer(held, partial(codecs.decode, body), len(body))
        encoded = codecs.encode(
            answer.held.bundle, answer.held.version, answer.request, answer.probability
        )
        return encoded, []


async def respond(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Send a whole JSON answer."""
    length = (b"content-length", b"%d" % len(body))
    start = {"type": "http.response.start", "status": status, "headers": [_JSON, length, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": body})


def error_body(sentence: str) -> bytes:
    """Return the body of every answer that is no success."""
    return msgspec.json.encode({"error": sentence})


def refusal_answer(refused: RequestRefusedError) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """Return the status, the body and what else HTTP wants in the head of a refusal."""
    return refused.status, error_body(str(refused)), _BESIDE.get(refused.status, [])


def _target(scope: Scope) -> tuple[str, str | None] | None:
    """Return the model and version that an infer request names, None for any other request."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    match scope["path"].split("/"):
        case ["", "v2", "models", name, "infer"]:
            return name, None
        case ["", "v2", "models", name, "versions", version, "infer"]:
            return name, version
    return None
