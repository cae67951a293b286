"""What one connection may send, and for how long: raw bytes to a server as it is started."""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from serving import request
from tests.serving.processes import Server, stock, until
from tests.serving.registries import free_port
from tests.serving.served import small_bundle

KEY = b"X-API-Key: sesame\r\n"
INPUTS = [{"name": "features", "datatype": "FP32", "shape": [-1, 3]}]
BODY = json.dumps(request.request_body(INPUTS, [1.0, 2.0, 3.0])).encode()
INFER = b"POST /v2/models/boxes/infer HTTP/1.1\r\nHost: x\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
WHOLE = INFER + KEY + LENGTH + b"\r\n" + BODY
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n"
WEBHOOK = b"POST /v2/repository/webhook HTTP/1.1\r\nHost: x\r\n"
HUGE = b"Content-Length: 30000000\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server with a key that waits for nothing longer than a second or two."""
    folder = tmp_path_factory.mktemp("limits")
    stock(folder / "serving", *small_bundle(folder))
    started = Server(
        free_port(),
        folder,
        SERVING_API_KEY="sesame",
        SERVING_HEADER_SECONDS="1",
        SERVING_BODY_SECONDS="2",
        SERVING_IDLE_SECONDS="3",
        SERVING_TRUSTED_PROXIES="127.0.0.7",
        SERVING_CLIENT_CONNECTION_LIMIT="20",
    )
    try:
        until(lambda: started.status("/v2/health/ready") == 200)
        yield started
    finally:
        started.kill()


class Caller:
    """A raw connection."""

    def __init__(self, server: Server, host: str = "127.0.0.1") -> None:
        """Connect from an address of loopback."""
        port = int(server.url.rpartition(":")[2])
        self.socket = socket.create_connection(("127.0.0.1", port), 15, (host, 0))

    def send(self, data: bytes) -> "Caller":
        """Send as much as the server takes."""
        with suppress(OSError):  # it has closed, and its answer is there to be read
            self.socket.sendall(data)
        return self

    def answers(self) -> list[tuple[int, bytes]]:
        """Return status and body of all that comes until the server closes."""
        data = b""
        with suppress(ConnectionError):
            while piece := self.socket.recv(2**16):
                data += piece
        self.socket.close()
        return parsed(data)


def parsed(data: bytes) -> list[tuple[int, bytes]]:
    """Return status and body of each answer in these bytes."""
    answers = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        size = int(length[1]) if length else 0
        answers.append((int(head.split(b" ")[1]), rest[:size]))
        data = rest[size:]
    return answers


def refused(server: Server, *parts: bytes) -> int:
    """Return the one status that these bytes are answered with, in the error form."""
    caller = Caller(server)
    for part in parts:
        caller.send(part)
    [(status, body)] = caller.answers()
    assert list(json.loads(body)) == ["error"]
    return status


@pytest.mark.parametrize(
    "sent",
    [
        b"what is this\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        INFER + KEY + LENGTH + CHUNKED + b"\r\n",
        INFER + KEY + LENGTH + b"Content-Length: 3\r\n\r\n",
        INFER + KEY + b"Content-Length: -1\r\n\r\n",
        INFER + KEY + CHUNKED + b"\r\nxyz\r\n",
    ],
)
def test_what_is_no_request_gets_the_error_form(server: Server, sent: bytes) -> None:
    """Lines, a handshake, another protocol, two lengths of a body: 400 and a sentence."""
    assert refused(server, sent) == 400


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([INFER, b"X-Huge: ", b"x" * 20_000_000], 431),
        ([INFER, b"X: " + b"x" * 40_000, b"\r\n\r\n"], 431),
        ([b"GET /", b"x" * 20_000_000], 431),
        ([INFER, b"X" * 20_000_000], 431),
        ([INFER, b"X: y\r\n" * 129, b"\r\n"], 431),
        ([INFER, b"X: y\r\n" * 1_000_000], 431),
        ([b"\r\n" * 1_000_000], 431),
        ([INFER, KEY, CHUNKED, b"\r\n1;", b"x" * 20_000_000], 431),
        ([INFER, KEY, CHUNKED, b"\r\n0\r\nX: ", b"x" * 20_000_000], 431),
        ([INFER, KEY, CHUNKED, b"\r\n0\r\n", b"X: y\r\n" * 1_000_000], 431),
        ([INFER, KEY, CHUNKED, b"\r\n", b"1\r\nx\r\n" * 100_000], 413),
    ],
)
def test_what_is_no_body_is_bounded(server: Server, parts: list[bytes], status: int) -> None:
    """Headers, an address, names, trailers, chunks and what is noted beside them."""
    assert refused(server, *parts) == status


def test_a_long_head_is_taken(server: Server) -> None:
    """What browsers and gateways send, cookies and tokens of 24 KiB together."""
    fields = b"".join(b"Cookie: %s\r\n" % (b"c" * 1000) for _ in range(24))
    last = b"Connection: close\r\n"
    sent = INFER + KEY + fields + last + LENGTH + b"\r\n" + BODY
    assert [status for status, _ in Caller(server).send(sent).answers()] == [200]


def test_one_byte_a_chunk_is_taken(server: Server) -> None:
    """A body that comes in as many pieces as it has bytes, each sent alone or all at once."""
    head = INFER + KEY + CHUNKED + b"Connection: close\r\n\r\n"
    chunks = [b"1\r\n%c\r\n" % byte for byte in BODY] + [b"0\r\n\r\n"]
    at_once = Caller(server).send(head + b"".join(chunks)).answers()
    caller = Caller(server).send(head)
    for chunk in chunks:
        caller.send(chunk)
    assert [status for status, _ in at_once + caller.answers()] == [200, 200]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (INFER + HUGE + b"\r\n", 401),
        (INFER + HUGE + b"\r\n" + b"x" * 200_000, 401),
        (INFER + HUGE + b"X-API-Key: guess\r\n\r\n" + b"x" * 200_000, 401),
        (INFER + HUGE + b"Expect: 100-continue\r\n\r\n", 401),
        (INFER + CHUNKED + b"\r\n" + b"1\r\nx\r\n" * 60_000, 401),
        (b"POST /v2/repository/index HTTP/1.1\r\nHost: x\r\n" + HUGE + b"\r\n", 401),
        (b"POST /nowhere HTTP/1.1\r\nHost: x\r\n" + HUGE + b"\r\n", 401),
        (WEBHOOK + HUGE + b"\r\n", 404),
        (b"POST /v2/health/live HTTP/1.1\r\nHost: x\r\n" + HUGE + b"\r\n", 405),
        (INFER + KEY + b"Content-Length: 90000000\r\nExpect: 100-continue\r\n\r\n", 413),
    ],
)
def test_a_refusal_comes_before_the_body(server: Server, sent: bytes, status: int) -> None:
    """What the head decides is answered at once, and the rest of the body is not waited for."""
    started = time.monotonic()
    assert refused(server, sent) == status
    assert time.monotonic() - started < 1.5  # a body is waited for two seconds


def test_a_key_in_a_trailer_is_none(server: Server) -> None:
    """What comes after the body is no header: not for the key, not for the packing."""
    body = b"%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)
    assert refused(server, INFER + CHUNKED + b"\r\n" + body + KEY + b"\r\n") == 401
    packed = b"Inference-Header-Content-Length: 3\r\n\r\n"
    sent = INFER + KEY + CHUNKED + b"Connection: close\r\n\r\n" + body + packed
    assert [status for status, _ in Caller(server).send(sent).answers()] == [200]


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"h2c, websocket"])
def test_another_protocol_is_not_spoken(server: Server, protocol: bytes) -> None:
    """Java's client asks each request for HTTP/2 and is answered in this one, with its body."""
    asks = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\nUpgrade: " + protocol
    sent = INFER + KEY + asks + b"\r\n" + LENGTH + b"\r\n" + BODY
    second = INFER + KEY + b"Connection: close\r\n" + LENGTH + b"\r\n" + BODY
    assert [status for status, _ in Caller(server).send(sent + second).answers()] == [200, 200]


def test_continue_is_said_to_who_has_a_key(server: Server) -> None:
    """A client that asks first sends its body when it is told to."""
    head = INFER + KEY + LENGTH + b"Connection: close\r\nExpect: 100-continue\r\n\r\n"
    caller = Caller(server).send(head)
    assert caller.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert [status for status, _ in caller.send(BODY).answers()] == [200]


def test_many_requests_at_once_are_answered_in_order(server: Server) -> None:
    """However many are sent before the first is answered; what is no request ends them."""
    asked = [json.dumps({"id": str(number)} | json.loads(BODY)).encode() for number in range(3000)]
    sent = b"".join(
        INFER + KEY + b"Content-Length: %d\r\n\r\n" % len(body) + body for body in asked
    )
    caller = Caller(server)
    caller.socket.settimeout(60)
    answers = caller.send(sent + b"nonsense\r\n\r\n").answers()
    assert [json.loads(body).get("id") for _, body in answers[:-1]] == [
        str(number) for number in range(3000)
    ]
    assert answers[-1][0] == 400


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (b"", []),
        (b"GET", [408]),
        (INFER + KEY, [408]),
        (INFER + KEY + HUGE + b"\r\n", [408]),
        (WHOLE + INFER, [200, 408]),
        (WHOLE, [200]),
        (LIVE + b"\r\n", [200]),
    ],
)
def test_nothing_is_waited_for_without_end(
    server: Server, sent: bytes, statuses: list[int]
) -> None:
    """The first byte, a head, a body, the next request: each has its time, then it is closed."""
    assert [status for status, _ in Caller(server).send(sent).answers()] == statuses


@pytest.mark.parametrize("head", [INFER + b"X: ", INFER + KEY + HUGE + b"\r\n"])
def test_a_byte_now_and_then_is_not_enough(server: Server, head: bytes) -> None:
    """The time is for all of a head and all of a body."""
    caller = Caller(server).send(head)
    started, data = time.monotonic(), b""
    caller.socket.settimeout(0.1)
    while time.monotonic() - started < 10:
        caller.send(b"x")
        try:
            data = caller.socket.recv(2**16)
        except TimeoutError:
            continue
        break
    caller.socket.close()
    assert [status for status, _ in parsed(data)] == [408]


def test_who_takes_no_answers_is_left(server: Server) -> None:
    """Answers pile up neither in memory nor for ever."""
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    caller = Caller(server)
    caller.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    caller.socket.settimeout(1)
    page = b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n" + KEY + b"\r\n"
    caller.send(page * 1000)
    address = caller.socket.getsockname()
    until(lambda: all(one.raddr != address for one in process.net_connections()), 15)
    assert process.memory_info().rss - before < 50 * 2**20
    caller.socket.close()


def test_callers_without_a_key_do_not_fill_the_log(server: Server) -> None:
    """A thousand refusals of every kind are a line or two."""
    before = len(server.log())
    kinds = [b"nonsense\r\n\r\n", INFER + b"\r\n", WEBHOOK + b"\r\n", LIVE + b"\r\n"]
    kinds += [b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"]
    for number in range(1000):
        caller = Caller(server).send(kinds[number % len(kinds)])
        caller.socket.recv(100)
        caller.socket.close()
    time.sleep(0.5)
    assert len(server.log()) - before < 500


def test_a_client_behind_a_proxy_is_counted_by_its_own_address(server: Server) -> None:
    """Only what a trusted proxy says counts, and of that what it has seen itself."""

    def half(host: str, client: bytes) -> Caller:
        forwarded = b"X-Forwarded-For: 10.0.0.1, " + client + b"\r\n"
        return Caller(server, host).send(INFER + KEY + forwarded + HUGE + b"\r\n")

    held = [half("127.0.0.7", b"192.0.2.1") for _ in range(20)]
    time.sleep(0.2)
    assert [status for status, _ in half("127.0.0.7", b"192.0.2.1").answers()] == [429]
    others = [half("127.0.0.7", b"192.0.2.%d" % number) for number in range(2, 22)]
    others.append(half("127.0.0.8", b"192.0.2.1"))
    for caller in held + others:
        assert [status for status, _ in caller.answers()] == [408]


def test_a_client_of_python_reads_the_refusal_of_a_large_body(server: Server) -> None:
    """It sends on while the answer is there; it must not find a broken connection instead."""
    url = f"{server.url}/v2/models/boxes/infer"
    answer = httpx.post(url, content=b"x" * 200_000)
    assert (answer.status_code, answer.headers["connection"]) == (401, "close")


def test_it_ends_with_callers_that_do_nothing(tmp_path: Path) -> None:
    """Neither silence nor half a request holds the way out, and it is no failure to log."""
    stock(tmp_path / "serving", *small_bundle(tmp_path))
    server = Server(free_port(), tmp_path)
    try:
        until(lambda: server.status("/v2/health/ready") == 200)
        callers = [Caller(server).send(sent) for sent in (b"", b"GET", INFER + HUGE + b"\r\n")]
        time.sleep(0.3)  # until it has read what they sent
        server.process.terminate()
        assert server.process.wait(10) == 0
        assert "Traceback" not in server.log()
    finally:
        server.kill()
    assert [len(caller.answers()) for caller in callers] == [0, 0, 1]
