"""The protocol's gRPC service on a port of its own, beside REST in the same event loop.

Guarantees that a call that cannot be answered ends with a status that fits and with the sentence
that REST would give, whatever bytes came, that a call which is given up ends alone, and that who
shows no key takes neither memory nor connections from those who do. It speaks HTTP/2 itself:
decision 26 says why.
"""

import asyncio
import contextlib
import socket
import time
from dataclasses import dataclass, field

from serving.connections.clients import Clients
from serving.connections.limits import ConnectionLimits
from serving.connections.open_connections import Connections
from serving.grpc.calls import Calls, RepositoryCalls
from serving.grpc.connection import Connection
from serving.grpc.shared import SharedParts
from serving.service import Service
from serving.traffic.keys import Keys
from serving.traffic.memory_budget import MemoryBudget

_BACKLOG = 2048
_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class GrpcOptions:
    """The address to listen on, and the limits of requests."""

    host: str
    port: int
    """0 takes any that is free."""
    max_message_bytes: int
    max_rows: int
    """Of one request."""
    limits: ConnectionLimits
    """Of connections; a head is a call's header fields, a body its message."""
    clients: Clients = field(default_factory=Clients)
    """Names the client of each connection, by which connections are counted."""
    shares_port: bool = False
    """Whether other workers listen on the same port; then nobody notices that it is taken."""


@dataclass(frozen=True)
class GrpcServer:
    """A running gRPC server."""

    port: int
    """The one that it listens on."""
    _listener: asyncio.Server
    _connected: set[Connection]
    _looking: "asyncio.Task[None]"

    async def stop(self, grace: float) -> None:
        """Take no new calls, and end when those in flight are answered or `grace` seconds over."""
        self._listener.close()
        for connection in list(self._connected):
            connection.leave()
        ends = [connection.ended for connection in self._connected]
        if ends:
            await asyncio.wait(ends, timeout=grace)
        for connection in list(self._connected):
            connection.drop()
        self._looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._looking


async def start_grpc(
    service: Service,
    repository: RepositoryCalls,
    address: GrpcOptions,
    keys: Keys,
    memory: MemoryBudget,
) -> GrpcServer:
    """Start answering and return; needs a running event loop, of asyncio or uvloop.

    What calls hold of memory is counted in `memory`. Raises OSError with a sentence when the port
    is not to be had.
    """
    calls = Calls(service, repository, keys, address.max_rows, address.max_message_bytes)
    connections = Connections(address.limits, address.clients, time.monotonic)
    shared = SharedParts(calls, memory, connections)
    connected: set[Connection] = set()
    bound = _bound(address)
    listener = await asyncio.get_running_loop().create_server(
        lambda: Connection(shared, connected), sock=bound, backlog=_BACKLOG
    )
    looking = asyncio.ensure_future(_look(connections, connected))
    return GrpcServer(bound.getsockname()[1], listener, connected, looking)


async def _look(connections: Connections, connected: set[Connection]) -> None:
    """Close connections and calls that take too long, repeatedly until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        connections.end_overdue()
        for connection in list(connected):
            connection.look(loop.time())


def _bound(address: GrpcOptions) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if address.shares_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((address.host, address.port))
        if not address.shares_port:
            listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(
            f"{address.host} port {address.port} is not to be had for gRPC ({error.strerror}). "
            "Stop what listens there, or choose another."
        ) from error
    return listener
