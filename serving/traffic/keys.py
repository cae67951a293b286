"""API keys.

A given key is compared with every valid key, each in constant time and by its digest, so that the
response time reveals nothing about a key. The file of keys may be replaced while the server runs.
When it is emptied or deleted, its keys are no longer valid; if no key is left, no request is
allowed, so that a server started with keys is never open. When it cannot be read, the keys stay as
they are.
"""

import binascii
import hmac
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

from serving.refusals import RequestRefusedError
from serving.values.units import MIB

LOG = logging.getLogger("serving.keys")
LOOK_SECONDS = 1.0
_MOST_SHOWN = 4
"""Most keys in one request: each is compared with every valid key, and HPACK repeats a header in
one byte."""
LARGEST_BYTES = MIB
"""Largest size of the file, which is read whole: enough for tens of thousands of keys."""

_MISSING = (
    "an API key is needed: send it as `Authorization: Bearer KEY`, as `X-API-Key: KEY`, or as the "
    "password of HTTP basic authentication"
)
_WRONG = "this API key is none that the server knows; ask whoever runs it for a new one"
_COMMENT = re.compile(r"(?:^|\s)#.*")
_Read = tuple[bytes, ...] | str
"""The digests of a file's keys, or the sentence that says why they cannot be read."""


class Keys:
    """The keys of a file and one from the environment.

    The file is UTF-8, with or without a byte order mark. Each line is a key; blanks around it,
    empty lines, and what follows a `#` at the start of a line or behind a blank do not count.
    """

    def __init__(
        self, key: str | None, file: Path | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read the file; ValueError when it is unreadable or empty. `clock` returns seconds."""
        self._own = _digests((key,)) if key else ()
        self._file = file
        self._clock = clock
        self._next_look = clock() + LOOK_SECONDS
        self._last: _Read = ()
        if file is not None:
            self._last = _read(file)
            if isinstance(self._last, str):
                raise ValueError(self._last)
            if not self._last:
                raise ValueError(f"{file} is not there or holds no API key: write one a line")
        self._digests = self._own + self._last

    @property
    def are_asked(self) -> bool:
        """Return whether a request needs a key."""
        return bool(self._own) or self._file is not None

    def require(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raise RequestRefusedError with status 401 unless a request has a valid key, if needed.

        `headers` are ASGI headers, or gRPC metadata as bytes: lower-case names and their values.
        """
        if not self.are_asked:
            return
        if self._file is not None and self._clock() >= self._next_look:
            self._next_look = self._clock() + LOOK_SECONDS
            self._look(self._file)
        sentence = _MISSING
        left = _MOST_SHOWN
        for name, value in headers:
            if name == b"authorization":
                key = _key(value)
            elif name == b"x-api-key":
                key = value
            else:
                continue
            if self._knows(key):
                return
            sentence = _WRONG
            left -= 1
            if not left:
                break
        raise RequestRefusedError(401, sentence)

    def _knows(self, key: bytes) -> bool:
        digest = sha256(key).digest()
        is_known = False
        for one in self._digests:
            is_known |= hmac.compare_digest(one, digest)
        return is_known

    def _look(self, file: Path) -> None:
        """Read the file again; its content is compared, as its time and size may be unchanged."""
        found = _read(file)
        if found == self._last:
            return
        self._last = found
        if isinstance(found, str):
            LOG.warning("%s; the keys that were read before stay good", found)
            return
        self._digests = self._own + found
        if found:
            LOG.info("%s has changed: %d keys are good now", file, len(self._digests))
        else:
            left = "the key in SERVING_API_KEY is good" if self._own else "nobody gets in"
            LOG.warning("%s is gone or holds no key: all its keys are revoked, %s", file, left)


def _read(file: Path) -> _Read:
    try:
        text = _content(file).decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        return _unreadable(file, error.strerror or type(error).__name__)
    except UnicodeDecodeError as error:
        return _unreadable(file, f"byte {error.start} is not UTF-8")
    if "\0" in text:
        return _unreadable(file, "it holds NUL characters, as UTF-16 does")
    lines = (_COMMENT.sub("", line).strip() for line in text.splitlines())
    return _digests(line for line in lines if line)


def _content(file: Path) -> bytes:
    """Return the bytes of a regular file that is not too large; raises OSError."""
    # Without waiting: opening a pipe that nobody writes to would stop every request.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is no regular file")
        with open(descriptor, "rb", closefd=False) as opened:
            content = opened.read(LARGEST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > LARGEST_BYTES:
        raise OSError(0, f"it is over {LARGEST_BYTES // MIB} MiB")
    return content


def _unreadable(file: Path, why: str) -> str:
    return f"the API keys in {file} cannot be read: {why}"


def _digests(keys: Iterable[str]) -> tuple[bytes, ...]:
    """Return the digest of each key, each once."""
    encoded = (key.encode(errors="surrogateescape") for key in keys)
    return tuple(dict.fromkeys(sha256(key).digest() for key in encoded))


def _key(value: bytes) -> bytes:
    """Return the key in an Authorization header (RFC 6750, RFC 7617)."""
    scheme, _, rest = value.strip().partition(b" ")
    scheme = scheme.lower()
    if scheme == b"bearer":
        return rest.strip()
    if scheme == b"basic":
        try:
            return binascii.a2b_base64(rest).partition(b":")[2]
        except binascii.Error:
            return b""
    return b""
