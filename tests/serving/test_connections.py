"""Who is connected: what a client may hold, who gives way, what is overdue, what is told of it."""

import logging
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.configuration.setting_values import networks
from serving.connections.clients import Clients
from serving.connections.ended import TELL_SECONDS, EndedConnections
from serving.connections.limits import FILES_OF_ITS_OWN, ConnectionLimits, connections_within
from serving.connections.open_connections import LEAVE_SECONDS, Connections, OpenConnection, Phase
from serving.refusals import RequestRefusedError
from tests.logs import messages_of

LIMITS = ConnectionLimits(6, 4, 1000, head_seconds=10, body_seconds=30, idle_seconds=75)
PROXIES = networks("10.0.0.0/8, fd00::1")


class Clock:
    """Seconds that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        """Return them."""
        return self.now


class Line:
    """The other end of a connection, which notes what becomes of it."""

    def __init__(self) -> None:
        """Be open."""
        self.is_open = True

    def give_way(self) -> None:
        """Be closed."""
        self.is_open = False

    def expire(self) -> None:
        """Be closed."""
        self.is_open = False


@pytest.fixture
def clock() -> Clock:
    """Return a clock."""
    return Clock()


@pytest.fixture
def connections(clock: Clock) -> Connections:
    """Return a registry of six connections, four a client."""
    return Connections(LIMITS, Clients(PROXIES), clock)


def opened(
    connections: Connections, host: str, *, proven: bool = False
) -> tuple[Line, OpenConnection]:
    """Return a new line and its connection."""
    line = Line()
    connection = connections.open(line, host)
    if proven:
        connections.prove(connection)
    return line, connection


def test_silent_connections_give_way_to_a_newcomer(connections: Connections) -> None:
    """The oldest of the client that has most; never one on which a key was shown."""
    asking, _ = opened(connections, "127.0.0.1", proven=True)
    few, _ = opened(connections, "127.0.0.3")
    silent = [opened(connections, "127.0.0.2")[0] for _ in range(4)]
    opened(connections, "127.0.0.1", proven=True)
    assert [one.is_open for one in [asking, few, *silent]] == [True, True, False, True, True, True]
    assert len(connections) == 6


def test_a_client_with_too_many_loses_its_own(connections: Connections) -> None:
    """However many it opens, it holds no more than one client may."""
    lines = [opened(connections, "127.0.0.2")[0] for _ in range(50)]
    assert sum(one.is_open for one in lines) == len(connections) == 4


def test_busy_connections_do_not_give_way(connections: Connections) -> None:
    """The client is told 429 when they are its own, everybody 503 when there is no room."""
    for host in ("127.0.0.1",) * 4 + ("127.0.0.2",) * 2:
        _, connection = opened(connections, host, proven=True)
        connection.phase = Phase.ANSWER
    with pytest.raises(RequestRefusedError) as own:
        opened(connections, "127.0.0.1")
    with pytest.raises(RequestRefusedError) as all_of_them:
        opened(connections, "127.0.0.3")
    assert (own.value.status, all_of_them.value.status) == (429, 503)


def test_the_longest_idle_gives_way_when_nothing_is_silent(
    connections: Connections, clock: Clock
) -> None:
    """A kept connection costs its client nothing but opening it again."""
    held = []
    for number in range(6):
        clock.now += 1
        held.append(opened(connections, f"127.0.0.{number}", proven=True))
    held[0][1].since = clock.now
    opened(connections, "127.0.1.1")
    assert [line.is_open for line, _ in held] == [True, False, True, True, True, True]


def test_a_proxy_is_counted_by_whom_it_asks_for(connections: Connections) -> None:
    """It may hold all there are, its clients what a client may, while they are asked for."""
    held = [opened(connections, "10.1.2.3")[1] for _ in range(6)]
    client = [(b"x-forwarded-for", b"192.0.2.1")]
    for connection in held[:4]:
        connections.ask_for(connection, client)
    with pytest.raises(RequestRefusedError) as refused:
        connections.ask_for(held[4], client)
    assert refused.value.status == 429
    connections.asks_no_more(held[0])
    connections.ask_for(held[4], client)
    for connection in held:
        connections.close(connection)
    assert len(connections) == 0
    for number in range(4):
        opened(connections, "192.0.2.1", proven=bool(number % 2))


@pytest.mark.parametrize(
    ("sent", "client"),
    [
        ([b"192.0.2.1"], "192.0.2.1"),
        ([b"203.0.113.9, 192.0.2.1"], "192.0.2.1"),
        ([b"203.0.113.9", b"192.0.2.1, 10.0.0.7"], "192.0.2.1"),
        ([b"::ffff:192.0.2.1"], "192.0.2.1"),
        ([b"2001:db8::1:2:3:4"], "2001:db8::/64"),
        ([b"10.0.0.9"], "10.0.0.9"),
        ([b"10.0.0.9, 10.0.0.7"], "10.0.0.9"),
        ([b"unknown"], None),
        ([b"192.0.2.1, \xff"], None),
        ([b""], None),
        ([], None),
    ],
)
def test_the_last_that_is_no_proxy_is_the_client(sent: list[bytes], client: str | None) -> None:
    """Whatever a client writes before it, and whatever is no address."""
    headers = [(b"x-forwarded-for", value) for value in sent]
    assert Clients(PROXIES).behind(headers) == client


@pytest.mark.parametrize(
    ("phase", "seconds"),
    [
        (Phase.IDLE, 10),
        (Phase.HEAD, 10),
        (Phase.BODY, 30),
        (Phase.LEAVING, LEAVE_SECONDS),
        (Phase.ANSWER, None),
    ],
)
def test_what_is_awaited_has_its_time(
    connections: Connections, clock: Clock, phase: Phase, seconds: float | None
) -> None:
    """Only the server itself may take as long as it takes."""
    line, connection = opened(connections, "127.0.0.1")
    connection.phase = phase
    clock.now += seconds or 10_000
    connections.end_overdue()
    assert line.is_open
    clock.now += 0.1
    connections.end_overdue()
    assert line.is_open == (seconds is None)


def test_who_has_shown_a_key_may_be_idle_for_longer(connections: Connections, clock: Clock) -> None:
    """Kept connections are for callers, and an answer has to be taken all the same."""
    (kept, _), (blocked, connection) = (
        opened(connections, "127.0.0.1", proven=True) for _ in range(2)
    )
    connection.phase, connection.blocked_since = Phase.ANSWER, clock.now
    clock.now += 31
    connections.end_overdue()
    assert (kept.is_open, blocked.is_open) == (True, False)
    clock.now += 45
    connections.end_overdue()
    assert not kept.is_open


def test_on_the_way_out_bodies_are_waited_for_no_longer(
    connections: Connections, clock: Clock
) -> None:
    """The last call is for what is still being sent."""
    line, connection = opened(connections, "127.0.0.1", proven=True)
    connection.phase = Phase.BODY
    connections.last_call(2)
    clock.now += 2.1
    connections.end_overdue()
    assert not line.is_open


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["open", "close", "prove", "ask", "answer", "late"]),
            st.integers(0, 11),
            st.sampled_from(["127.0.0.1", "127.0.0.2", "10.0.0.1", "::1", "no address"]),
        ),
        max_size=60,
    )
)
def test_what_is_counted_is_what_is_open(steps: list[tuple[str, int, str]]) -> None:
    """Whatever happens in whatever order: never too many, and nothing is counted that is gone."""
    clock = Clock()
    connections = Connections(LIMITS, Clients(PROXIES), clock)
    held: list[tuple[Line, OpenConnection]] = []

    def alive() -> list[tuple[Line, OpenConnection]]:
        return [one for one in held if one[0].is_open]

    for deed, number, host in steps:
        clock.now += number
        try:
            if deed == "open":
                held.append(opened(connections, host))
            elif deed == "late":
                connections.end_overdue()
                for line, connection in held:
                    if not line.is_open:
                        connections.close(connection)
            elif held:
                _act(connections, deed, *held[number % len(held)])
        except RequestRefusedError:
            assert deed in {"open", "ask"}
        assert len(connections) == len(alive()) <= LIMITS.connections
    for _, connection in held:
        connections.close(connection)
    assert len(connections) == 0
    assert not connections._numbers
    assert not connections._unproven


def _act(connections: Connections, deed: str, line: Line, connection: OpenConnection) -> None:
    acts: dict[str, Callable[[], None]] = {
        "close": lambda: connections.close(connection),
        "prove": lambda: connections.prove(connection),
        "ask": lambda: connections.ask_for(connection, [(b"x-forwarded-for", b"192.0.2.1")]),
        "answer": lambda: setattr(connection, "phase", Phase.ANSWER),
    }
    if deed == "ask" and not connection.is_proxy:
        return
    acts[deed]()
    if deed == "close":
        line.is_open = False


def test_room_is_left_for_files_that_are_no_connections() -> None:
    """Models, the registry and gRPC go on however many connections there are."""
    assert connections_within(256) + FILES_OF_ITS_OWN < 256
    assert connections_within(10) == 1


def test_what_was_ended_is_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever makes the server end a million connections has not filled a disk."""
    ended = EndedConnections(0)
    with caplog.at_level(logging.INFO, "serving.connections"):
        for second in range(int(TELL_SECONDS)):
            for _ in range(1000):
                ended.count("refused with 431")
            ended.tell(second)
        assert len(messages_of(caplog, "serving.connections")) == 1
        ended.tell(TELL_SECONDS)
        ended.tell(3 * TELL_SECONDS)
    assert messages_of(caplog, "serving.connections") == [
        "connections in the last 1 s: 1000 refused with 431",
        "connections in the last 60 s: 59000 refused with 431",
    ]
