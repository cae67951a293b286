"""Makes the loaded versions of each model those that its aliases name.

Loaded versions get their roles at once, and the others are opened, each in a task of its own. In
the end a version has the roles that its aliases give it by then, or it was refused: then the reason
is recorded and the old version keeps the role. A version under several aliases is loaded once, and
not again when its role changes. A failure under another alias never affects the champion.

A loaded version keeps its role as long as the registry means the same by its number, see `proofs`.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from functools import partial

from serving.bundle.registered import Role
from serving.models.holder import Holder, LoadedVersion, Refusal
from serving.registry.background_tasks import BackgroundTasks
from serving.registry.interface import (
    AliasedVersions,
    RegistryError,
    UnprovenError,
    VersionGoneError,
)
from serving.registry.last_champions import LastChampions
from serving.registry.local_copies import LocalCopy
from serving.registry.opener import Opener
from serving.registry.proofs import Proof, Proofs
from serving.registry.retries import LONGEST_PAUSE_SECONDS, Retries, refusal_for
from serving.registry.roles import copy_of, give_roles, loaded_version, release_role

LOG = logging.getLogger("serving")
_DELETED = "?"
"""Key of the task that finds out why the registry names no champion, in place of a version."""


class Follower:
    """Follows the aliases of all models; what takes long happens in tasks beside the polls."""

    def __init__(
        self,
        holder: Holder,
        opener: Opener,
        champions: LastChampions,
        tasks: BackgroundTasks,
        clock: Callable[[], float],
    ) -> None:
        """`holder` gets what `opener` opens; `clock` returns seconds and never goes back."""
        self._holder = holder
        self._opener = opener
        self._champions = champions
        self._tasks = tasks
        self._named: dict[str, AliasedVersions] = {}
        self._retries = Retries(clock)
        self._proofs = Proofs(clock)

    def try_again(self, name: str) -> None:
        """Let the refused versions of a name be tried at the next poll, without a pause."""
        self._retries.forget_others(name)
        self._champions.allow_again(name)

    def follow(self, name: str, named: AliasedVersions | None) -> None:
        """Follow what the aliases of a model name; None when the registry names no such model."""
        self._follow(name, named or AliasedVersions())
        if named is not None and Role.CHAMPION not in named.versions:
            self._champions.restore_unnamed(name)
        self._keep_house(name)

    def _follow(self, name: str, named: AliasedVersions) -> None:
        is_withdrawn = self._holder.is_withdrawn(name)
        self._named[name] = AliasedVersions() if is_withdrawn else named
        self._tasks.cancel_others(name, {"", _DELETED, *self._named[name].versions.values()})
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
                release_role(self._holder, name, role)

    def _fill(self, name: str, role: Role, version: str, held: Collection[LoadedVersion]) -> None:
        key, stamp = (name, version), self._named[name].stamp
        proof = self._proofs.find(key)
        if proof is not None and proof.holds_for(stamp, held):
            give_roles(self._holder, proof.held, [role])
            if not self._tasks.is_running(key) and self._proofs.is_old(proof):
                self._tasks.begin(key, partial(self._prove_again, key, proof))
        elif self._tasks.is_running(key):
            return
        elif self._retries.is_due(key, stamp):
            self._tasks.begin(key, partial(self._try, name, version, stamp))
        else:
            self._holder.refuse(name, self._retries.refusal(key), role)

    async def _prove_again(self, key: tuple[str, str], proof: Proof) -> None:
        """Forget the loaded version of a number when the registry means another one by now.

        When the registry does not tell, the version is kept and the request repeated later.
        """
        self._proofs.renew(key, proof)
        try:
            copy = await self._opener.identify(*key)
        except (UnprovenError, VersionGoneError):
            is_other = True
        except RegistryError:
            return
        else:
            is_other = copy.is_other_than(copy_of(proof.held))
        if is_other:
            self._proofs.forget(key)

    def _note_no_champion(self, name: str) -> None:
        held, key = self._holder.find(name), (name, _DELETED)
        if held is None or self._holder.refusal(name) is not None or self._tasks.is_running(key):
            return
        self._tasks.begin(key, partial(self._tell_no_champion, held))

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
            reason = _was_deleted(held) if copy.is_other_than(copy_of(held)) else reason
        if Role.CHAMPION not in self._named[held.name].versions:
            self._holder.refuse(held.name, Refusal(held.version, reason, "registry"))
            LOG.warning("%s %s: %s", held.name, held.version, reason)

    async def _try(self, name: str, version: str, stamp: str) -> None:
        # Beside it: a download may take minutes, and the last champion can answer meanwhile.
        later = asyncio.ensure_future(self._fall_back(name, version))
        try:
            copy = await self._opener.identify(name, version)
            held = self._loaded(copy) or loaded_version(copy, await self._opener.open(copy))
        except Exception as error:  # noqa: BLE001 - opening a model can raise anything, see loading
            self._refuse(name, version, stamp, error)
            if Role.CHAMPION in self._roles(name, version):
                await self._champions.restore(name)
        else:
            self._retries.forget((name, version))
            self._proofs.add((name, version), held, stamp)
            give_roles(self._holder, held, self._roles(name, version))
        finally:
            later.cancel()
            await asyncio.wait({later})
        self._keep_house(name)

    async def _fall_back(self, name: str, version: str) -> None:
        """Serve the last champion's local copy when the new champion takes too long to arrive."""
        await asyncio.sleep(self._champions.fall_back_seconds)
        if Role.CHAMPION in self._roles(name, version) and not self._opener.is_loading(name):
            await self._champions.restore(name)

    def _roles(self, name: str, version: str) -> list[Role]:
        """Return the roles that the aliases gave a version at the last poll."""
        named = self._named.get(name, AliasedVersions()).versions
        return [role for role in Role if named.get(role) == version]

    def _loaded(self, copy: LocalCopy) -> LoadedVersion | None:
        """Return the loaded version of a number if it is the same version, else None."""
        held = self._holder.lineup(copy.name).roles().values()
        same = (one for one in held if not copy.is_other_than(copy_of(one)))
        return next(same, None)

    def _refuse(self, name: str, version: str, stamp: str, error: Exception) -> None:
        refusal = refusal_for(version, error)
        is_news = self._retries.add((name, version), stamp, refusal)
        roles = self._roles(name, version)
        for role in roles:
            self._holder.refuse(name, refusal, role)
        if is_news:
            LOG.warning(
                "%s: version %s refused as %s, tried again within %.0f s: %s",
                name,
                version,
                " and ".join(roles),
                LONGEST_PAUSE_SECONDS,
                refusal.reason,
            )

    def _keep_house(self, name: str) -> None:
        """Forget versions that no alias names any more, and remove their local copies."""
        wanted = self._wanted(name)
        self._retries.forget_others(name, wanted)
        self._proofs.forget_others(name, wanted)
        self._champions.keep_in_order(name, partial(self._wanted, name))

    def _wanted(self, name: str) -> set[str]:
        named = self._named.get(name, AliasedVersions()).versions
        return set(named.values()) | set(self._holder.lineup(name).versions())


def _was_deleted(held: LoadedVersion) -> str:
    return (
        f"version {held.version}, which answers, was deleted in the registry, and no champion is "
        "named; the server's own copy keeps answering"
    )
