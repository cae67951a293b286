"""Follows the registry's aliases: new before old, and what serves keeps serving.

Every look ends in one of three ways for a role of a model: nothing changed, the version that the
alias names has it, or that version was refused, the reason is kept and what had the role keeps it.
A version under several aliases is loaded once, and one that changes its role is not loaded again.
What goes wrong under another alias never touches the champion, and a registry that is away, or that
no longer names a champion, takes nothing down.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from serving.bundle import Bundle, BundleRefusedError
from serving.following.registry import Named, Registry, RegistryError
from serving.following.shelf import Copy, Shelf
from serving.models.holder import Held, Holder, Refusal, Role
from serving.models.loading import load_and_warm
from serving.models.scoring import UnscorableError

LOG = logging.getLogger("serving")
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0


@dataclass(frozen=True)
class _Retry:
    failures: int
    due: float
    refusal: Refusal


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
        self._retries: dict[tuple[str, str], _Retry] = {}
        self._copies: dict[tuple[str, str], Copy] = {}
        self._restored: set[str] = set()
        self._follows: bool | None = None  # None before the first look
        self._looking = asyncio.Lock()
        self._poked = asyncio.Event()
        self._looked = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, pause_seconds: float) -> None:
        """Look again and again until cancelled: after each pause, or as soon as poked."""
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                self._poked.clear()
                await self._look()
                self._looked.set()
                await self._pause(pause_seconds)
        finally:
            await self._registry.close()

    async def first_look(self, patience_seconds: float) -> None:
        """Return when `run` has looked once, or when the patience is over."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._looked.wait(), patience_seconds)

    def poke(self) -> None:
        """Let `run` look at once; callable from any thread, does nothing while nobody runs."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._poked.set)

    async def poll(self) -> None:
        """Look once and bring every version that an alias names into its role."""
        async with self._looking:
            try:
                named = await self._registry.named()
            except RegistryError as error:
                await self._registry_away(str(error))
                return
            self._registry_back(named)
            gone: dict[str, Named] = {name: {} for name in self._holder.names()}
            for name, versions in {**gone, **named}.items():
                await self._follow(name, versions)

    async def poll_afresh(self, name: str) -> None:
        """Look once; a version of this name that was refused is tried again without its pause."""
        self._retries = {key: one for key, one in self._retries.items() if key[0] != name}
        self._restored.discard(name)
        await self.poll()

    async def _look(self) -> None:
        try:
            await self.poll()
        except Exception:
            # Let out, it would end the following for good while the server goes on answering.
            LOG.exception("a look at the registry failed in a way it should not")

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._poked.wait(), seconds)
        except TimeoutError:
            return

    async def _registry_away(self, problem: str) -> None:
        is_news = self._follows is not False
        self._follows = False
        self._holder.registry_problem = problem
        for name in self._shelf.names():
            await self._restore(name)
        if is_news:
            kept = ", ".join(f"{held.name} {held.version}" for held in self._holder.loaded())
            LOG.warning("%s; still serving: %s", problem, kept or "nothing")

    def _registry_back(self, named: Mapping[str, Named]) -> None:
        if not self._follows:
            LOG.info("the registry answers; it has %d models to follow", len(named))
        self._follows = True
        self._holder.registry_problem = None
        self._holder.follow({name: one.get(Role.CHAMPION) for name, one in named.items()})

    async def _follow(self, name: str, named: Named) -> None:
        if self._holder.is_withdrawn(name):
            return
        # As they stand before any role changes hands: two roles may swap their versions.
        held = self._holder.lineup(name).versions()
        for role in Role:
            version = named.get(role)
            if version is not None:
                await self._fill(name, role, version, held)
            elif role is Role.CHAMPION:
                self._note_no_champion(name)
            else:
                self._release(name, role)
        await self._forget(name, named)

    async def _fill(self, name: str, role: Role, version: str, held: dict[str, Held]) -> None:
        if version in held:
            is_news = self._holder.lineup(name).under(role) is not held[version]
            self._holder.hold(held[version], role)
            if is_news:
                LOG.info("%s: version %s is %s now", name, version, role)
                await self._record(name, role, version)
        elif self._is_due(name, version):
            await self._try(name, role, version, held)
        else:
            self._holder.refuse(name, self._retries[name, version].refusal, role)

    def _release(self, name: str, role: Role) -> None:
        before = self._holder.lineup(name).under(role)
        self._holder.release(name, role)
        if before is not None:
            LOG.info("%s: version %s is %s no more", name, before.version, role)

    def _note_no_champion(self, name: str) -> None:
        held = self._holder.find(name)
        if held is not None and self._holder.refusal(name) is None:
            reason = "the registry names no champion any more; the last one keeps answering"
            self._holder.refuse(name, Refusal(held.version, reason))
            LOG.warning("%s %s: %s", name, held.version, reason)

    def _is_due(self, name: str, version: str) -> bool:
        retry = self._retries.get((name, version))
        return retry is None or self._clock() >= retry.due

    async def _try(self, name: str, role: Role, version: str, held: dict[str, Held]) -> None:
        try:
            copy = Copy(name, version, await self._registry.digest(name, version))
            held[version] = self._serve(copy, await self._open(copy), role)
        except Exception as error:  # noqa: BLE001 - opening a model can raise anything, see loading
            await self._discard(name, version)
            self._refuse(name, role, version, error)
            if role is Role.CHAMPION:
                await self._restore(name)
        else:
            self._retries.pop((name, version), None)
            await self._record(name, role, version)

    async def _open(self, copy: Copy) -> Bundle:
        """Download a version if no worker has yet, and open it before anybody can remove it."""
        async with self._shelf.reading(copy.name):
            if self._shelf.has(copy):
                return await self._load(copy)
        async with self._shelf.writing(copy.name):
            if not self._shelf.has(copy):
                await self._download(copy)
            return await self._load(copy)

    async def _download(self, copy: Copy) -> None:
        download = self._shelf.begin(copy.name)
        try:
            await self._registry.fetch(copy.name, copy.version, download)
            self._shelf.keep(download, copy)
        except BaseException:
            self._shelf.drop(download)
            raise

    async def _load(self, copy: Copy) -> Bundle:
        folder = self._shelf.folder(copy.name, copy.version)
        return await asyncio.to_thread(load_and_warm, folder, copy.digest, copy.name)

    def _serve(self, copy: Copy, bundle: Bundle, role: Role) -> Held:
        held = Held(copy.name, copy.version, bundle)
        self._holder.hold(held, role)
        self._copies[copy.name, copy.version] = copy
        LOG.info("%s: version %s is %s now", copy.name, copy.version, role)
        return held

    async def _discard(self, name: str, version: str) -> None:
        """Remove a copy that did not work: it must not be what the next attempt finds."""
        with _at_the_shelf(name):
            async with self._shelf.writing(name):
                self._shelf.drop(self._shelf.folder(name, version))

    async def _record(self, name: str, role: Role, version: str) -> None:
        """Note which champion a restart may fall back on."""
        copy = self._copies.get((name, version))
        if role is Role.CHAMPION and copy is not None:
            with _at_the_shelf(name):
                async with self._shelf.writing(name):
                    self._shelf.record(copy)

    async def _forget(self, name: str, named: Named) -> None:
        """Drop what is known and kept of versions that no alias names any more."""
        wanted = set(named.values()) | set(self._holder.lineup(name).versions())
        for known in (self._retries, self._copies):
            for key in [key for key in known if key[0] == name and key[1] not in wanted]:
                del known[key]
        with _at_the_shelf(name):
            if not self._shelf.is_tidy(name, wanted):
                async with self._shelf.writing(name):
                    self._shelf.tidy(name, wanted)

    def _refuse(self, name: str, role: Role, version: str, error: Exception) -> None:
        reason = f"{error}" if str(error) else type(error).__name__
        before = self._retries.get((name, version))
        failures = before.failures + 1 if before else 1
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (failures - 1), LONGEST_PAUSE_SECONDS)
        refusal = Refusal(version, reason, _kind(error))
        self._retries[name, version] = _Retry(failures, self._clock() + pause, refusal)
        self._holder.refuse(name, refusal, role)
        told = "%s: version %s refused as %s, again in %.0f s: %s"
        LOG.warning(told, name, version, role, pause, reason)

    async def _restore(self, name: str) -> None:
        """Serve the last good copy of a name that nothing answers for; tried once."""
        copy = self._shelf.last_good(name)
        if copy is None or name in self._restored or self._holder.find(name) is not None:
            return
        self._restored.add(name)
        refusal = self._holder.refusal(name)
        try:
            async with self._shelf.reading(name):
                self._serve(copy, await self._load(copy), Role.CHAMPION)
        except Exception as error:  # noqa: BLE001 - opening a model can raise anything, see loading
            LOG.warning("%s: the copy of version %s is no help: %s", name, copy.version, error)
            return
        if refusal is not None:
            self._holder.refuse(name, refusal)


def _kind(error: Exception) -> str:
    kinds = {RegistryError: "registry", BundleRefusedError: "bundle", UnscorableError: "model"}
    return next((kind for one, kind in kinds.items() if isinstance(error, one)), "other")


@contextmanager
def _at_the_shelf(name: str) -> Iterator[None]:
    """Let trouble with the disk be a warning: what is held answers all the same."""
    try:
        yield
    except OSError as error:
        LOG.warning("%s: the server's copies could not be put in order: %s", name, error)
