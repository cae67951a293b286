"""API keys: who may ask.

Every key is compared, each in constant time and by its digest, so that the time an answer takes
says nothing of a key. The file may be replaced while the server runs; one that cannot be read or
holds no key changes nothing.
"""

import binascii
import hmac
import logging
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

from serving.refusals import RequestRefusedError

LOG = logging.getLogger("serving.keys")
LOOK_SECONDS = 1.0

_MISSING = (
    "an API key is needed: send it as `Authorization: Bearer KEY`, as `X-API-Key: KEY`, or as the "
    "password of HTTP basic authentication"
)
_WRONG = "this API key is none that the server knows; ask whoever runs it for a new one"
_NO_CHANGE = (0, 0, 0)


class Keys:
    """The keys of a file, one a line with `#` comments, and one from the environment."""

    def __init__(
        self, key: str | None, file: Path | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read the file; ValueError when it cannot be read or is empty. `clock` gives seconds."""
        self._own = _digests((key,)) if key else ()
        self._file = file
        self._clock = clock
        self._state = _NO_CHANGE
        self._digests = self._own
        self._next_look = clock() + LOOK_SECONDS
        if file is not None:
            self._state = _state(file)
            self._digests = self._own + _read(file)

    @property
    def are_asked(self) -> bool:
        """Whether a request needs a key."""
        return bool(self._digests)

    def require(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Let a request pass that carries a key; RequestRefusedError with status 401 otherwise.

        Takes ASGI headers, or gRPC metadata as bytes: lower-case names and their values.
        """
        if not self._digests:
            return
        if self._file is not None and self._clock() >= self._next_look:
            self._look()
        sentence = _MISSING
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
        raise RequestRefusedError(401, sentence)

    def _knows(self, key: bytes) -> bool:
        digest = sha256(key).digest()
        is_known = False
        for one in self._digests:
            is_known |= hmac.compare_digest(one, digest)
        return is_known

    def _look(self) -> None:
        """Take the file's keys if it has changed."""
        self._next_look = self._clock() + LOOK_SECONDS
        if self._file is None:
            return
        state = _state(self._file)
        if state == self._state:
            return
        self._state = state
        try:
            found = _read(self._file)
        except ValueError as error:
            LOG.warning("%s; the keys that were read before stay good", error)
        else:
            self._digests = self._own + found
            LOG.info("%s has changed: %d keys are good now", self._file, len(self._digests))


def _read(file: Path) -> tuple[bytes, ...]:
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the API keys in {file} cannot be read: {error}") from error
    lines = (line.strip() for line in text.splitlines())
    found = _digests(line for line in lines if line and not line.startswith("#"))
    if not found:
        raise ValueError(f"{file} holds no API key: write one a line")
    return found


def _digests(keys: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(sha256(key.encode()).digest() for key in keys)


def _state(file: Path) -> tuple[int, int, int]:
    """Return what changes when somebody writes or replaces the file."""
    try:
        found = file.stat()
    except OSError:
        return _NO_CHANGE
    return found.st_mtime_ns, found.st_size, found.st_ino


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
