"""Whatever comes over HTTP/2: header fields as another library writes them, arbitrary frames."""

import asyncio
import time
from typing import Any

import pytest
from hpack import Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.connections.clients import Clients
from serving.connections.open_connections import Connections
from serving.grpc import inference_pb2 as v2
from serving.grpc.call import Call, Headers, ReceivedMessage
from serving.grpc.connection import Connection
from serving.grpc.fields import FieldReader, untraced_block
from serving.grpc.frames import ConnectionFault
from serving.grpc.messages import parse_message
from serving.grpc.parse_cost import parse_cost
from serving.grpc.shared import SharedParts
from serving.refusals import RequestRefusedError
from serving.traffic.memory_budget import MemoryBudget
from tests.serving.grpc_asked import LIMITS
from tests.serving.grpc_raw import PREFACE, frame, prefixed

NAMES = st.sampled_from([b":path", b"te", b"x-request-id", b"grpc-timeout", b"a" * 200])
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=300)), max_size=12)


@given(st.lists(st.tuples(FIELDS, st.booleans(), st.sampled_from([None, 0, 100, 4096]))))
def test_header_fields_are_read_as_they_were_written(blocks: list[Any]) -> None:
    """Blocks of one connection are read whatever their writer keeps in its table and forgets."""
    writer, reader = Encoder(), FieldReader(2**16)
    for fields, is_huffman, table in blocks:
        if table is not None:
            writer.header_table_size = table
        block = writer.encode(fields, huffman=is_huffman)
        assert list(reader.read(block)) == fields
        assert list(reader.read(untraced_block(fields))) == fields


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_bytes_are_fields_or_a_fault(blocks: list[bytes]) -> None:
    """What cannot be read as header fields ends the connection and nothing else."""
    reader = FieldReader(500)
    for block in blocks:
        try:
            found = reader.read(block)
        except ConnectionFault:
            return
        assert sum(len(name) + len(value) + 32 for name, value in found) <= 500


class _Transport:
    """Takes what is written, and now and then has enough of it."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.is_closed = False

    def get_extra_info(self, _name: str) -> tuple[str, int]:
        return "127.0.0.2", 1

    def write(self, data: bytes) -> None:
        self.sent += data

    def write_eof(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        """Nothing is read of itself here."""

    def resume_reading(self) -> None:
        """Nothing is read of itself here."""


class _Echo:
    """One call that needs the key and says what it is told."""

    def find(self, path: bytes, headers: Headers) -> Call:
        if (b"key", b"1") not in headers:
            raise RequestRefusedError(401, "no key")
        if path != b"/echo":
            raise RequestRefusedError(501, "no such call")
        return Call(self._answer, 2**16, is_open=False)

    def note_refused(self, request_id: str, refused: RequestRefusedError) -> None:
        assert request_id
        assert refused.status < 500

    async def _answer(self, sent: ReceivedMessage) -> bytes:
        await asyncio.sleep(0)
        return bytes(sent.message)


CALL = untraced_block(
    [
        (b":path", b"/echo"),
        (b"content-type", b"application/grpc"),
        (b"key", b"1"),
        (b"grpc-timeout", b"1S"),
    ]
)
PAYLOADS = st.one_of(
    st.binary(max_size=20),
    st.just(CALL),
    st.just(CALL[:40]),
    st.just(prefixed(b"x" * 50)),
    st.just(prefixed(b"\x1f\x8b", 1)),
    st.just(b"\0" + (2**15).to_bytes(4)),
    st.just(b"\0\0\0\1"),
    st.just(b"\0\4\0\0\0\1"),
)
FRAMES = st.builds(frame, st.integers(0, 10), st.integers(0, 255), st.integers(0, 9), PAYLOADS)
LIKELY = st.builds(
    frame,
    st.sampled_from([0, 1, 3, 9]),
    st.sampled_from([0, 1, 4, 5]),
    st.sampled_from([1, 3, 5]),
    PAYLOADS,
)


@settings(deadline=None)
@given(
    st.lists(st.one_of(FRAMES, LIKELY, st.binary(max_size=30)), max_size=20),
    st.lists(st.integers(1, 200), min_size=1, max_size=5),
    st.booleans(),
)
def test_any_frames_end_without_a_trace(sent: list[bytes], sizes: list[int], is_slow: bool) -> None:  # noqa: FBT001 - Hypothesis
    """Whatever comes in whatever pieces: nothing is raised, and no memory or connection is held."""

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: failures.append(context)
        )
        connection, transport = Connection(shared, set()), _Transport()
        connection.connection_made(transport)  # type: ignore[arg-type]
        data, place, turn = PREFACE + b"".join(sent), 0, 0
        while place < len(data):
            size = sizes[turn % len(sizes)]
            connection.data_received(data[place : place + size])
            place, turn = place + size, turn + 1
            if is_slow and turn % 3 == 0:
                connection.pause_writing()
                await asyncio.sleep(0)
                connection.look(asyncio.get_running_loop().time())
                connection.resume_writing()
        await asyncio.sleep(0)
        connection.look(asyncio.get_running_loop().time() + 1000)
        connection.connection_lost(None)
        await asyncio.sleep(0)

    failures: list[Any] = []
    memory, connections = MemoryBudget(2**20), Connections(LIMITS, Clients(), time.monotonic)
    shared = SharedParts(_Echo(), memory, connections)
    asyncio.run(run())
    assert not failures
    assert memory.held_bytes == 0
    assert len(connections) == 0


PIECES = st.sampled_from(
    [b"\x2a\0", b"\x32\0", b"\x3a\0", b"\x22\0", b"\x0a\1x", b"\x78\1", b"\x2a\2\x2a\0"]
)


@settings(deadline=None)
@given(st.lists(st.one_of(PIECES, st.binary(max_size=9)), max_size=6), st.integers(1, 4000))
def test_what_parses_was_counted(pieces: list[bytes], times: int) -> None:
    """A message of any bytes that can be parsed counts for what is in it, or is refused before."""
    message = b"".join(pieces) * times
    try:
        cost = parse_cost(message)
        found = parse_message(v2.ModelInferRequest, message)
    except RequestRefusedError:
        return
    assert cost >= 84 * (len(found.inputs) + len(found.outputs))
    assert cost >= 32 * (len(found.raw_input_contents) + len(found.parameters))


FIRST = 2**14
"""From here on a message is read field by field."""
HONEST = {
    "floats": ({"fp64_contents": [0.5] * FIRST}, 2),
    "numbers": ({"int64_contents": list(range(FIRST * 2))}, 9),
    "strings": ({"bytes_contents": [b"a longer category"] * FIRST}, 5),
}


@pytest.mark.parametrize(("contents", "most"), HONEST.values(), ids=HONEST)
def test_an_honest_message_counts_for_what_it_takes(contents: dict[str, Any], most: int) -> None:
    """What real callers send counts for a few times its size."""
    message = v2.ModelInferRequest(inputs=[{"contents": contents}]).SerializeToString()
    assert len(message) / 2 <= parse_cost(message) <= most * len(message)
