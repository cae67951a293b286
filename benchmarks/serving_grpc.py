"""A closed-loop gRPC client in a process of its own, the same for every server.

    python -m benchmarks.serving_grpc PORT MESSAGE_FILE CONNECTIONS SECONDS

Sends one serialised message to `inference.GRPCInferenceService/ModelInfer` again and again, over
as many connections as asked, and prints one line of JSON. The first call of a connection goes
through grpcio, which says what is wrong; the measured ones are HTTP/2 frames written by hand (RFC
9113, and gRPC over HTTP/2), because grpcio's own client takes longer for a call than the server.
"""

import asyncio
import json
import struct
import sys
import time
from pathlib import Path
from statistics import quantiles

import grpc

from benchmarks.serving_process import KEY

METHOD = "/inference.GRPCInferenceService/ModelInfer"
METADATA = (("authorization", f"Bearer {KEY}"),)
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_ACK = _END_STREAM = 1
_END_HEADERS = 4
_MOST_CREDIT = 2**31 - 1 - 65_535
"""What a connection's window can be raised by: so much may come before more is asked for."""


class Line:
    """One HTTP/2 connection that makes one call after another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Greet the server; its own greeting is read with the first answer."""
        self._reader, self._writer = reader, writer
        self._stream = -1
        self._head = _head()
        writer.write(_PREFACE + _frame(_SETTINGS, 0, 0, b""))
        writer.write(_frame(_WINDOW, 0, 0, struct.pack(">I", _MOST_CREDIT)))

    async def call(self, message: bytes) -> int:
        """Make a call and return the length of the message that answered it.

        A refused call has none: raises ConnectionError.
        """
        self._stream += 2
        body = b"\0" + struct.pack(">I", len(message)) + message
        headers = _frame(_HEADERS, _END_HEADERS, self._stream, self._head)
        self._writer.write(headers + _frame(_DATA, _END_STREAM, self._stream, body))
        size, is_over = 0, False
        while not is_over:
            kind, flags, stream, payload = await self._read()
            if kind == _DATA:
                size += len(payload)
            elif kind in (_RESET, _GOAWAY):
                raise ConnectionError(f"the server ended a call with frame {kind}: {payload!r}")
            is_over = kind in (_DATA, _HEADERS) and stream == self._stream and bool(flags & 1)
        if not size:
            raise ConnectionError("the server refused a call that it had answered before")
        return size

    def close(self) -> None:
        """Leave."""
        self._writer.close()

    async def _read(self) -> tuple[int, int, int, bytes]:
        """Return the next frame; what only keeps the connection alive is answered here."""
        head = await self._reader.readexactly(9)
        kind, flags = head[3], head[4]
        payload = await self._reader.readexactly(int.from_bytes(head[:3]))
        if kind == _PING and not flags & _ACK:
            self._writer.write(_frame(_PING, _ACK, 0, payload))
        elif kind == _SETTINGS and not flags & _ACK:
            self._writer.write(_frame(_SETTINGS, _ACK, 0, b""))
        return kind, flags, int.from_bytes(head[5:]), payload


async def load(port: int, message: bytes, connections: int, seconds: float) -> dict[str, float]:
    """Keep so many connections busy for so long and return the figures."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await channel.unary_unary(METHOD)(message, metadata=METADATA, timeout=30)
    lines = [Line(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(connections)]
    await asyncio.gather(*(line.call(message) for line in lines))
    began = time.perf_counter()
    busy = (_busy(line, message, began + seconds) for line in lines)
    taken = [one for latencies in await asyncio.gather(*busy) for one in latencies]
    took = time.perf_counter() - began
    cuts = [1000 * cut for cut in quantiles(taken, n=100)]
    figures = {"requests": len(taken), "seconds": took, "refused": 0, "broken": 0}
    return figures | {"p50_ms": cuts[49], "p99_ms": cuts[98]}


async def _busy(line: Line, message: bytes, end: float) -> list[float]:
    latencies = []
    while (sent := time.perf_counter()) < end:
        await line.call(message)
        latencies.append(time.perf_counter() - sent)
    line.close()
    return latencies


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _head() -> bytes:
    """Return the headers of a call in HPACK (RFC 7541), none of them put into its table."""
    post, http = b"\x83", b"\x86"  # whole fields of the static table
    named = ((b"\x04", METHOD), (b"\x01", "127.0.0.1"), (b"\x0f\x10", "application/grpc"))
    key = ((b"\x0f\x08", METADATA[0][1]), (b"\x00\x02te", "trailers"))
    fields = (name + bytes((len(value),)) + value.encode() for name, value in (*named, *key))
    return post + http + b"".join(fields)


def main() -> None:
    """Run the load that the arguments ask for and print its figures."""
    port, file, connections, seconds = sys.argv[1:]
    loaded = load(int(port), Path(file).read_bytes(), int(connections), float(seconds))
    try:
        print(json.dumps(asyncio.run(loaded)))
    except grpc.aio.AioRpcError as error:
        raise SystemExit(f"{error.code()}: {error.details()}") from error


if __name__ == "__main__":
    main()
