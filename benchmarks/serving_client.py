"""HTTP over a socket of one's own, for what a well-behaved client will not do.

A connection can be opened before its request is sent, so that many requests leave in the same
instant, and can be cut off while its request is being answered.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from benchmarks.serving_load import Post


@dataclass(frozen=True)
class Reply:
    """What came back; `status` is 0 where nothing did."""

    status: int
    body: bytes
    sent: float
    """When the request was written, and when the answer was complete: `time.monotonic`, seconds."""
    came: float


class Connection:
    """A kept-alive connection to a loopback port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take both ends of an open stream."""
        self._reader, self._writer = reader, writer

    def send(self, raw: bytes) -> None:
        """Write a request without waiting for anything."""
        self._writer.write(raw)

    async def drained(self) -> None:
        """Return once the kernel has most of what was sent; a broken connection is no error."""
        with suppress(OSError):
            await self._writer.drain()

    async def receive(self, sent: float, seconds: float = 30.0) -> Reply:
        """Read one answer; a connection that broke, or was silent for so long, gives status 0."""
        try:
            async with asyncio.timeout(seconds):
                status, body = await self._answer()
        except (OSError, EOFError, ValueError):
            return Reply(0, b"", sent, time.monotonic())
        return Reply(status, body, sent, time.monotonic())

    async def ask(self, raw: bytes, seconds: float = 30.0) -> Reply:
        """Send a request and read its answer."""
        sent = time.monotonic()
        self.send(raw)
        return await self.receive(sent, seconds)

    def cut(self) -> None:
        """Reset the connection, whatever is under way."""
        self._writer.transport.abort()

    async def _answer(self) -> tuple[int, bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head[9:12])
        if b"transfer-encoding: chunked" in head:
            return status, await self._chunks()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return status, await self._reader.readexactly(length)

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self._reader.readline(), 16):
            body += (await self._reader.readexactly(size + 2))[:size]
        await self._reader.readline()
        return body


async def connect(port: int) -> Connection:
    """Open a connection; raises OSError."""
    return Connection(*await asyncio.open_connection("127.0.0.1", port, limit=2**20))


async def together(port: int, posts: Sequence[Post], seconds: float = 30.0) -> list[Reply]:
    """Send each request over a connection of its own in the same instant, and wait for all."""
    connections = [await connect(port) for _ in posts]
    try:
        sent = time.monotonic()
        for connection, post in zip(connections, posts, strict=True):
            connection.send(post.raw())
        return await asyncio.gather(*(one.receive(sent, seconds) for one in connections))
    finally:
        for connection in connections:
            connection.cut()
