"""The entry of HTTP requests: answers inferences itself, on a short path, as most requests are.

Any other request goes on to the routes of `routes`, after its key was checked. Guarantees that
every error response is `{"error": <sentence>}` with the right status, and that an inference is
answered by the model version that was loaded when it arrived.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

import msgspec

from serving.observing.logs import REQUEST_ID_HEADER, request_id
from serving.protocol import codecs, compression
from serving.refusals import RequestRefusedError
from serving.rest.body import Bodies, ClientGoneError, Receive
from serving.service import Answer, Decode, Headers, RequestHead, Service
from serving.traffic.keys import Keys
from serving.traffic.memory_budget import Reservation

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

CONNECTION = "ratchet.connection"
"""The extension of a scope that is told when its request has shown a key."""
# A probe has no key, and a delivery of MLflow's is signed instead.
_OPEN = frozenset({"/v2/health/live", "/v2/health/ready", "/v2/repository/webhook"})
_JSON = [(b"content-type", b"application/json")]
_PACKED = (b"content-type", b"application/octet-stream")
_HEADER_LENGTH = codecs.HEADER_LENGTH.lower().encode()
_BESIDE = {
    401: [(b"www-authenticate", b'Basic realm="ratchet"')],  # with which a browser asks for it
    413: [(b"connection", b"close")],  # what is left of the body is not read
    415: [(b"accept-encoding", compression.ENCODINGS.encode())],
    429: [(b"retry-after", b"1")],
}


class FrontApplication:
    """An ASGI application: inferences here, everything else in `rest`."""

    def __init__(
        self, service: Service, keys: Keys, bodies: Bodies, rest: Application, max_rows: int
    ) -> None:
        """`rest` handles all other requests; `max_rows` is the limit of one inference."""
        self._service = service
        self._keys = keys
        self._bodies = bodies
        self._rest = rest
        self._max_rows = max_rows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        scope = _without_slash(scope)
        named = request_id(scope["headers"])
        try:
            body, headers = await self._answer(named, scope, receive, send)
            status = 200
        except ClientGoneError:
            return
        except RequestRefusedError as refused:
            status, body, headers = refusal_answer(refused)
        if body is not None:
            await _respond(send, status, body, [*headers, (REQUEST_ID_HEADER, named.encode())])

    async def _answer(
        self, named: str, scope: Scope, receive: Receive, send: Send
    ) -> tuple[bytes | None, Headers]:
        """Return the answer to an inference; None when another route has answered already."""
        target = _target(scope)
        if target is not None:
            asked = RequestHead(*target, scope["headers"], named)
            body = self._bodies.reservation()
            try:
                read = partial(self._read, scope, receive, body)
                return _encoded(await self._service.answer(asked, read))
            finally:
                body.release()
        if scope["path"] not in _OPEN:
            self._keys.require(scope["headers"])
            _prove(scope)
        await self._rest(scope, receive, send)
        return None, []

    async def _read(
        self, scope: Scope, receive: Receive, reservation: Reservation
    ) -> tuple[Decode, int]:
        _prove(scope)
        headers: Headers = scope["headers"]
        packed_after = codecs.header_length(_header(headers, _HEADER_LENGTH))
        body = await plain_body(self._bodies, receive, headers, reservation)
        decode = partial(codecs.decode, body, header_length=packed_after, max_rows=self._max_rows)
        return decode, len(body)


def _prove(scope: Scope) -> None:
    """Tell the connection that its caller has a valid key, so that it is not closed for others."""
    connection = scope.get("extensions", {}).get(CONNECTION)
    if connection is not None:
        connection.prove()


async def plain_body(
    bodies: Bodies, receive: Receive, headers: Headers, reservation: Reservation
) -> bytes:
    """Return a body, decompressed where needed; raises as `Bodies.read` does.

    RequestRefusedError also with 415 for an unknown compression, 400 for broken data.
    """
    coding = compression.encoding(headers)
    body = await bodies.read(receive, headers, reservation)
    if coding is None:
        return body
    # Off the event loop, for little that came may be much to expand.
    plain = await asyncio.to_thread(compression.expand_body, body, coding, bodies.limit)
    reservation.grow(len(plain))
    return plain


def refusal_answer(refused: RequestRefusedError) -> tuple[int, bytes, Headers]:
    """Return the status, the body and the headers of a refusal."""
    return refused.status, error_body(str(refused)), _JSON + _BESIDE.get(refused.status, [])


def error_body(sentence: str) -> bytes:
    """Return the body of an error response: `{"error": sentence}` as JSON in UTF-8."""
    return msgspec.json.encode({"error": sentence})


def _encoded(answer: Answer) -> tuple[bytes, Headers]:
    held = answer.held
    encoded = codecs.encode(held.bundle, held.version, answer.request, answer.scores)
    if encoded.header_length is None:
        return encoded.body, _JSON
    return encoded.body, [_PACKED, (_HEADER_LENGTH, b"%d" % encoded.header_length)]


async def _respond(
    send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


def _header(headers: Headers, wanted: bytes) -> str | None:
    return next((value.decode("latin-1") for name, value in headers if name == wanted), None)


def _without_slash(scope: Scope) -> Scope:
    """Return the scope with the path's trailing slash removed, which some clients send."""
    path = scope["path"]
    if not (path.startswith("/v2/") and path.endswith("/")):
        return scope
    return {**scope, "path": path.rstrip("/")}


def _target(scope: Scope) -> tuple[str, str | None] | None:
    """Return the model and version of an infer request's path; None for any other request."""
    if scope["method"] != "POST":
        return None
    match scope["path"].split("/"):
        case ["", "v2", "models", name, "infer"]:
            return name, None
        case ["", "v2", "models", name, "versions", version, "infer"]:
            return name, version
    return None
