"""Who is connected over gRPC, and who gives way when there are too many.

A connection on which somebody has shown a key is proven. One that is not gives way to a newcomer,
the oldest of the client that has most of them: who holds thousands of silent ones loses his own.
"""

import asyncio
from collections import Counter
from typing import Protocol


class Closable(Protocol):
    """A connection."""

    @property
    def is_idle(self) -> bool:
        """Whether no call is in flight on it."""

    def leave(self) -> None:
        """Take no new calls and end with the last one."""

    def drop(self) -> None:
        """End at once."""

    def look(self, now: float) -> None:
        """End what takes too long; `now` is the event loop's time."""


class Connected:
    """The open connections of one process, each with its client's address."""

    def __init__(self, limit: int, client_limit: int) -> None:
        """Hold at most so many, and so many of one client."""
        self._limit = limit
        self._client_limit = client_limit
        self._unproven: dict[str, dict[Closable, None]] = {}
        self._proven: dict[Closable, str] = {}
        self._numbers: Counter[str] = Counter()
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(self._numbers.values())

    async def ended(self) -> None:
        """Return when there is none."""
        await self._empty.wait()

    def all(self) -> list[Closable]:
        """Return every one."""
        return [*self._proven, *(one for group in self._unproven.values() for one in group)]

    def admit(self, connection: Closable, client: str) -> bool:
        """Count a new one, and return whether it may stay; others may have given way."""
        if self._numbers[client] >= self._client_limit and not self._make_room_of(client):
            return False
        if len(self) >= self._limit and not self._make_room():
            return False
        self._unproven.setdefault(client, {})[connection] = None
        self._numbers[client] += 1
        self._empty.clear()
        return True

    def prove(self, connection: Closable, client: str) -> None:
        """Note that somebody has shown a key on it."""
        if connection in self._unproven.get(client, ()):
            self._forget_unproven(connection, client)
            self._proven[connection] = client

    def remove(self, connection: Closable, client: str) -> None:
        """Count it no more; harmless when it is not counted."""
        if self._proven.pop(connection, None) is None:
            if connection not in self._unproven.get(client, ()):
                return
            self._forget_unproven(connection, client)
        self._numbers[client] -= 1
        if not self._numbers[client]:
            del self._numbers[client]
        if not self._numbers:
            self._empty.set()

    def _forget_unproven(self, connection: Closable, client: str) -> None:
        group = self._unproven[client]
        del group[connection]
        if not group:
            del self._unproven[client]

    def _make_room_of(self, client: str) -> bool:
        group = self._unproven.get(client)
        if group:
            return self._end(next(iter(group)), client)
        return self._end_idle([one for one, whose in self._proven.items() if whose == client])

    def _make_room(self) -> bool:
        if self._unproven:
            client = max(self._unproven, key=lambda one: len(self._unproven[one]))
            return self._end(next(iter(self._unproven[client])), client)
        return self._end_idle(list(self._proven))

    def _end_idle(self, candidates: list[Closable]) -> bool:
        idle = next((one for one in candidates if one.is_idle), None)
        return idle is not None and self._end(idle, self._proven[idle])

    def _end(self, connection: Closable, client: str) -> bool:
        self.remove(connection, client)
        connection.drop()
        return True
