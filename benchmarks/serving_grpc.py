"""A closed-loop gRPC client in a process of its own, the same for every server.

    python -m benchmarks.serving_grpc PORT MESSAGE_FILE CONNECTIONS SECONDS

Sends one serialised message to `inference.GRPCInferenceService/ModelInfer` again and again, over
as many connections as asked, and prints one line of JSON. Answers are not parsed.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from statistics import quantiles

import grpc

from benchmarks.serving_process import KEY

METHOD = "/inference.GRPCInferenceService/ModelInfer"
METADATA = (("authorization", f"Bearer {KEY}"),)
_OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)


async def ask(channel: grpc.aio.Channel, message: bytes) -> bytes:
    """Return the serialised answer to a serialised request; raises AioRpcError."""
    answer: bytes = await channel.unary_unary(METHOD)(message, metadata=METADATA, timeout=30)
    return answer


async def load(port: int, message: bytes, connections: int, seconds: float) -> dict[str, float]:
    """Keep so many connections busy for so long and return the figures."""
    began = time.perf_counter()
    busy = [_busy(port, message, began + seconds) for _ in range(connections)]
    taken = [one for latencies in await asyncio.gather(*busy) for one in latencies]
    cuts = [1000 * cut for cut in quantiles(taken, n=100)]
    figures = {"requests": len(taken), "seconds": time.perf_counter() - began}
    return figures | {"p50_ms": cuts[49], "p99_ms": cuts[98], "refused": 0, "broken": 0}


async def _busy(port: int, message: bytes, end: float) -> list[float]:
    latencies = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", _OWN_CONNECTION) as channel:
        await ask(channel, message)
        while (sent := time.perf_counter()) < end:
            await ask(channel, message)
            latencies.append(time.perf_counter() - sent)
    return latencies


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
