"""Follows the registry's aliases: a new version is loaded before the old one is dropped.

A poll of the aliases is short: it gives roles to loaded versions and begins to open the others, see
`follower`. Each version is opened in a task of its own, so that one that takes long, or never ends,
delays neither another one nor the next poll. A registry that is down, or no longer names a
champion, takes no model out of service, see `last_champions`.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from serving.bundle.registered import Role
from serving.models.holder import Holder
from serving.registry.background_tasks import BackgroundTasks
from serving.registry.follower import Follower
from serving.registry.interface import AliasedVersions, Registry, RegistryError
from serving.registry.last_champions import LastChampions
from serving.registry.local_copies import LocalCopies
from serving.registry.opener import Opener
from serving.registry.retries import refusal_for
from serving.registry.trouble_log import Troubles, as_one_line

LOG = logging.getLogger("serving")
_REGISTRY = "the registry"


class Watch:
    """Keeps the models of a holder as the registry names them; `run` polls for ever."""

    def __init__(
        self,
        registry: Registry,
        holder: Holder,
        shelf: LocalCopies,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` returns seconds and never goes back."""
        self._registry = registry
        self._holder = holder
        opener = Opener(registry, shelf)
        self._troubles = Troubles()
        self._tasks = BackgroundTasks(self._troubles)
        self._champions = LastChampions(holder, shelf, opener, self._tasks, self._troubles)
        self._follower = Follower(holder, opener, self._champions, self._tasks, clock)
        self._follows: bool | None = None  # None before the first look
        self._looking = asyncio.Lock()
        self._poked = asyncio.Event()
        self._looked = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, pause_seconds: float) -> None:
        """Poll until cancelled, after each pause or as soon as `poke` is called."""
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                self._poked.clear()
                await self._look()
                self._looked.set()
                await self._pause(pause_seconds)
        finally:
            self._tasks.cancel_all()
            await self._tasks.wait()
            await self._registry.close()

    async def first_look(self, patience_seconds: float) -> None:
        """Wait until everything that the first poll began has ended, or `patience_seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_seconds):
                await self._looked.wait()
                await self._tasks.wait()

    def poke(self) -> None:
        """Make `run` poll at once; callable from any thread, without effect when not running."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._poked.set)

    async def poll(self) -> None:
        """Poll once; return when every version with an alias has its role or was refused."""
        await self._look()
        await self._tasks.wait()

    async def poll_afresh(self, name: str) -> None:
        """Poll once, and try refused versions of this name again without waiting."""
        self._follower.try_again(name)
        await self._look()
        await self._tasks.wait(name)

    async def _look(self) -> None:
        async with self._looking:
            try:
                named = await self._request_aliases()
            except RegistryError as error:
                self._registry_away(str(error))
            except Exception as error:  # noqa: BLE001 - let out, it would end the following for good
                self._troubles.met(_REGISTRY, "it could not be asked", error)
                self._registry_away(f"asking the registry failed: {as_one_line(error)}")
            else:
                self._registry_back(named)
                self._follow_all(named)

    async def _request_aliases(self) -> Mapping[str, AliasedVersions | RegistryError]:
        """Request the aliases; before the first response, local copies are served meanwhile."""
        asking = asyncio.ensure_future(self._registry.named())
        try:
            if self._follows is None:
                await asyncio.wait({asking}, timeout=self._champions.fall_back_seconds)
                if not asking.done():
                    self._champions.restore_all()
            return await asking
        finally:
            # A poll that was cancelled leaves no request behind; where the answer is there it does
            # nothing.
            asking.cancel()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._poked.wait(), seconds)

    def _registry_away(self, problem: str) -> None:
        is_news = self._follows is not False
        self._follows = False
        self._holder.registry_problem = problem
        restoring = self._champions.restore_all()
        if is_news and not self._tasks.is_running((_REGISTRY, "")):
            self._tasks.begin((_REGISTRY, ""), partial(self._tell_away, problem, restoring))

    async def _tell_away(self, problem: str, restoring: set[asyncio.Task[None]]) -> None:
        if restoring:
            await asyncio.wait(restoring)
        kept = ", ".join(f"{held.name} {held.version}" for held in self._holder.loaded())
        LOG.warning("%s; still serving: %s", problem, kept or "nothing")

    def _registry_back(self, named: Mapping[str, AliasedVersions | RegistryError]) -> None:
        if not self._follows:
            LOG.info("the registry answers; it has %d models to follow", len(named))
        self._troubles.over(_REGISTRY)
        self._follows = True
        self._holder.registry_problem = None
        champions = {
            name: None if isinstance(one, RegistryError) else one.versions.get(Role.CHAMPION)
            for name, one in named.items()
        }
        self._holder.follow(champions)

    def _follow_all(self, named: Mapping[str, AliasedVersions | RegistryError]) -> None:
        for name, one in {**dict.fromkeys(self._holder.names()), **named}.items():
            if isinstance(one, RegistryError):
                self._troubles.met(name, as_one_line(one))
                self._holder.refuse(name, refusal_for("?", one))
                continue
            try:
                self._follower.follow(name, one)
            except Exception as error:  # noqa: BLE001 - one model's trouble is not another's
                expected = isinstance(error, OSError | ValueError)
                self._troubles.met(name, as_one_line(error), None if expected else error)
            else:
                self._troubles.over(name)
