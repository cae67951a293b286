"""Thousands of bodies over kept-alive connections: refused in a sentence, and nothing is left."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from benchmarks.serving_client import Reply, connect
from benchmarks.serving_defects import Target, busy
from benchmarks.serving_load import Post
from benchmarks.serving_process import resident_mib
from tests.fuzz.bodies import Fuzzer
from tests.serving.served import WIDTH, Served, linear, rows, served
from tests.suite_profile import PROFILE

FUZZ = PROFILE.bodies
CONNECTIONS = 4
SEED = 20260101


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a server of one small model."""
    with served(tmp_path_factory.mktemp("served"), linear(1)) as one:
        yield one


def test_any_body_is_answered_or_refused_in_a_sentence(serving: Served, tmp_path: Path) -> None:
    """No 5xx, every refusal is `{"error": sentence}`, no memory is kept, and it still answers.

    On a quiet machine, as `make test-fuzz` needs one, a good request then costs at most a tenth
    more than in a server that was never sent anything else.
    """
    fuzzer = Fuzzer(tuple(f"feature_{number}" for number in range(WIDTH)), SEED)
    pid, port = serving.server.process.pid, serving.server.port
    busy(_asked(serving), 16, 1.0)
    _send(port, fuzzer.draw(max(1000, FUZZ // 10)))
    memory = resident_mib(pid)
    statuses = _send(port, fuzzer.draw(FUZZ))
    memory_after = resident_mib(pid)
    told = f"{FUZZ:,} bodies, by status: {dict(sorted(statuses.items()))}; "
    sys.stdout.write(f"\n{told}memory {memory:.0f} MiB before, {memory_after:.0f} MiB after\n")
    assert sum(statuses.values()) == FUZZ
    assert statuses[200] < FUZZ / 2
    assert memory_after < 1.1 * memory
    assert busy(_asked(serving), 4, 0.2) > 0
    if PROFILE.is_quiet_machine:
        with served(tmp_path, serving.models["1"]) as fresh:
            times = _times_dearer(serving, fresh)
        sys.stdout.write(f"a good request costs {times:.3f} times what a fresh server takes\n")
        assert times < 1.1


def _times_dearer(fuzzed: Served, fresh: Served) -> float:
    """Return what a good request costs one server in terms of another, taken in turns.

    In seconds of processor time, because the clock also shows what else the machine does.
    """
    _seconds_each(fresh)
    return float(np.median([_seconds_each(fuzzed) / _seconds_each(fresh) for _ in range(9)]))


def _seconds_each(server: Served) -> float:
    """Return the processor time of a good request."""
    process, seconds = psutil.Process(server.server.process.pid), 0.7
    before = process.cpu_times()
    answers = seconds * busy(_asked(server), 16, seconds)
    after = process.cpu_times()
    return float(after.user + after.system - before.user - before.system) / answers


def _asked(server: Served) -> Target:
    return server.asked(server.models["1"], rows(64))


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
