"""uvicorn's HTTP protocol as `Connections` counts it: what it waits for, and since when."""

from typing import Any

from serving.connections.open_connections import Connections, OpenConnection, Phase
from serving.rest.front import CONNECTION
from serving.rest.one_write import OneWriteProtocol


class CountedProtocol(OneWriteProtocol):
    """One HTTP connection among the open ones."""

    _connection: OpenConnection
    """Its place among them, from `connection_made` on."""

    def __init__(self, connections: Connections, **given: Any) -> None:
        """Join the open `connections` when connected; other arguments are uvicorn's."""
        super().__init__(**given)
        self._connections = connections
        self._extensions: dict[str, Any] = {CONNECTION: self}

    def pause_writing(self) -> None:
        """Record the time since which the client does not read."""
        self._connection.blocked_since = self._connections.clock()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Record that the client reads again."""
        self._connection.blocked_since = None
        super().resume_writing()

    def prove(self) -> None:
        """Mark the connection as proven: a request on it had a valid key."""
        self._connections.prove(self._connection)
        self._extensions.clear()  # once is enough

    def give_way(self) -> None:
        """Close the connection at once, to make room for another one."""
        self.transport.abort()

    def _await(self, phase: Phase) -> None:
        connection = self._connection
        connection.phase = phase
        connection.since = self._connections.now
