"""Follows the registry's aliases: a new version is loaded before the old one is dropped.

A poll of the aliases is short: it gives roles to loaded versions and begins to open the others.
Each version is opened in a task of its own, so that one that takes long, or never ends, delays
neither another one nor the next poll. In the end it has the roles that its aliases give it by then,
or it was refused: then the reason is recorded and the old version keeps the role. A version under
several aliases is loaded once, and not again when its role changes. A failure under another alias
never affects the champion, and a registry that is down, or no longer names a champion, takes no
model out of service.

A number does not identify a version: a model that is deleted and created again counts from 1. A
loaded version keeps its role as long as the registry means the same by its number, see `_Proof`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from serving.bundle import Bundle, BundleRefusedError
from serving.models.holder import Holder, LoadedVersion, Refusal, Role
from serving.models.scoring import UnscorableError
from serving.registry.local_copies import LocalCopies, LocalCopy
from serving.registry.opener import Opener
from serving.registry.registry import (
    AliasedVersions,
    Registry,
    RegistryError,
    UnprovenError,
    VersionGoneError,
)
from serving.registry.trouble_log import Troubles, as_one_line

LOG = logging.getLogger("serving")
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0
FALL_BACK_SECONDS = 3.0
"""Seconds after which the local copy of the last champion answers if no version is loaded yet."""
PROVEN_SECONDS, QUESTIONS_A_SECOND = 30.0, 10.0
"""After PROVEN_SECONDS the identity of a number is requested again, because a tag can change with
no trace; later with many versions, so that there are at most QUESTIONS_A_SECOND."""
_REGISTRY, _COPIES = "the registry", "the server's copies"
_DELETED = "?"
"""Key of the task that finds out why the registry names no champion, in place of a version."""


@dataclass(frozen=True)
class _Retry:
    failures: int
    due: float
    refusal: Refusal
    stamp: str


@dataclass(frozen=True)
class _Proof:
    """Proof that a loaded version is what the registry means by its number, for a model stamp."""

    held: LoadedVersion
    stamp: str
    asked: float


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
        self._shelf = shelf
        self._opener = Opener(registry, shelf)
        self._clock = clock
        self._troubles = Troubles()
        self._named: dict[str, AliasedVersions] = {}
        self._retries: dict[tuple[str, str], _Retry] = {}
        self._proofs: dict[tuple[str, str], _Proof] = {}
        self._recorded: dict[str, LoadedVersion] = {}
        self._restored: set[str] = set()
        # What is under way: by name and version what is opened, by name and "" what else there is.
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
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
            for task in self._tasks.values():
                task.cancel()
            await self._settled()
            await self._registry.close()

    async def first_look(self, patience_seconds: float) -> None:
        """Wait until everything that the first poll began has ended, or `patience_seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_seconds):
                await self._looked.wait()
                await self._settled()

    def poke(self) -> None:
        """Make `run` poll at once; callable from any thread, without effect when not running."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._poked.set)

    async def poll(self) -> None:
        """Poll once; return when every version with an alias has its role or was refused."""
        await self._look()
        await self._settled()

    async def poll_afresh(self, name: str) -> None:
        """Poll once, and try refused versions of this name again without waiting."""
        self._retries = {key: one for key, one in self._retries.items() if key[0] != name}
        self._restored.discard(name)
        await self._look()
        await self._settled(name)

    async def _look(self) -> None:
        async with self._looking:
            try:
                named = await self._asked()
            except RegistryError as error:
                self._registry_away(str(error))
            except Exception as error:  # noqa: BLE001 - let out, it would end the following for good
                self._troubles.met(_REGISTRY, "it could not be asked", error)
                self._registry_away(f"asking the registry failed: {as_one_line(error)}")
            else:
                self._registry_back(named)
                self._follow_all(named)

    async def _asked(self) -> Mapping[str, AliasedVersions | RegistryError]:
        """Request the aliases; before the first response, local copies are served meanwhile."""
        asking = asyncio.ensure_future(self._registry.named())
        try:
            if self._follows is None:
                await asyncio.wait({asking}, timeout=FALL_BACK_SECONDS)
                if not asking.done():
                    self._restore_all()
            return await asking
        finally:
            asking.cancel()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._poked.wait(), seconds)

    async def _settled(self, name: str | None = None) -> None:
        """Wait until no task is running, for one name or for all."""
        while under_way := {one for key, one in self._tasks.items() if name in (None, key[0])}:
            await asyncio.wait(under_way)

    def _begin(self, key: tuple[str, str], work: Callable[[], Awaitable[None]]) -> None:
        """Start a task beside the polls; whatever it raises is logged."""

        async def watched() -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - it must not be lost, nor be met by others
                self._troubles.met(key[0], as_one_line(error), error)

        task = asyncio.ensure_future(watched())
        self._tasks[key] = task
        task.add_done_callback(lambda _done: self._tasks.pop(key))

    def _registry_away(self, problem: str) -> None:
        is_news = self._follows is not False
        self._follows = False
        self._holder.registry_problem = problem
        restoring = self._restore_all()
        if is_news and (_REGISTRY, "") not in self._tasks:
            self._begin((_REGISTRY, ""), partial(self._tell_away, problem, restoring))

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
        gone: dict[str, AliasedVersions] = {
            name: AliasedVersions() for name in self._holder.names()
        }
        for name, one in {**gone, **named}.items():
            if isinstance(one, RegistryError):
                self._troubles.met(name, as_one_line(one))
                self._holder.refuse(name, Refusal("?", as_one_line(one), _kind(one)))
                continue
            try:
                self._follow(name, one)
                if name in named and Role.CHAMPION not in one.versions:
                    self._restore_unnamed(name)
                self._keep_house(name)
            except Exception as error:  # noqa: BLE001 - one model's trouble is not another's
                expected = isinstance(error, OSError | ValueError)
                self._troubles.met(name, as_one_line(error), None if expected else error)
            else:
                self._troubles.over(name)

    def _follow(self, name: str, named: AliasedVersions) -> None:
        is_withdrawn = self._holder.is_withdrawn(name)
        self._named[name] = AliasedVersions() if is_withdrawn else named
        wanted = {"", _DELETED, *self._named[name].versions.values()}
        for key, task in self._tasks.items():
            if key[0] == name and key[1] not in wanted:
                task.cancel()
        if is_withdrawn:
            return
        # As they stand before any role changes hands: two roles may swap their versions.
        held = frozenset(self._holder.lineup(name).roles().values())
        for role in Role:
            version = named.versions.get(role)
            if version is not None:
                self._fill(name, role, version, held)
            elif role is Role.CHAMPION:
                self._note_no_champion(name)
            else:
                self._release(name, role)

    def _fill(self, name: str, role: Role, version: str, held: Collection[LoadedVersion]) -> None:
        key, stamp = (name, version), self._named[name].stamp
        proof = self._proofs.get(key)
        if proof is not None and proof.stamp == stamp and proof.held in held:
            is_news = self._holder.lineup(name).under(role) is not proof.held
            self._holder.hold(proof.held, role)
            if is_news:
                LOG.info("%s: version %s is %s now", name, version, role)
            if key not in self._tasks and self._is_old(proof):
                self._begin(key, partial(self._prove_again, key, proof))
        elif key in self._tasks:
            return
        elif self._is_due(key, stamp):
            self._begin(key, partial(self._try, name, version, stamp))
        else:
            self._holder.refuse(name, self._retries[key].refusal, role)

    def _is_old(self, proof: _Proof) -> bool:
        lasts = max(PROVEN_SECONDS, len(self._proofs) / QUESTIONS_A_SECOND)
        return self._clock() - proof.asked > lasts

    async def _prove_again(self, key: tuple[str, str], proof: _Proof) -> None:
        """Forget the loaded version of a number when the registry means another one by now.

        When the registry does not tell, the version is kept and the request repeated later.
        """
        self._proofs[key] = replace(proof, asked=self._clock())
        try:
            copy = await self._opener.identify(*key)
        except (UnprovenError, VersionGoneError):
            is_other = True
        except RegistryError:
            return
        else:
            is_other = copy.is_other_than(_copy_of(proof.held))
        if is_other:
            self._proofs.pop(key, None)

    def _release(self, name: str, role: Role) -> None:
        before = self._holder.lineup(name).under(role)
        self._holder.release(name, role)
        if before is not None:
            LOG.info("%s: version %s is %s no more", name, before.version, role)

    def _note_no_champion(self, name: str) -> None:
        held, key = self._holder.find(name), (name, _DELETED)
        if held is not None and self._holder.refusal(name) is None and key not in self._tasks:
            self._begin(key, partial(self._tell_no_champion, held))

    async def _tell_no_champion(self, held: LoadedVersion) -> None:
        """Log once why the registry names no champion, and count it as a refusal."""
        reason = "the registry names no champion any more; the last one keeps answering"
        try:
            copy = await self._opener.identify(held.name, held.version)
        except VersionGoneError:
            reason = _was_deleted(held)
        except RegistryError:
            pass
        else:
            reason = _was_deleted(held) if copy.is_other_than(_copy_of(held)) else reason
        if Role.CHAMPION not in self._named[held.name].versions:
            self._holder.refuse(held.name, Refusal(held.version, reason, "registry"))
            LOG.warning("%s %s: %s", held.name, held.version, reason)

    def _restore_unnamed(self, name: str) -> None:
        """Serve the local copy of the last champion of a model without one; not of a deleted model.

        The pipeline sets a deleted alias again; until then a restart keeps the model in service.
        """
        if name in self._restored or (name, "") in self._tasks or self._holder.is_withdrawn(name):
            return
        if self._holder.find(name) is None and self._shelf.last_good(name) is not None:
            self._begin((name, ""), partial(self._restore, name))

    def _is_due(self, key: tuple[str, str], stamp: str) -> bool:
        retry = self._retries.get(key)
        return retry is None or retry.stamp != stamp or self._clock() >= retry.due

    async def _try(self, name: str, version: str, stamp: str) -> None:
        later = asyncio.ensure_future(self._fall_back(name, version))
        try:
            copy = await self._opener.identify(name, version)
            held = self._known(copy) or _held(copy, await self._opener.open(copy))
        except Exception as error:  # noqa: BLE001 - opening a model can raise anything, see loading
            self._refuse(name, version, stamp, error)
            if Role.CHAMPION in self._roles(name, version):
                await self._restore(name)
        else:
            self._retries.pop((name, version), None)
            self._proofs[name, version] = _Proof(held, stamp, self._clock())
            self._serve(held, self._roles(name, version))
        finally:
            later.cancel()
            await asyncio.wait({later})
        self._keep_house(name)

    def _roles(self, name: str, version: str) -> list[Role]:
        """Return the roles that the aliases gave a version at the last poll."""
        named = self._named.get(name, AliasedVersions()).versions
        return [role for role in Role if named.get(role) == version]

    def _known(self, copy: LocalCopy) -> LoadedVersion | None:
        """Return the loaded version of a number if it is the same version, else None."""
        held = self._holder.lineup(copy.name).roles().values()
        same = (one for one in held if not copy.is_other_than(_copy_of(one)))
        return next(same, None)

    def _serve(self, held: LoadedVersion, roles: list[Role]) -> None:
        if self._holder.is_withdrawn(held.name):
            return
        for role in roles:
            is_news = self._holder.lineup(held.name).under(role) is not held
            self._holder.hold(held, role)
            if is_news:
                LOG.info("%s: version %s is %s now", held.name, held.version, role)

    def _refuse(self, name: str, version: str, stamp: str, error: Exception) -> None:
        reason = as_one_line(error)
        before = self._retries.get((name, version))
        failures = before.failures + 1 if before else 1
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (failures - 1), LONGEST_PAUSE_SECONDS)
        refusal = Refusal(version, reason, _kind(error))
        self._retries[name, version] = _Retry(failures, self._clock() + pause, refusal, stamp)
        roles = self._roles(name, version)
        for role in roles:
            self._holder.refuse(name, refusal, role)
        if before is None or before.refusal != refusal:
            sentence = "%s: version %s refused as %s, tried again within %.0f s: %s"
            LOG.warning(sentence, name, version, " and ".join(roles), LONGEST_PAUSE_SECONDS, reason)

    def _keep_house(self, name: str) -> None:
        """Forget versions that no alias names any more, and remove their local copies."""
        wanted = self._wanted(name)
        for known in (self._retries, self._proofs):
            for key in [key for key in known if key[0] == name and key[1] not in wanted]:
                del known[key]
        try:
            is_in_order = self._to_record(name) is None and self._shelf.is_tidy(name, wanted)
        except OSError as error:
            self._troubles.met(f"{_COPIES} of {name}", as_one_line(error))
            return
        if not is_in_order and (name, "") not in self._tasks:
            self._begin((name, ""), partial(self._put_in_order, name))

    def _wanted(self, name: str) -> set[str]:
        named = self._named.get(name, AliasedVersions()).versions
        return set(named.values()) | set(self._holder.lineup(name).versions())

    def _to_record(self, name: str) -> LoadedVersion | None:
        """Return the champion to record for a restart; None when it is recorded already."""
        held = self._holder.find(name)
        is_noted = held is None or self._recorded.get(name) is held or not held.digest
        return None if is_noted else held

    async def _put_in_order(self, name: str) -> None:
        """Update the local copies; disk errors are only logged, as loaded models still answer."""
        about = f"{_COPIES} of {name}"
        try:
            async with self._shelf.writing(name):
                champion = self._to_record(name)
                if champion is not None:
                    self._shelf.record(_copy_of(champion))
                    self._recorded[name] = champion
                self._shelf.tidy(name, self._wanted(name))
        except OSError as error:
            self._troubles.met(about, as_one_line(error))
        else:
            self._troubles.over(about)

    def _restore_all(self) -> set[asyncio.Task[None]]:
        """Start tasks that load the local copies of all names' last champions; return them."""
        try:
            names = self._shelf.names()
        except OSError as error:
            self._troubles.met(_COPIES, as_one_line(error))
            return set()
        self._troubles.over(_COPIES)
        for name in names:
            if name not in self._restored and (name, "") not in self._tasks:
                self._begin((name, ""), partial(self._restore, name))
        return {self._tasks[name, ""] for name in names if (name, "") in self._tasks}

    async def _fall_back(self, name: str, version: str) -> None:
        """Serve the last champion's local copy when the new champion takes too long to arrive."""
        await asyncio.sleep(FALL_BACK_SECONDS)
        if Role.CHAMPION in self._roles(name, version) and not self._opener.is_loading(name):
            await self._restore(name)

    async def _restore(self, name: str) -> None:
        """Serve the last champion's local copy of a name without a loaded version; tried once."""
        copy = self._shelf.last_good(name)
        if copy is None or name in self._restored or self._holder.find(name) is not None:
            return
        self._restored.add(name)
        try:
            bundle = await self._opener.reopen(copy)
        except asyncio.CancelledError:
            self._restored.discard(name)
            raise
        except Exception as error:  # noqa: BLE001 - opening a model can raise anything, see loading
            LOG.warning(
                "%s: the copy of version %s is no help: %s", name, copy.version, as_one_line(error)
            )
            return
        if self._holder.find(name) is None:
            refusal = self._holder.refusal(name)
            held = self._recorded[name] = _held(copy, bundle)
            self._serve(held, [Role.CHAMPION])
            if refusal is not None:
                self._holder.refuse(name, refusal)


def _held(copy: LocalCopy, bundle: Bundle) -> LoadedVersion:
    return LoadedVersion(copy.name, copy.version, bundle, digest=copy.digest, source=copy.source)


def _copy_of(held: LoadedVersion) -> LocalCopy:
    return LocalCopy(held.name, held.version, held.digest, held.source)


def _was_deleted(held: LoadedVersion) -> str:
    return (
        f"version {held.version}, which answers, was deleted in the registry, and no champion is "
        "named; the server's own copy keeps answering"
    )


_KINDS = {
    UnprovenError: "bundle",
    RegistryError: "registry",
    BundleRefusedError: "bundle",
    UnscorableError: "model",
}


def _kind(error: Exception) -> str:
    return next((kind for one, kind in _KINDS.items() if isinstance(error, one)), "other")
