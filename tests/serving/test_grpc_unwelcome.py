"""gRPC callers that nobody asked for: without a key, too many, too large, too slow, not HTTP/2."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import grpc
import psutil
import pytest
import pytest_asyncio
from grpc import aio

from benchmarks.serving_grpc import METADATA
from benchmarks.serving_model import NAME
from serving.grpc import inference_pb2 as v2
from serving.grpc.server import GrpcOptions, GrpcServer, start_grpc
from serving.models.holder import Holder, LoadedVersion
from tests.serving.grpc_asked import AT, LIMITS, Shelf, call, question, raw_question
from tests.serving.grpc_raw import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PUSH,
    RESET,
    SETTINGS,
    WINDOW,
    Raw,
    frame,
    prefixed,
    raw,
    settings,
)
from tests.serving.parts import server_around
from tests.serving.served import WIDTH, Served, linear, served

KEY = "sesame"
WITH_KEY = (("authorization", f"Bearer {KEY}"),)
UNAUTHENTICATED = 16
EXHAUSTED = 8
IMPATIENT = replace(LIMITS, head_seconds=1.0, body_seconds=1.0, idle_seconds=1.0)
FAT = 31 * 2**20
MIB = 2**20


@pytest_asyncio.fixture
async def start(
    holder: Holder, boxes: LoadedVersion, shelf: Shelf
) -> AsyncIterator[Callable[..., Any]]:
    """Return a function that starts a server which asks for a key, within these limits."""
    del boxes
    around = server_around(holder, {"SERVING_API_KEY": KEY})
    started: list[GrpcServer] = []

    async def starting(address: GrpcOptions = AT) -> GrpcServer:
        server = await start_grpc(around.service, shelf, address, around.guard.keys, around.memory)
        started.append(server)
        return server

    yield starting
    for server in started:
        await server.stop(0)
    assert around.memory.held_bytes == 0
    around.batcher.close()


async def _is_answered(port: int) -> bool:
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = await call(channel, "ModelInfer", question(), metadata=WITH_KEY, timeout=20)
    return bool(answer.model_version == "3")


@pytest.mark.asyncio
async def test_a_call_without_a_key_is_over_before_its_message(start: Callable[..., Any]) -> None:
    """A call that shows no key is refused when its header fields are there, and told to stop."""
    server = await start()
    async with raw(server.port) as caller:
        caller.send(caller.begin(1), caller.begin(3, "wrong"))
        assert await caller.ends([1, 3]) == {1: UNAUTHENTICATED, 3: UNAUTHENTICATED}
        kind, _, stream, _ = await anext(caller.frames())
        assert (kind, stream) == (RESET, 3)
        caller.send(frame(DATA, END_STREAM, 1, b"\0" * 100), caller.begin(5, KEY))
        caller.send(frame(DATA, END_STREAM, 5, prefixed(question().SerializeToString())))
        assert await caller.ends([5]) == {5: 0}


@pytest.mark.asyncio
@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_compressed_messages_are_read(start: Callable[..., Any], compression: Any) -> None:
    """What gRPC's own clients compress is answered as if they had not."""
    server = await start()
    asked = question(id="r" * 4000)
    async with aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        more = {"metadata": WITH_KEY, "compression": compression}
        assert (await call(channel, "ModelInfer", asked, **more)).id == asked.id


PACKED = {
    "too large unpacked": (gzip.compress(b"\0" * 4 * MIB), "gzip", EXHAUSTED),
    "no gzip": (b"what", "gzip", 3),
    "cut off": (gzip.compress(b"\0" * 100)[:-9], "gzip", 3),
    "of an unknown kind": (b"what", "snappy", 12),
    "of no kind": (b"what", "identity", 12),
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("packed", "encoding", "status"), PACKED.values(), ids=PACKED)
async def test_what_cannot_be_unpacked_is_refused(
    start: Callable[..., Any], packed: bytes, encoding: str, status: int
) -> None:
    """A message that unpacks to too much, or to nothing, ends its own call alone."""
    server = await start()
    async with raw(server.port) as caller:
        caller.send(caller.begin(1, KEY, grpc_encoding=encoding))
        caller.send(frame(DATA, END_STREAM, 1, prefixed(packed, flag=1)))
        assert await caller.ends([1]) == {1: status}
    assert await _is_answered(server.port)


@pytest.mark.asyncio
async def test_a_small_window_gets_the_whole_answer(start: Callable[..., Any]) -> None:
    """A caller that lets 7 bytes at a time be sent gets all of its answer."""
    server = await start()
    async with raw(server.port, greets=PREFACE + settings((4, 7))) as caller:
        message = prefixed(question().SerializeToString())
        padded = b"\5" + message + b"\0" * 5
        caller.send(caller.begin(1, KEY), frame(DATA, END_STREAM | PADDED, 1, padded))
        answer = b""
        async for kind, flags, _, payload in caller.frames():
            if kind == DATA:
                assert len(payload) <= 7
                answer += payload
                caller.send(frame(WINDOW, 0, 1, len(payload).to_bytes(4)))
            if kind == HEADERS and flags & END_STREAM:
                break
    assert v2.ModelInferResponse.FromString(answer[5:]).model_version == "3"


@pytest.mark.asyncio
async def test_padding_takes_nothing_from_what_a_message_may_be(start: Callable[..., Any]) -> None:
    """A message beyond the first window comes through in frames that are mostly padding."""
    server = await start()
    async with raw(server.port, greets=PREFACE + settings((4, 2**20))) as caller:
        message = prefixed(question(id="x" * 100_000).SerializeToString())
        # The answer repeats the id, so there has to be room for that.
        caller.send(frame(WINDOW, 0, 0, (2**20).to_bytes(4)), caller.begin(1, KEY))
        window, received = 2**16 - 1, caller.frames()
        for place in range(0, len(message), 200):
            piece = b"\xff" + message[place : place + 200] + b"\0" * 255
            while len(piece) > window:
                kind, _, stream, payload = await asyncio.wait_for(anext(received), 20)
                window += int.from_bytes(payload) if (kind, stream) == (WINDOW, 1) else 0
            is_last = END_STREAM if place + 200 >= len(message) else 0
            caller.send(frame(DATA, PADDED | is_last, 1, piece))
            window -= len(piece)
        assert await caller.ends([1]) == {1: 0}


BROKEN: dict[str, Callable[[Raw], bytes]] = {
    "HTTP/1": lambda _: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a frame too large": lambda _: b"\xff\xff\xff\0\0\0\0\0\1",
    "a block cut off": lambda c: frame(HEADERS, 0, 1, c.fields()) + frame(PING, 0, 0, b"8" * 8),
    "endless continuations": lambda c: (
        frame(HEADERS, 0, 1, c.fields()) + frame(CONTINUATION, 0, 1) * 100
    ),
    "a huge header": lambda c: (
        frame(HEADERS, 0, 1, c.fields(x="y" * 2**14)[: 2**14])
        + frame(CONTINUATION, 0, 1, b"\0" * 2**14)
    ),
    "many small fields": lambda _: frame(HEADERS, END_HEADERS, 1, b"\x82" * 2**13),
    "no such field": lambda _: frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\x7f"),
    "an endless number": lambda _: frame(HEADERS, END_HEADERS, 1, b"\xff" * 100),
    "a huge table": lambda _: frame(HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\x7f"),
    "an even number": lambda c: frame(HEADERS, END_HEADERS, 2, c.fields()),
    "a message of nobody": lambda _: frame(DATA, 0, 7, b"x"),
    "a push": lambda c: frame(PUSH, END_HEADERS, 1, b"\0\0\0\2" + c.fields()),
    "a window too far": lambda _: frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff") * 2,
    "settings cut off": lambda _: frame(SETTINGS, 0, 0, b"12345"),
    "padding beyond its frame": lambda c: c.begin(1, KEY) + frame(DATA, PADDED, 1, b"\xff12"),
    "pings without end": lambda _: frame(PING, 0, 0, b"8" * 8) * 40_000,
    "settings without end": lambda _: settings() * 40_000,
    "empty messages without end": lambda c: c.begin(1) + frame(DATA, 0, 1) * 40_000,
}


@pytest.mark.asyncio
@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
async def test_what_is_no_http2_ends_its_own_connection(
    start: Callable[..., Any], sent: Callable[[Raw], bytes]
) -> None:
    """A connection that breaks the rules, or wears them out, is closed, and no other is."""
    server = await start()
    async with raw(server.port, greets=b"") as caller:
        broken = sent(caller)
        caller.send(broken if broken.startswith(b"GET") else PREFACE + settings() + broken)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            async with asyncio.timeout(20):
                async for _ in caller.frames():
                    pass
    assert await _is_answered(server.port)


def _waiting(caller: Raw) -> bytes:
    """Return 250 calls that need no key, whose answers are not let out."""
    live = "/inference.GRPCInferenceService/ServerLive"
    begun = (
        frame(HEADERS, END_HEADERS | END_STREAM, stream, caller.fields(live))
        for stream in range(1, 501, 2)
    )
    return settings((4, 0)) + b"".join(begun)


_MORE_FIELDS = frame(HEADERS, END_HEADERS, 1, b"\0\1x\x7f\xc1\x3d" + b"y" * 8000)
WEARING: dict[str, Callable[[Raw], bytes]] = {
    "windows in one frame": lambda c: _waiting(c) + settings(*[(4, 0)] * 2700) * 100,
    "settings": lambda c: _waiting(c) + settings((4, 0)) * 1000,
    "windows of all calls": lambda c: _waiting(c) + frame(WINDOW, 0, 0, b"\0\0\0\1") * 1000,
    "fields of a call that is over": lambda c: c.begin(1) + _MORE_FIELDS * 200,
    "fields of a call that waits": lambda c: _waiting(c) + _MORE_FIELDS * 200,
    "a message of a call that is over": lambda c: c.begin(1) + frame(DATA, 0, 1, b"x") * 40_000,
    "fields that are large unpacked": lambda c: b"".join(
        c.begin(stream, x="y" * 3000) for stream in range(1, 2001, 2)
    ),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("sent", WEARING.values(), ids=WEARING)
async def test_what_costs_much_and_carries_nothing_ends_its_connection(
    start: Callable[..., Any], sent: Callable[[Raw], bytes]
) -> None:
    """Who shows no key is told to calm down by what the frames cost, not by how many they are."""
    server = await start()
    async with raw(server.port) as caller:
        caller.send(sent(caller))
        async with asyncio.timeout(20):
            told = [payload async for kind, *_, payload in caller.frames() if kind == GOAWAY]
    assert [payload[4:8] for payload in told] == [b"\0\0\0\x0b"]
    assert await _is_answered(server.port)


@pytest.mark.asyncio
async def test_calls_begun_and_given_up_cost_nobody_else(start: Callable[..., Any]) -> None:
    """5,000 calls that are taken back at once leave nothing, whether they show a key or not."""
    server = await start()
    for key in (KEY, None):
        async with raw(server.port) as caller:
            for stream in range(1, 10_001, 2):
                caller.send(caller.begin(stream, key), frame(RESET, 0, stream, b"\0\0\0\x08"))
            await caller.writer.drain()
            assert await _is_answered(server.port)


@pytest.mark.asyncio
async def test_more_than_its_window_ends_a_call(start: Callable[..., Any]) -> None:
    """A caller that sends more than it was let in loses its call alone."""
    server = await start()
    async with raw(server.port) as caller:
        head = b"\0" + (2**19).to_bytes(4)
        caller.send(caller.begin(1, KEY), frame(DATA, 0, 1, head))
        caller.send(*[frame(DATA, 0, 1, b"\0" * 2**14)] * 33)
        async for kind, _, stream, payload in caller.frames():
            if kind == RESET:
                assert (stream, payload) == (1, b"\0\0\0\3")
                break
        message = prefixed(question().SerializeToString())
        caller.send(caller.begin(3, KEY), frame(DATA, END_STREAM, 3, message + b"more"))
        caller.send(caller.begin(5, KEY), frame(DATA, END_STREAM, 5, message[:-1]))
        caller.send(caller.begin(7, KEY), frame(DATA, END_STREAM, 7, message))
        assert await caller.ends([3, 5, 7]) == {3: 3, 5: 3, 7: 0}


@pytest.mark.asyncio
async def test_silent_connections_give_way_and_end(start: Callable[..., Any]) -> None:
    """Of 60 silent connections none keeps a caller with a key out, and each ends in time."""
    limits = replace(IMPATIENT, connections=20, client_connections=15)
    server = await start(replace(AT, limits=limits))
    silent = [
        await asyncio.open_connection("127.0.0.1", server.port, local_addr=("127.0.0.2", 0))
        for _ in range(60)
    ]
    assert await _is_answered(server.port)
    for reader, writer in silent:
        with suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 20)
        writer.close()


@pytest.mark.asyncio
async def test_what_drips_ends_in_time(start: Callable[..., Any]) -> None:
    """A greeting, a block of fields and a message that come byte by byte are given up."""
    server = await start(replace(AT, limits=IMPATIENT))
    for drips, key in ((b"", None), (PREFACE + settings(), None), (PREFACE + settings(), KEY)):
        async with raw(server.port, greets=drips) as caller:
            rest = PREFACE if not drips else caller.begin(1, key) + frame(DATA, 0, 1, b"\0" * 99)
            deadline = time.monotonic() + 20
            with suppress(ConnectionError):
                for place in range(len(rest)):
                    caller.send(rest[place : place + 1])
                    await asyncio.sleep(0.1)
                    if caller.reader.at_eof() or time.monotonic() > deadline:
                        break
                    with suppress(TimeoutError):
                        await asyncio.wait_for(caller.reader.read(2**16), 0.01)
            assert time.monotonic() < deadline
    assert await _is_answered(server.port)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a server process."""
    with served(tmp_path_factory.mktemp("served"), linear(1)) as one:
        yield one


def _memory(serving: Served) -> int:
    memory: int = psutil.Process(serving.server.process.pid).memory_info().rss
    return memory


def _back(serving: Served, before: int) -> bool:
    deadline = time.monotonic() + 20
    while _memory(serving) > before + 60 * MIB and time.monotonic() < deadline:
        time.sleep(0.1)
    return _memory(serving) <= before + 60 * MIB


async def _good(serving: Served) -> float:
    """Ask once, and return the seconds that it took."""
    asked = raw_question(b"\0" * 8 * WIDTH, (1, WIDTH))
    asked.model_name = NAME
    async with aio.insecure_channel(f"127.0.0.1:{serving.server.grpc_port}") as channel:
        started = time.monotonic()
        await call(channel, "ModelInfer", asked, metadata=METADATA, timeout=30)
    return time.monotonic() - started


def test_a_thousand_fat_messages_without_a_key(serving: Served) -> None:
    """1,000 messages of 31 MiB without a key take no memory, and a caller with one is answered."""

    async def attack() -> tuple[list[int], int]:
        statuses: list[int] = []
        highest = 0
        for _ in range(10):
            async with raw(serving.server.grpc_port) as caller:
                streams = range(1, 201, 2)
                head = b"\0" + FAT.to_bytes(4)
                pieces = [frame(DATA, 0, 0, head.ljust(2**14, b"\0"))] * 4
                for stream in streams:
                    numbered = (piece[:5] + stream.to_bytes(4) + piece[9:] for piece in pieces)
                    caller.send(caller.begin(stream), *numbered)
                statuses += (await caller.ends(streams)).values()
                highest = max(highest, _memory(serving))
            await _good(serving)
        return statuses, highest

    asyncio.run(_good(serving))
    before = _memory(serving)
    statuses, highest = asyncio.run(attack())
    assert statuses == [UNAUTHENTICATED] * 1000
    assert highest < before + 100 * MIB
    assert _back(serving, before)


BOMBS = {
    "tensors": b"\x2a\0" * (FAT // 2),
    "parameters": b"\x22\0" * (FAT // 2),
    "strings": v2.ModelInferRequest(
        inputs=[{"contents": {"bytes_contents": [b""] * 2**20}}]
    ).SerializeToString(),
    "numbers": v2.ModelInferRequest(
        inputs=[{"contents": {"int64_contents": [1] * (FAT // 2)}}]
    ).SerializeToString(),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_message_takes_no_more_than_is_its_due(serving: Served, bomb: bytes) -> None:
    """A message that would parse to many times its size is refused and leaves nothing."""

    async def send() -> set[grpc.StatusCode]:
        more = {"metadata": METADATA, "compression": grpc.Compression.Gzip, "timeout": 60}
        async with aio.insecure_channel(f"127.0.0.1:{serving.server.grpc_port}") as channel:
            calls = [call(channel, "ModelInfer", bomb, **more) for _ in range(3)]
            return {await one.code() for one in calls}

    before = _memory(serving)
    assert asyncio.run(send()) == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert _memory(serving) < before + 300 * MIB
    assert _back(serving, before)


def test_forty_fat_messages_with_a_key(serving: Served) -> None:
    """40 messages of 31 MiB at once are within what all may hold, or refused, and leave nothing."""
    fat = v2.ModelInferRequest(model_name="nobody", raw_input_contents=[bytes(FAT)])
    message = fat.SerializeToString()

    async def send() -> tuple[set[grpc.StatusCode], int]:
        async with aio.insecure_channel(f"127.0.0.1:{serving.server.grpc_port}") as channel:
            calls = [
                call(channel, "ModelInfer", message, metadata=METADATA, timeout=60)
                for _ in range(40)
            ]
            highest = 0
            while not all(one.done() for one in calls):
                highest = max(highest, _memory(serving))
                await asyncio.sleep(0.02)
            return {await one.code() for one in calls}, highest

    before = _memory(serving)
    codes, highest = asyncio.run(send())
    assert codes <= {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert highest < before + 400 * MIB
    assert _back(serving, before)
    asyncio.run(_good(serving))
