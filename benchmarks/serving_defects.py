"""Scenarios that cost other servers requests, told to any server that speaks V2.

Each returns how many of how many innocent requests were answered, and rightly. The tests hold
Ratchet to all of them; `benchmarks.defects` prints what MLServer makes of the same.
"""

import asyncio
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc
import numpy as np
from numpy.typing import NDArray

from benchmarks.serving_client import Connection, Reply, connect, together
from benchmarks.serving_contenders import Contender
from benchmarks.serving_grpc import METADATA, METHOD
from benchmarks.serving_load import Post
from benchmarks.serving_model import Rows

_PATIENCE = 3.0
"""Seconds after which a request counts as lost."""
_LONGEST_END = 12.0
"""Seconds that a server may take to answer what is in flight when it is asked to end."""
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Question:
    """A request and the probabilities that answer it."""

    post: Post
    expected: tuple[float, ...]


@dataclass(frozen=True)
class Target:
    """A running server, and requests in its dialect."""

    port: int
    grpc_port: int
    questions: Sequence[Question]
    """One-row requests, all different."""
    malformed: Post
    """A well-formed request whose row has one value too few: seen only when it is scored."""
    message: bytes
    """A good one-row request in gRPC."""
    read: Callable[[bytes], list[float]]
    """Returns the probabilities that an answer holds."""


def target(contender: Contender, rows: Rows, expected: NDArray[np.float64]) -> Target:
    """Return what the scenarios need to ask a contender about these rows, one a request."""
    make = contender.posts["json"]
    questions = [
        Question(make(rows[number : number + 1]), (float(expected[number]),))
        for number in range(len(rows))
    ]
    return Target(
        contender.port,
        contender.grpc_port or 0,
        questions,
        make(rows[:1, :-1]),
        contender.message(rows[:1]),
        contender.read,
    )


@dataclass(frozen=True)
class Outcome:
    """How many innocent requests got the right answer."""

    answered: int
    of: int


def malformed_beside(target: Target, rounds: int = 8, good: int = 31) -> Outcome:
    """Send, again and again, one malformed request in the same instant as good ones."""

    async def run() -> Outcome:
        answered = 0
        for number in range(rounds):
            asked = _turn(target.questions, number * good, good)
            middle = good // 2
            posts = [one.post for one in asked]
            replies = await together(
                target.port, [*posts[:middle], target.malformed, *posts[middle:]], _PATIENCE
            )
            replies.pop(middle)
            answered += _right(target, asked, replies)
        return Outcome(answered, rounds * good)

    return asyncio.run(run())


def hung_up_beside(target: Target, rounds: int = 20, good: int = 23) -> Outcome:
    """Send requests together, and let one client reset its connection right after sending."""

    async def run() -> Outcome:
        answered = 0
        for number in range(rounds):
            asked = _turn(target.questions, number * good, good)
            connections = [await connect(target.port) for _ in range(good + 1)]
            leaver = connections.pop(good // 2)
            sent = time.monotonic()
            for connection, one in zip(connections, asked, strict=True):
                connection.send(one.post.raw())
            leaver.send(asked[0].post.raw())
            await asyncio.sleep(0.001 * (number % 4))
            leaver.cut()
            answered += _right(target, asked, await _receive(connections, sent))
        return Outcome(answered, rounds * good)

    return asyncio.run(run())


def cancelled_beside(target: Target, rounds: int = 20, good: int = 23) -> Outcome:
    """Make gRPC calls together and cancel one of them while it is under way."""

    async def run() -> Outcome:
        address = f"127.0.0.1:{target.grpc_port}"
        answered = 0
        async with grpc.aio.insecure_channel(address) as channel:
            method = channel.unary_unary(METHOD)
            for number in range(rounds):
                calls = [
                    method(target.message, metadata=METADATA, timeout=_PATIENCE)
                    for _ in range(good + 1)
                ]
                leaver = calls.pop(good // 2)
                # So that the call has left before it is taken back, a little later each time.
                await asyncio.sleep(0.001 * (1 + number % 5))
                leaver.cancel()
                answered += sum(await asyncio.gather(*map(_is_answered, calls)))
        return Outcome(answered, rounds * good)

    return asyncio.run(run())


@dataclass(frozen=True)
class Ending:
    """How a server ended that was asked to while requests were in flight."""

    answered: Outcome
    in_flight: int
    """Requests whose answer had not come when the signal was sent."""
    exit_code: int | None
    """None when it had to be killed."""
    seconds: float
    """From the signal to the end of the process."""


def ended_in_flight(
    target: Target, process: "subprocess.Popen[bytes]", slow: Sequence[Question]
) -> Ending:
    """Send slow requests together, then SIGTERM, and see what becomes of them."""

    async def run() -> tuple[list[Reply], float]:
        connections = [await connect(target.port) for _ in slow]
        sent = time.monotonic()
        for connection, one in zip(connections, slow, strict=True):
            connection.send(one.post.raw())
        await asyncio.gather(*(connection.drained() for connection in connections))
        # In the server's hands: the first ones are being read or scored.
        await asyncio.sleep(0.05)
        signalled = time.monotonic()
        process.terminate()
        return await _receive(connections, sent, _LONGEST_END), signalled

    replies, signalled = asyncio.run(run())
    try:
        exit_code: int | None = process.wait(_LONGEST_END)
    except subprocess.TimeoutExpired:
        exit_code = None
    seconds = time.monotonic() - signalled
    in_flight = sum(reply.came > signalled for reply in replies)
    answered = Outcome(_right(target, slow, replies), len(slow))
    return Ending(answered, in_flight, exit_code, seconds)


def busy(target: Target, connections: int, seconds: float) -> float:
    """Keep connections busy with one-row requests and return answers a second."""

    async def one(index: int, end: float) -> int:
        connection, count = await connect(target.port), 0
        raw = target.questions[index % len(target.questions)].post.raw()
        while time.monotonic() < end:
            reply = await connection.ask(raw)
            if reply.status != 200:  # noqa: PLR2004 - the status itself
                raise RuntimeError(f"a good request was answered with {reply.status}")
            count += 1
        connection.cut()
        return count

    async def run() -> float:
        began = time.monotonic()
        counts = await asyncio.gather(*(one(i, began + seconds) for i in range(connections)))
        return sum(counts) / (time.monotonic() - began)

    return asyncio.run(run())


def _turn(questions: Sequence[Question], first: int, count: int) -> list[Question]:
    return [questions[(first + offset) % len(questions)] for offset in range(count)]


async def _receive(
    connections: Sequence[Connection], sent: float, seconds: float = _PATIENCE
) -> list[Reply]:
    replies = await asyncio.gather(*(one.receive(sent, seconds) for one in connections))
    for connection in connections:
        connection.cut()
    return replies


def _right(target: Target, questions: Sequence[Question], replies: Sequence[Reply]) -> int:
    pairs = zip(questions, replies, strict=True)
    return sum(_is_right(target, question, reply) for question, reply in pairs)


def _is_right(target: Target, question: Question, reply: Reply) -> bool:
    if reply.status != 200:  # noqa: PLR2004 - the status itself
        return False
    try:
        found = target.read(reply.body)
    except (ValueError, KeyError, IndexError, TypeError, json.JSONDecodeError):
        return False
    expected = np.array(question.expected)
    return len(found) == len(expected) and bool(
        np.allclose(found, expected, rtol=0, atol=_TOLERANCE)
    )


async def _is_answered(call: "grpc.aio.UnaryUnaryCall[bytes, bytes]") -> bool:
    try:
        return bool(await call)
    except (grpc.aio.AioRpcError, asyncio.CancelledError):
        return False
