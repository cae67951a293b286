"""Follows the registry's champions: new before old, and what serves keeps serving.

Every look ends in one of three ways for a model: nothing changed, the new champion answers, or the
new one was refused, the reason is kept and the old one answers on. A registry that is away, or that
no longer names a champion, takes nothing down.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from serving.following.registry import Registry, RegistryError
from serving.following.shelf import Copy, Shelf
from serving.models.holder import Held, Holder, Refusal
from serving.models.loading import load_and_warm

LOG = logging.getLogger("serving")
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0


@dataclass(frozen=True)
class _Retry:
    version: str
    failures: int
    due: float


class Watch:
    """One registry, one holder, one shelf; `poll` is one look and `run` looks for ever."""

    def __init__(
        self,
        registry: Registry,
        holder: Holder,
        shelf: Shelf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the parts; `clock` gives seconds and only ever moves forward."""
        self._registry = registry
        self._holder = holder
        self._shelf = shelf
        self._clock = clock
        self._retries: dict[str, _Retry] = {}
        self._restored: set[str] = set()
        self._follows: bool | None = None  # None before the first look

    async def run(self, pause_seconds: float) -> None:
        """Look again and again until cancelled."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(pause_seconds)
        finally:
            await self._registry.close()

    async def poll(self) -> None:
        """Look once and bring every champion that changed into service."""
        try:
            champions = await self._registry.champions()
        except RegistryError as error:
            await self._registry_away(str(error))
            return
        self._registry_back(champions)
        gone = {held.name: None for held in self._holder.loaded() if held.name not in champions}
        for name, version in {**champions, **gone}.items():
            await self._follow(name, version)

    async def _look(self) -> None:
        try:
            await self.poll()
        except Exception:
            # Let out, it would end the following for good while the server goes on answering.
            LOG.exception("a look at the registry failed in a way it should not")

    async def _registry_away(self, problem: str) -> None:
        is_news = self._follows is not False
        self._follows = False
        self._holder.registry_problem = problem
        for name in self._shelf.names():
            await self._restore(name)
        if is_news:
            kept = ", ".join(f"{held.name} {held.version}" for held in self._holder.loaded())
            LOG.warning("%s; still serving: %s", problem, kept or "nothing")

    def _registry_back(self, champions: dict[str, str | None]) -> None:
        if not self._follows:
            LOG.info("the registry answers; it has %d models to follow", len(champions))
        self._follows = True
        self._holder.registry_problem = None
        self._holder.follow(champions)

    async def _follow(self, name: str, version: str | None) -> None:
        held = self._holder.find(name)
        if version is None:
            self._note_no_champion(name, held)
        elif held is not None and held.version == version:
            self._holder.hold(held)  # and forget why another version was refused
        elif self._is_due(name, version):
            await self._try(name, version)

    def _note_no_champion(self, name: str, held: Held | None) -> None:
        if held is not None and self._holder.refusal(name) is None:
            reason = "the registry names no champion any more; the last one keeps answering"
            self._holder.refuse(name, Refusal(held.version, reason))
            LOG.warning("%s %s: %s", name, held.version, reason)

    def _is_due(self, name: str, version: str) -> bool:
        retry = self._retries.get(name)
        return retry is None or retry.version != version or self._clock() >= retry.due

    async def _try(self, name: str, version: str) -> None:
        try:
            digest = await self._registry.digest(name, version)
            await self._download(Copy(name, version, digest))
            await self._serve(Copy(name, version, digest))
        except Exception as error:  # noqa: BLE001 - opening a model can raise anything, see loading
            # A copy that did not work must not be what the next attempt finds.
            self._shelf.drop(self._shelf.folder(name, version))
            self._refuse(name, version, error)
            await self._restore(name)
        else:
            self._retries.pop(name, None)
            self._shelf.record(Copy(name, version, digest))

    async def _download(self, copy: Copy) -> None:
        if self._shelf.has(copy):
            return
        download = self._shelf.begin(copy.name)
        try:
            await self._registry.fetch(copy.name, copy.version, download)
            self._shelf.keep(download, copy)
        except BaseException:
            self._shelf.drop(download)
            raise

    async def _serve(self, copy: Copy) -> None:
        started = self._clock()
        folder = self._shelf.folder(copy.name, copy.version)
        bundle = await asyncio.to_thread(load_and_warm, folder, copy.digest, copy.name)
        self._holder.hold(Held(copy.name, copy.version, bundle))
        seconds = self._clock() - started
        LOG.info("%s: version %s answers now, ready in %.2f s", copy.name, copy.version, seconds)

    def _refuse(self, name: str, version: str, error: Exception) -> None:
        reason = f"{error}" if str(error) else type(error).__name__
        before = self._retries.get(name)
        failures = before.failures + 1 if before and before.version == version else 1
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (failures - 1), LONGEST_PAUSE_SECONDS)
        self._retries[name] = _Retry(version, failures, self._clock() + pause)
        self._holder.refuse(name, Refusal(version, reason))
        LOG.warning("%s: version %s refused, again in %.0f s: %s", name, version, pause, reason)

    async def _restore(self, name: str) -> None:
        """Serve the last good copy of a name that nothing answers for; tried once."""
        copy = self._shelf.last_good(name)
        if copy is None or name in self._restored or self._holder.find(name) is not None:
            return
        self._restored.add(name)
        refusal = self._holder.refusal(name)
        try:
            await self._serve(copy)
        except Exception as error:  # noqa: BLE001 - opening a model can raise anything, see loading
            LOG.warning("%s: the copy of version %s is no help: %s", name, copy.version, error)
            return
        if refusal is not None:
            self._holder.refuse(name, refusal)
