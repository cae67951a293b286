"""A long day in miniature: a steady 70 % of what the server can do, and a new version every 5 s.

    python -m benchmarks.serving_soak SECONDS

Prints how its memory went. Exits 1 when a request failed, when a swap did not happen, or when the
memory grew by a tenth after it had settled, which it may take the first minute for.
"""

import json
import statistics
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks import serving_load
from benchmarks.serving_contenders import ratchet_contender
from benchmarks.serving_load import Load, Post
from benchmarks.serving_model import NAME, Model, model
from benchmarks.serving_process import (
    Ratchet,
    await_version,
    end_like_an_interrupt,
    ratchet,
    resident_mib,
)
from benchmarks.serving_registry import Registry, registry

SHARE = 0.7
CONNECTIONS = 64
SWAP_SECONDS = 5.0
SETTLED_SECONDS = 60.0
MOST_GROWTH = 0.1
_REQUESTS = 32


@dataclass(frozen=True)
class Memory:
    """How the resident memory went after it had settled."""

    first_mib: float
    last_mib: float
    slope_mib_per_minute: float

    @property
    def growth(self) -> float:
        """Share by which the last tenth of the time had more than the first."""
        return self.last_mib / self.first_mib - 1


def main() -> int:
    """Run for as many seconds as the argument says and return the exit code."""
    end_like_an_interrupt()
    serving_load.require_wrk()
    seconds = float(sys.argv[1])
    console = Console(highlight=False, width=100)
    with tempfile.TemporaryDirectory() as folder, registry(NAME) as kept:
        served = model(Path(folder))
        versions = [kept.publish(served.bundle, served.digest) for _ in range(2)]
        kept.point(versions[0])
        with ratchet(kept.url, Path(folder), model=NAME) as server:
            posts = _posts(server, served)
            capacity = serving_load.http(server.port, posts, CONNECTIONS, 5.0)
            pause = _pause(server, posts, SHARE * capacity.per_second)
            with ThreadPoolExecutor(1) as pool:
                load = pool.submit(
                    serving_load.http, server.port, posts, CONNECTIONS, seconds, pause
                )
                samples, swaps = _watch(server, kept, versions, load)
            figures = _figures(capacity, load.result(), samples, seconds)
    memory = _memory(samples, seconds)
    console.print(
        f"{seconds:.0f} s, {swaps} swaps, {figures['requests_per_second']:,.0f} requests/s, "
        f"{figures['share_of_capacity']:.0%} of {capacity.per_second:,.0f}; p99 "
        f"{figures['p99_ms']:.1f} ms. Memory {memory.first_mib:.0f} MiB when it had settled, "
        f"{memory.last_mib:.0f} MiB at the end: {memory.growth:+.1%}, "
        f"{memory.slope_mib_per_minute:+.2f} MiB a minute."
    )
    is_held = memory.growth < MOST_GROWTH
    print(json.dumps({"benchmark": "soak", "swaps": swaps, "is_held": is_held, **figures}))
    return 0 if is_held else 1


def _posts(server: Ratchet, served: Model) -> list[Post]:
    make = ratchet_contender(server).posts["json"]
    return [make(served.rows[number : number + 1]) for number in range(_REQUESTS)]


def _pause(server: Ratchet, posts: list[Post], wanted: float) -> float:
    """Return the mean pause in ms after each answer that gives about so many requests a second."""
    pause = 1000 * CONNECTIONS / wanted
    for _ in range(3):
        found = serving_load.http(server.port, posts, CONNECTIONS, 2.0, pause).per_second
        pause = max(0.1, pause + 1000 * CONNECTIONS * (1 / wanted - 1 / found))
    return pause


def _watch(
    server: Ratchet, registry: Registry, versions: list[str], load: "Future[Load]"
) -> tuple[list[tuple[float, float]], int]:
    """Swap and weigh until the load ends; return (second, MiB) pairs and how many swaps."""
    began, swaps = time.monotonic(), 0
    samples: list[tuple[float, float]] = []
    while not load.done():
        now = time.monotonic() - began
        samples.append((now, resident_mib(server.process.pid)))
        if now > SWAP_SECONDS * (swaps + 1):
            swaps += 1
            registry.point(versions[swaps % 2])
            await_version(server, NAME, versions[swaps % 2])
        time.sleep(0.5)
    return samples, swaps


def _memory(samples: list[tuple[float, float]], seconds: float) -> Memory:
    start = min(SETTLED_SECONDS, seconds / 4)
    settled = [(at, mib) for at, mib in samples if at >= start]
    tenth = max(1, len(settled) // 10)
    sizes = [mib for _, mib in settled]
    slope = float(np.polyfit([at for at, _ in settled], sizes, 1)[0])
    first, last = statistics.median(sizes[:tenth]), statistics.median(sizes[-tenth:])
    return Memory(first, last, 60 * slope)


def _figures(
    capacity: Load, load: Load, samples: list[tuple[float, float]], seconds: float
) -> dict[str, float]:
    memory = _memory(samples, seconds)
    figures = {
        "seconds": seconds,
        "requests_per_second": load.per_second,
        "share_of_capacity": load.per_second / capacity.per_second,
        "p99_ms": load.p99_ms,
        "memory_mib": memory.last_mib,
        "memory_growth": memory.growth,
        "memory_slope_mib_per_minute": memory.slope_mib_per_minute,
    }
    return {name: round(value, 4) for name, value in figures.items()}


if __name__ == "__main__":
    sys.exit(main())
