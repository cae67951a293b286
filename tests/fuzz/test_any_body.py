"""Thousands of bodies over kept-alive connections: refused in a sentence, and nothing is left."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from benchmarks.serving_client import Reply, connect
from benchmarks.serving_defects import busy
from benchmarks.serving_load import Post
from benchmarks.serving_process import resident_mib
from tests.fuzz.bodies import Fuzzer
from tests.serving.served import WIDTH, Served, linear, rows, served

FUZZ = int(os.environ.get("FUZZ") or 3000)
IS_WHOLE = "FUZZ" in os.environ
CONNECTIONS = 4
SEED = 20260101


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a server of one small model."""
    with served(tmp_path_factory.mktemp("served"), linear(1)) as one:
        yield one


def test_any_body_is_answered_or_refused_in_a_sentence(serving: Served) -> None:
    """No 5xx, every refusal is `{"error": sentence}`, no memory is kept, and it still answers.

    With FUZZ set, as `make test-fuzz` does, its speed afterwards is within a tenth of before.
    """
    fuzzer = Fuzzer(tuple(f"feature_{number}" for number in range(WIDTH)), SEED)
    pid, port = serving.server.process.pid, serving.server.port
    asked = serving.asked(serving.models["1"], rows(64))
    busy(asked, 16, 1.0)
    _send(port, fuzzer.draw(max(1000, FUZZ // 10)))
    speed, memory = _speed(serving), resident_mib(pid)
    statuses = _send(port, fuzzer.draw(FUZZ))
    after, memory_after = _speed(serving), resident_mib(pid)
    sys.stdout.write(
        f"\n{FUZZ:,} bodies, by status: {dict(sorted(statuses.items()))}; "
        f"memory {memory:.0f} MiB before, {memory_after:.0f} MiB after; "
        f"good requests a second: {speed:,.0f} before, {after:,.0f} after\n"
    )
    assert sum(statuses.values()) == FUZZ
    assert statuses[200] < FUZZ / 2
    assert memory_after < 1.1 * memory
    if IS_WHOLE:
        assert after > 0.9 * speed


def _speed(serving: Served) -> float:
    """Return good requests a second, the median of a few looks."""
    asked = serving.asked(serving.models["1"], rows(64))
    seconds = 1.0 if IS_WHOLE else 0.1
    return float(np.median([busy(asked, 16, seconds) for _ in range(5)]))


def _send(port: int, posts: Iterable[Post]) -> Counter[int]:
    """Send the requests over a few connections and count the answers by status."""
    waiting, statuses = iter(posts), Counter[int]()

    async def one() -> None:
        connection = await connect(port)
        for post in waiting:
            reply = await connection.ask(post.raw())
            _require_in_order(post, reply)
            statuses[reply.status] += 1
            if reply.status == 413:  # the rest of the body is not read, so the connection ends
                connection.cut()
                connection = await connect(port)
        connection.cut()

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(one())

    asyncio.run(run())
    return statuses


def _require_in_order(post: Post, reply: Reply) -> None:
    told = f"{reply.status} {reply.body[:300]!r} to {post.headers} {post.body[:300]!r}"
    assert 200 <= reply.status < 500, told
    if reply.status != 200:
        answer = json.loads(reply.body)
        assert set(answer) == {"error"}, told
        assert len(str(answer["error"]).split()) > 2, told
