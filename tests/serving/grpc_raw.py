"""HTTP/2 to the server frame by frame, as no client of gRPC would send it."""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from hpack import Decoder, Encoder

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED = 1, 4, 8
INFER = "/inference.GRPCInferenceService/ModelInfer"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame."""
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def prefixed(message: bytes, flag: int = 0) -> bytes:
    """Return a message as gRPC sends it."""
    return bytes((flag,)) + len(message).to_bytes(4) + message


@dataclass
class Raw:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    encoder: Encoder = field(default_factory=Encoder)
    decoder: Decoder = field(default_factory=Decoder)

    def send(self, *frames: bytes) -> None:
        """Send frames, or whatever bytes."""
        self.writer.write(b"".join(frames))

    def fields(self, path: str = INFER, key: str | None = None, **more: str) -> bytes:
        """Return the header fields of a call; `more` has underscores for hyphens."""
        sent = [(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "x")]
        sent += [("content-type", "application/grpc"), ("te", "trailers")]
        sent += [] if key is None else [("authorization", f"Bearer {key}")]
        return self.encoder.encode(sent + [(n.replace("_", "-"), v) for n, v in more.items()])

    def begin(self, stream: int, key: str | None = None, **more: str) -> bytes:
        """Return the frame that begins a call whose message follows."""
        return frame(HEADERS, END_HEADERS, stream, self.fields(key=key, **more))

    async def frames(self) -> AsyncIterator[tuple[int, int, int, bytes]]:
        """Yield kind, flags, stream and payload until the server closes."""
        while head := await self.reader.read(9):
            head += await self.reader.readexactly(9 - len(head))
            payload = await self.reader.readexactly(int.from_bytes(head[:3]))
            yield head[3], head[4], int.from_bytes(head[5:]), payload

    async def ends(self, streams: Iterable[int]) -> dict[int, int]:
        """Return the gRPC status of each of these calls, which all end."""
        waiting, found = set(streams), {}
        async for kind, flags, stream, payload in self.frames():
            if kind == HEADERS:
                told = dict(self.decoder.decode(payload, raw=True))
                if flags & END_STREAM:
                    found[stream] = int(told[b"grpc-status"])
                    waiting.discard(stream)
            if not waiting:
                break
        return found


@asynccontextmanager
async def raw(
    port: int, source: str = "127.0.0.2", greets: bytes | None = None
) -> AsyncIterator[Raw]:
    """Connect from a loopback address of its own, and greet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    writer.write(PREFACE + settings() if greets is None else greets)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
