"""Requests that no application sees: why, and the bytes that tell the caller."""

from collections.abc import Iterable

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from serving.refusals import RequestRefusedError
from serving.rest.front import refusal_answer

_OF_AN_UPGRADE = frozenset({b"upgrade", b"connection", b"http2-settings"})


def late(part: str) -> RequestRefusedError:
    """Return the refusal of a request of which a part took too long."""
    return RequestRefusedError(408, f"the {part} of the request was not complete in time")


def refusal_of(error: httptools.HttpParserError) -> RequestRefusedError:
    """Return the refusal that a callback of the parser raised, or that of what it cannot read."""
    cause = error.__context__
    if isinstance(cause, RequestRefusedError):
        return cause
    return RequestRefusedError(400, "this is no HTTP/1.1 request: it cannot be read")


def refusal_bytes(
    refused: RequestRefusedError, default_headers: Iterable[tuple[bytes, bytes]]
) -> bytes:
    """Return the whole answer that refuses a request and ends the connection."""
    status, body, headers = refusal_answer(refused)
    fields = dict([*default_headers, *headers])
    fields |= {b"content-length": b"%d" % len(body), b"connection": b"close"}
    head = b"".join(b"%s: %s\r\n" % field for field in fields.items())
    return b"%s%s\r\n%s" % (STATUS_LINE[status], head, body)


def head_without_upgrade(
    method: bytes, url: bytes, headers: Iterable[tuple[bytes, bytes]]
) -> bytes:
    """Return the head of a request without the fields that ask for another protocol."""
    kept = (b"%s: %s\r\n" % field for field in headers if field[0] not in _OF_AN_UPGRADE)
    return b"%s %s HTTP/1.1\r\n%s\r\n" % (method, url, b"".join(kept))
