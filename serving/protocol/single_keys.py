"""Refuses duplicate keys in an object of a request, of which a decoder would take the last.

Another JSON reader could take the first, so such a request is ambiguous. A usual request costs one
count: a body with as many colons as it has known fields has each key once.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec

_TOKEN = re.compile(rb'("(?:[^"\\]++|\\.)*+")(\s*+:)?|[{}]', re.DOTALL)
_COLON = b":"


def first_repeated_key(raw: bytes) -> tuple[str, int] | None:
    """Return the first key that stands twice in one object, and in which; None without any.

    The objects are counted from 0, those inside of others not. `raw` is JSON that was decoded.
    """
    open_objects, index = list[set[bytes]](), -1
    for token in _TOKEN.finditer(raw):
        text, is_key = token.groups()
        if text is None and token[0] == b"{":
            index += not open_objects
            open_objects.append(set())
        elif text is None:
            open_objects.pop()
        elif is_key:
            key = text if b"\\" not in text else _plain(text)
            if key in open_objects[-1]:
                return str(msgspec.json.decode(text)), index
            open_objects[-1].add(key)
    return None


def require_single(body: bytes, data: Sequence[bytes], fields: int) -> None:
    """Raise ValueError when a key of a body stands twice, outside of its data.

    `data` are the pieces of the body that are judged by themselves, in their order, `fields` a
    number of keys that the body has for certain, each of them once.
    """
    colons = body.count(_COLON)
    if colons == fields or colons - sum(piece.count(_COLON) for piece in data) == fields:
        return
    again = first_repeated_key(b"[]".join(_around(body, data)))
    if again is not None:
        raise ValueError(f"the key {again[0][:60]} stands twice in one object")


def _around(body: bytes, data: Sequence[bytes]) -> Iterator[bytes]:
    """Yield what is left of a body when the pieces that are lists are taken out of it.

    An equal list before may be taken in place of one: what is in it is judged all the same.
    """
    start = 0
    for piece in data:
        place = body.find(piece, start) if piece.startswith(b"[") else -1
        if place >= 0:
            yield body[start:place]
            start = place + len(piece)
    yield body[start:]


def _plain(text: bytes) -> bytes:
    """Return a text as it is written without more backslashes than it needs."""
    return msgspec.json.encode(msgspec.json.decode(text))
