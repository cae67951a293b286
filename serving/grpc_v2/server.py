"""The protocol's gRPC service on a port of its own, beside REST in the same event loop.

Guarantees that a call that cannot be answered ends with a status that fits and with the sentence
that REST would give, whatever bytes came, and that a call which is given up ends alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc
from grpc import aio

from serving.grpc_v2.absent_calls import absent_calls
from serving.grpc_v2.calls import Calls, Repository
from serving.guard.keys import Keys
from serving.service import Service

SERVICES = (
    "inference.GRPCInferenceService",
    # Where MLServer has its repository calls, besides.
    "inference.model_repository.ModelRepositoryService",
)


@dataclass(frozen=True)
class Listening:
    """Where to listen, and for what."""

    host: str
    port: int
    """0 takes any that is free."""
    max_message_bytes: int
    max_rows: int
    """Of one request."""
    shares_port: bool = False
    """Whether other workers listen on the same port; then nobody notices that it is taken."""


@dataclass(frozen=True)
class GrpcServer:
    """A server that answers."""

    port: int
    """The one that it listens on."""
    _server: aio.Server

    async def stop(self, grace: float) -> None:
        """Take no new calls, and end when those in flight are answered or `grace` seconds over."""
        await self._server.stop(grace)


async def start_grpc(
    service: Service,
    repository: Repository,
    at: Listening,
    keys: Keys,
) -> GrpcServer:
    """Start answering and return; needs a running event loop, of asyncio or uvloop.

    Raises OSError with a sentence when the port is not to be had.
    """
    server = aio.server(
        options=(
            ("grpc.max_receive_message_length", at.max_message_bytes),
            ("grpc.max_send_message_length", -1),
            # gRPC shares ports by default, and a second server would take half of the calls.
            ("grpc.so_reuseport", int(at.shares_port)),
        )
    )
    server.add_generic_rpc_handlers(_handlers(Calls(service, repository, keys, at.max_rows)))
    port = _bind(server, at)
    await server.start()
    return GrpcServer(port, server)


def _bind(server: aio.Server, at: Listening) -> int:
    host = f"[{at.host}]" if ":" in at.host else at.host
    try:
        port: int = server.add_insecure_port(f"{host}:{at.port}")
    except RuntimeError as error:
        raise OSError(
            f"{at.host} port {at.port} is not to be had for gRPC. Stop what listens there, or "
            "choose another."
        ) from error
    return port


def _handlers(calls: Calls) -> Sequence[grpc.GenericRpcHandler]:
    # Bytes in and out: a message that is none becomes a refusal here and no failure of the server.
    methods = absent_calls() | {
        name: grpc.unary_unary_rpc_method_handler(answer) for name, answer in calls.all().items()
    }
    serving: Callable[..., grpc.GenericRpcHandler] = grpc.method_handlers_generic_handler
    return [serving(name, methods) for name in SERVICES]
