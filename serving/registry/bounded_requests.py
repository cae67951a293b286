"""HTTP requests to a registry that may respond slowly, without end, or with nonsense.

Guarantees that every request ends within a time limit for the whole response, however the bytes
arrive, and within a size limit. A failure is one sentence, without any bytes of the response.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from serving.values.units import GIB, KIB, MIB

_YIELD_EVERY = 64
"""After so many pieces the event loop gets a turn: tiny pieces may arrive without any pause."""
_BUFFER_BYTES = MIB
_REFUSAL_BYTES = 8 * KIB
"""Bytes that are read of an error response: enough to recognise its kind."""
_ONLY_PLAIN = {"Accept-Encoding": "identity"}


@dataclass(frozen=True)
class Bounds:
    """Limits for the time and size of a registry's responses."""

    seconds: float = 10.0
    """For a request and its whole response; MLflow takes less than a second, a few when busy."""
    answer_bytes: int = 8 * MIB
    """Size of a response: 200 models with 40 KiB of tags and descriptions each."""
    most_pages: int = 50
    """Pages of a list; with 200 models on a page that is 10,000 models."""
    grace_seconds: float = 10.0
    """Seconds before the pace of a download counts."""
    bytes_a_second: int = 2**17
    """Least average pace of a download after that: that of a line with 1 Mbit/s."""
    download_seconds: float = 1800.0
    """Longest time for one file, whatever its pace."""
    manifest_bytes: int = 16 * MIB
    """Size of `bundle.json`, which has features, categories and a few rows."""
    model_bytes: int = 2 * GIB
    """Size of the model file."""


class StatusError(Exception):
    """The response has a status other than 200; `said` is the beginning of its text."""

    def __init__(self, status: int, said: str) -> None:
        """`status` is the HTTP status, `said` the beginning of the body as text."""
        super().__init__(f"it answered {status}")
        self.status = status
        self.said = said


class OutOfBoundsError(Exception):
    """The response takes too long, is too large, or has an encoding that cannot be bounded."""


TROUBLE = (httpx.HTTPError, httpx.InvalidURL, OutOfBoundsError, OSError)


class BoundedClient:
    """A client of one HTTP server."""

    def __init__(self, url: str, headers: dict[str, str], bounds: Bounds) -> None:
        """`url` is the server's root, `headers` are sent with every request."""
        # The registry is a neighbour: a proxy that the machine uses for the internet is not asked.
        direct = {"http://": None, "https://": None}
        self._bounds = bounds
        # As many as there are: one download that hangs must not keep a question waiting. They are
        # let go well before a server lets go of them, which is after five seconds as a rule.
        any_number = httpx.Limits(
            max_connections=None, max_keepalive_connections=4, keepalive_expiry=2.0
        )
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=bounds.seconds,
            mounts=direct,
            headers=headers | _ONLY_PLAIN,
            limits=any_number,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def answer(self, path: str, query: dict[str, str]) -> bytes:
        """Return the body of a successful response; raises StatusError or one of TROUBLE."""
        bounds = self._bounds
        body = bytearray()
        try:
            async with asyncio.timeout(bounds.seconds):
                async with self._opened(path, query) as answer:
                    async for piece in _pieces(answer, bounds.answer_bytes):
                        body += piece
        except TimeoutError as error:
            raise OutOfBoundsError(f"no whole answer came within {bounds.seconds:g} s") from error
        return bytes(body)

    async def download(self, path: str, target: Path, most_bytes: int) -> None:
        """Write the body of a successful response to a file; raises as `answer` does.

        The time limit grows with the bytes received: a stalled download ends soon, a large one may
        complete.
        """
        bounds, loop = self._bounds, asyncio.get_running_loop()
        started, received = loop.time(), 0
        latest = started + bounds.download_seconds
        try:
            async with asyncio.timeout(min(bounds.grace_seconds, bounds.download_seconds)) as limit:
                async with self._opened(path, {}) as answer:
                    with target.open("wb") as file:
                        async for block in _blocks(_pieces(answer, most_bytes)):
                            received += len(block)
                            paid = started + bounds.grace_seconds + received / bounds.bytes_a_second
                            limit.reschedule(min(paid, latest))
                            await asyncio.to_thread(file.write, block)
        except TimeoutError as error:
            raise OutOfBoundsError("its bytes come too slowly to wait for them") from error

    @asynccontextmanager
    async def _opened(self, path: str, query: dict[str, str]) -> AsyncIterator[httpx.Response]:
        # What it wants remembered would only grow.
        self._client.cookies.clear()
        async with self._client.stream("GET", path, params=query) as answer:
            if answer.headers.get("content-encoding", "identity").lower() != "identity":
                raise OutOfBoundsError("its answer is compressed, which it was not asked for")
            if answer.status_code != httpx.codes.OK:
                raise StatusError(answer.status_code, await _beginning(answer))
            yield answer


async def _pieces(answer: httpx.Response, most_bytes: int) -> AsyncIterator[bytes]:
    """Yield the body as it comes; OutOfBoundsError as soon as it is known to be too large."""
    announced = answer.headers.get("content-length", "")
    received = int(announced) if announced.isdecimal() and len(announced) < 20 else 0  # noqa: PLR2004
    _require_within(received, most_bytes)
    received = count = 0
    async for piece in answer.aiter_raw():
        received += len(piece)
        _require_within(received, most_bytes)
        yield piece
        count += 1
        if count % _YIELD_EVERY == 0:
            await asyncio.sleep(0)


def _require_within(size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise OutOfBoundsError(f"its answer is over {most_bytes / MIB:g} MiB")


async def _blocks(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join small pieces to blocks of a reasonable size for writing."""
    buffer = bytearray()
    async for piece in pieces:
        buffer += piece
        if len(buffer) >= _BUFFER_BYTES:
            yield bytes(buffer)
            buffer.clear()
    yield bytes(buffer)


async def _beginning(answer: httpx.Response) -> str:
    said = bytearray()
    async for piece in answer.aiter_raw():
        said += piece
        if len(said) >= _REFUSAL_BYTES:
            break
    return bytes(said[:_REFUSAL_BYTES]).decode(errors="replace")


def reason(error: BaseException) -> str:
    """Return a sentence about a failure, without any text of the response."""
    if isinstance(error, httpx.RemoteProtocolError):
        return "what it sends is no HTTP, or breaks off"
    if isinstance(error, OSError):
        return f"the files cannot be written: {error.strerror or type(error).__name__}"
    if isinstance(error, httpx.ReadError | httpx.WriteError):
        return "the connection broke off"
    return str(error) or type(error).__name__
