"""`python -m tests.serving.hostile PORT KIND=NUMBER ...`: callers without a key who mean no good.

All come from 127.0.0.2, say "ready" on a line when they are at work, and go on until they are
killed.
"""

import asyncio
import resource
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

HOST = "127.0.0.2"
INFER = b"POST /v2/models/boxes/infer HTTP/1.1\r\nHost: x\r\n"
_MIB = b"x" * 2**20
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def idle(streams: Streams) -> None:
    """Say nothing at all."""
    await streams[0].read()


async def drip(streams: Streams) -> None:
    """Send a byte of a header a second."""
    streams[1].write(INFER + b"X-Drip: ")
    while True:
        streams[1].write(b"x")
        await streams[1].drain()
        await asyncio.sleep(1)


async def drip_body(streams: Streams) -> None:
    """Send a byte of a body a second."""
    streams[1].write(INFER + b"Content-Length: 1000000\r\n\r\n")
    while True:
        streams[1].write(b"x")
        await streams[1].drain()
        await asyncio.sleep(1)


async def huge(streams: Streams) -> None:
    """Send a header of 100 MiB."""
    streams[1].write(INFER + b"X-Huge: ")
    for _ in range(100):
        streams[1].write(_MIB)
        await streams[1].drain()
    await streams[0].read()


async def fat(streams: Streams) -> None:
    """Send a body of 31 MiB."""
    streams[1].write(INFER + b"Content-Length: %d\r\n\r\n" % (31 * len(_MIB)))
    for _ in range(31):
        streams[1].write(_MIB)
        await streams[1].drain()
    await streams[0].read()


KINDS: dict[str, Callable[[Streams], Awaitable[None]]] = {
    one.__name__: one for one in (idle, drip, drip_body, huge, fat)
}


async def _attack(port: int, kind: str, gate: asyncio.Semaphore) -> None:
    with suppress(OSError):
        async with gate:
            streams = await asyncio.open_connection("127.0.0.1", port, local_addr=(HOST, 0))
        try:
            await KINDS[kind](streams)
        finally:
            streams[1].close()


async def _main(port: int, wanted: list[str]) -> None:
    gate = asyncio.Semaphore(100)
    attacks = [
        asyncio.ensure_future(_attack(port, kind, gate))
        for kind, _, number in (one.partition("=") for one in wanted)
        for _ in range(int(number))
    ]
    await asyncio.sleep(1)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.gather(*attacks)
    await asyncio.sleep(600)


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2:]))
