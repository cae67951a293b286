"""All open connections: closes one when there are too many, and those that are overdue.

A connection on which a valid key was shown is proven. When there are too many connections, an
unproven one is closed for a new one: the oldest of the client that has most of them, so that a
client with thousands of silent connections loses its own. If all are proven, the one that is idle
longest is closed; if none is idle, the new connection is refused.
"""

import enum
import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

from serving.connections.clients import Clients
from serving.connections.ended import EndedConnections
from serving.connections.limits import ConnectionLimits
from serving.refusals import RequestRefusedError

LEAVE_SECONDS = 1.0
"""Seconds for a client to read the answer after which its connection is closed."""
_UNNAMED = ""


class Phase(enum.Enum):
    """What a connection is waiting for."""

    IDLE = "the first byte of a request"
    HEAD = "the rest of its head"
    BODY = "the rest of its body"
    ANSWER = "the answer"
    LEAVING = "that the client takes the last answer and goes"


class Owner(Protocol):
    """The protocol object of a connection, which can close it."""

    def give_way(self) -> None:
        """Close the connection at once."""

    def expire(self) -> None:
        """Close the connection because it is overdue."""


class OpenConnection:
    """The state of one connection."""

    __slots__ = ("blocked_since", "client", "is_proven", "is_proxy", "phase", "since")

    def __init__(self, client: str, since: float, *, is_proxy: bool) -> None:
        """Wait for the first request; a proxy's connection is counted for the client it names."""
        self.client = client
        self.is_proxy = is_proxy
        self.is_proven = is_proxy
        self.phase = Phase.IDLE
        self.since = since
        self.blocked_since: float | None = None
        """Time since which the client has not read what was written; None while it reads."""


class Connections:
    """The open connections of one process; used from the event loop alone."""

    def __init__(
        self, limits: ConnectionLimits, clients: Clients, clock: Callable[[], float]
    ) -> None:
        """Start without connections; `clock` returns seconds."""
        self.limits = limits
        self._clients = clients
        self.clock = clock
        self._proven: dict[OpenConnection, Owner] = {}
        self._unproven: dict[str, dict[OpenConnection, Owner]] = {}
        self._numbers: Counter[str] = Counter()
        self._count = 0
        self.now = clock()
        """Time of the last check for overdue connections, which saves a call of the clock."""
        self._last_call = math.inf
        self.ended = EndedConnections(clock())

    def __len__(self) -> int:
        """Return the number of open connections."""
        return self._count

    def open(self, owner: Owner, host: str) -> OpenConnection:
        """Register a new connection, closing another one if there are too many.

        Raises RequestRefusedError: 429 when its client has too many, 503 when all are too many.
        """
        is_proxy = self._clients.is_proxy(host)
        client = _UNNAMED if is_proxy else self._clients.name(host)
        if self._has_too_many(client):
            self._make_room_of(client)
        if self._count >= self.limits.connections:
            self._make_room()
        connection = OpenConnection(client, self.clock(), is_proxy=is_proxy)
        self._count += 1
        self._add_to(client, 1)
        self._group(connection)[connection] = owner
        return connection

    def close(self, connection: OpenConnection) -> None:
        """Remove a connection; harmless when it was removed before."""
        if self._taken(connection) is not None:
            self._count -= 1
            self._add_to(connection.client, -1)

    def prove(self, connection: OpenConnection) -> None:
        """Mark a connection as proven: a valid key was shown on it."""
        owner = self._taken(connection)
        connection.is_proven = True
        if owner is not None:
            self._proven[connection] = owner

    def ask_for(self, connection: OpenConnection, headers: list[tuple[bytes, bytes]]) -> None:
        """Count a proxy's connection for the client that its request names.

        Raises RequestRefusedError 429 when the client has too many.
        """
        self.asks_no_more(connection)
        client = self._clients.behind(headers) or _UNNAMED
        if self._has_too_many(client):
            raise _too_many_of_client()
        # It may have been closed while its request was read.
        if connection in self._proven:
            self._add_to(client, 1)
            connection.client = client

    def asks_no_more(self, connection: OpenConnection) -> None:
        """Stop counting a proxy's connection for a client."""
        if connection in self._proven:
            self._add_to(connection.client, -1)
        connection.client = _UNNAMED

    def last_call(self, seconds: float) -> None:
        """Limit the waiting for unfinished bodies to `seconds` from now, at shutdown."""
        self._last_call = self.clock() + seconds

    def end_overdue(self) -> None:
        """Close every connection that has waited for too long."""
        now = self.now = self.clock()
        # Listed first: who expires leaves the dictionaries that are gone through.
        for owner in [owner for one, owner in self._all() if self._is_overdue(one, now)]:
            owner.expire()
        self.ended.tell(now)

    def _is_overdue(self, connection: OpenConnection, now: float) -> bool:
        blocked = connection.blocked_since
        if blocked is not None and now - blocked > self.limits.body_seconds:
            return True
        if connection.phase is Phase.BODY and now > self._last_call:
            return True
        seconds = self._seconds(connection)
        return seconds is not None and now - connection.since > seconds

    def _seconds(self, connection: OpenConnection) -> float | None:
        """Return the time limit of a connection's phase; None while the server is working."""
        match connection.phase:
            case Phase.IDLE if connection.is_proven:
                return self.limits.idle_seconds
            case Phase.IDLE | Phase.HEAD:
                return self.limits.head_seconds
            case Phase.BODY:
                return self.limits.body_seconds
            case Phase.LEAVING:
                return LEAVE_SECONDS
            case _:
                return None

    def _make_room_of(self, client: str) -> None:
        group = self._unproven.get(client)
        if group:
            self._give_way(next(iter(group)))
            return
        if not self._end_idle(lambda item: item.client == client):
            raise _too_many_of_client()

    def _make_room(self) -> None:
        if self._unproven:
            # Whoever has most of them pays: a flood closes its own connections, not those of
            # others.
            group = max(self._unproven.values(), key=len)
            self._give_way(next(iter(group)))
            return
        if not self._end_idle(lambda _one: True):
            raise RequestRefusedError(503, "too many connections are open; ask again in a second")

    def _end_idle(self, may_end: Callable[[OpenConnection], bool]) -> bool:
        idle = [one for one in self._proven if one.phase is Phase.IDLE and may_end(one)]
        if not idle:
            return False
        self._give_way(min(idle, key=lambda item: item.since))
        return True

    def _give_way(self, connection: OpenConnection) -> None:
        owner = self._group(connection)[connection]
        self.close(connection)
        self.ended.count("closed in favour of others")
        owner.give_way()

    def _group(self, connection: OpenConnection) -> dict[OpenConnection, Owner]:
        if connection.is_proven:
            return self._proven
        return self._unproven.setdefault(connection.client, {})

    def _taken(self, connection: OpenConnection) -> Owner | None:
        """Remove a connection from its group and return its owner; None when it is in none."""
        group = self._group(connection)
        owner = group.pop(connection, None)
        if not group and not connection.is_proven:
            del self._unproven[connection.client]
        return owner

    def _has_too_many(self, client: str) -> bool:
        return self._numbers[client] >= self.limits.client_connections

    def _add_to(self, client: str, connections: int) -> None:
        if client == _UNNAMED:
            return
        self._numbers[client] += connections
        if not self._numbers[client]:
            del self._numbers[client]

    def _all(self) -> Iterator[tuple[OpenConnection, Owner]]:
        yield from self._proven.items()
        for group in self._unproven.values():
            yield from group.items()


def _too_many_of_client() -> RequestRefusedError:
    return RequestRefusedError(
        429, "too many connections are open from your address; close some, or keep them open"
    )
