"""Assembles the server: one ASGI application, and the background tasks of its lifetime."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette

from serving.configuration.settings import Settings
from serving.connections.clients import Clients
from serving.connections.limits import connection_limits
from serving.grpc.server import GrpcOptions, start_grpc
from serving.models.batcher import Batcher, BatchLimits
from serving.models.holder import Holder
from serving.models.scoring import score
from serving.protocol import metadata
from serving.registry.repository import Repository
from serving.registry.watch import Watch
from serving.registry.webhook import Webhook
from serving.rest.body import Bodies
from serving.rest.front import Application, FrontApplication
from serving.rest.routes import Routes
from serving.service import Service
from serving.traffic.drain import Drain
from serving.traffic.given_back import give_back_large_blocks
from serving.traffic.guard import Guard, make_guard
from serving.traffic.memory_budget import MemoryBudget

_TELL_SECONDS = 1.0
_FIRST_LOOK_SECONDS = 5.0
_LARGEST_TOGETHER = 8
"""Number of requests of the largest size that may be in memory at the same time."""

Background = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Server:
    """The parts that request handling, the registry watch and the shutdown share."""

    settings: Settings
    holder: Holder
    watch: Watch
    guard: Guard
    batcher: Batcher
    service: Service
    repository: Repository
    drain: Drain
    memory: MemoryBudget
    """The memory budget of all requests, over REST and gRPC together."""


def make_server(settings: Settings, holder: Holder, watch: Watch, drain: Drain) -> Server:
    """Return a server for the models of `holder`, kept current by `watch`; nothing runs yet."""
    guard = make_guard(settings, lambda held, matrix: score(held.bundle, matrix))
    batcher = Batcher(_limits(settings), guard.metrics.batch)
    holder.observe(guard)
    service = Service(holder, batcher, guard, settings.canary_share)
    memory = MemoryBudget(_LARGEST_TOGETHER * settings.body_limit_bytes)
    repository = Repository(holder, watch)
    return Server(settings, holder, watch, guard, batcher, service, repository, drain, memory)


def make_app(server: Server, follow: Background | None = None) -> Application:
    """Return the ASGI application; `follow` runs beside it, by default following the registry."""
    settings, guard = server.settings, server.guard
    bodies = Bodies(settings.body_limit_bytes, server.memory)
    routes = Routes(
        settings,
        server.holder,
        guard,
        server.repository,
        webhook=Webhook(settings.webhook_secret or "", server.watch.poke),
        drain=server.drain,
        bodies=bodies,
    )
    following = follow or (lambda: server.watch.run(settings.poll_seconds))
    rest = routes.application(_lifespan(server, following))
    return FrontApplication(server.service, guard.keys, bodies, rest, settings.max_rows)


def _limits(settings: Settings) -> BatchLimits:
    return BatchLimits(
        batch_size=lambda name: settings.batching(name).max_batch_size,
        batch_rows=settings.max_batch_rows,
        queue=settings.queue_limit,
        deadline_seconds=settings.deadline_seconds,
    )


def _lifespan(server: Server, follow: Background) -> Callable[[Any], Any]:
    @asynccontextmanager
    async def run(_app: Starlette) -> AsyncIterator[None]:
        give_back_large_blocks()
        background = [
            asyncio.ensure_future(follow()),
            asyncio.ensure_future(server.guard.publish()),
            asyncio.ensure_future(_tell(server)),
        ]
        if server.settings.worker is not None:
            # One of several: others answer meanwhile, so it comes in when it has something to say.
            await server.watch.first_look(_FIRST_LOOK_SECONDS)
        if server.settings.grpc_port:
            await _listen_to_grpc(server)
        yield
        for task in background:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        server.batcher.close()
        server.guard.close()

    return run


async def _listen_to_grpc(server: Server) -> None:
    settings = server.settings
    at = GrpcOptions(
        settings.host,
        settings.grpc_port,
        settings.body_limit_bytes,
        settings.max_rows,
        connection_limits(settings.connections),
        Clients(settings.connections.trusted_proxies),
        shares_port=settings.worker is not None,
    )
    grpc = await start_grpc(server.service, server.repository, at, server.guard.keys, server.memory)
    server.drain.on_stop(grpc.stop)


async def _tell(server: Server) -> None:
    """Update the published state of this process each second: queue, registry, readiness."""
    metrics, board = server.guard.metrics, server.guard.board
    is_settled = False
    while True:
        if not is_settled and server.holder.loaded():
            _keep_for_good()
            is_settled = True
        metrics.queue_depth(server.batcher.waiting)
        metrics.registry_reachable(reachable=server.holder.registry_problem is None)
        if board is not None:
            board.publish(metadata.ready(server.holder)["models"])
        await asyncio.sleep(_TELL_SECONDS)


def _keep_for_good() -> None:
    """Exclude all present objects, mostly those of libraries, from garbage collection.

    A full collection over them would stop every request for longer than any request takes. Models
    that are loaded later are few objects, and reference counting frees them.
    """
    gc.collect()
    gc.freeze()
