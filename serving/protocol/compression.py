"""Decompresses bodies (`Content-Encoding`) within a size limit."""

import zlib
from collections.abc import Iterable

from serving.protocol.sentences import clip
from serving.refusals import RequestRefusedError

ENCODINGS = "gzip, deflate"
"""Those that are read; `identity` is none."""
_GZIP, _ZLIB, _BARE = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
# A file may be several, one behind the other; each that follows costs a copy of the rest.
_MOST_MEMBERS = 16
_METHOD, _DEFLATE = 0x0F, 0x08


def encoding(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return how a body with these headers (as ASGI has them) is compressed, None if it is not.

    Raises RequestRefusedError with status 415 for what cannot be read.
    """
    given = [value for name, value in headers if name == b"content-encoding"]
    if not given:
        return None
    words = (word.strip().lower() for value in given for word in value.decode("latin-1").split(","))
    codings = [word.removeprefix("x-") for word in words if word not in {"", "identity"}]
    if not codings:
        return None
    if codings not in (["gzip"], ["deflate"]):
        raise RequestRefusedError(
            415,
            f"Content-Encoding is {clip(', '.join(codings))}: a body may be compressed once, with "
            f"one of {ENCODINGS}",
        )
    return codings[0]


def expand_body(body: bytes, coding: str, limit_bytes: int) -> bytes:
    """Return what a compressed body holds; `coding` is one of ENCODINGS.

    Raises RequestRefusedError: 413 as soon as it is over the limit, 400 when it is broken.
    """
    expanding = _gzip if coding == "gzip" else _deflate
    try:
        return expanding(body, limit_bytes)
    except zlib.error as error:
        raise _broken(coding, "it cannot be expanded") from error


def _gzip(body: bytes, limit_bytes: int) -> bytes:
    members = list[bytes]()
    while body or not members:
        if len(members) == _MOST_MEMBERS:
            raise _broken("gzip", f"it has more than {_MOST_MEMBERS} members")
        member, body = _member(body, "gzip", _GZIP, limit_bytes - sum(map(len, members)))
        members.append(member)
    return b"".join(members)


def _deflate(body: bytes, limit_bytes: int) -> bytes:
    # The header of the zlib format is what the name stands for; some clients leave it out.
    has_header = (
        len(body) > 1 and body[0] & _METHOD == _DEFLATE and not (body[0] << 8 | body[1]) % 31
    )
    plain, rest = _member(body, "deflate", _ZLIB if has_header else _BARE, limit_bytes)
    if rest:
        raise _broken("deflate", f"{len(rest)} bytes follow its end")
    return plain


def _member(body: bytes, coding: str, window: int, left: int) -> tuple[bytes, bytes]:
    """Return what a compressed stream holds, at most `left` bytes, and what follows it."""
    stream = zlib.decompressobj(window)
    plain = stream.decompress(body, left + 1)
    if len(plain) > left:
        raise RequestRefusedError(
            413, "the body is too large once it is expanded; send the rows in several requests"
        )
    if not stream.eof:
        raise _broken(coding, "it ends too early")
    return plain, stream.unused_data


def _broken(coding: str, problem: str) -> RequestRefusedError:
    return RequestRefusedError(
        400, f"the body is not what Content-Encoding {coding} says: {problem}"
    )
