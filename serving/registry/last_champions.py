"""The local copies of the last champions: what a server answers with while the registry cannot say.

A champion is recorded as soon as it is loaded, so that a restart finds it. A copy is restored once,
for a name without a loaded version: when the registry is down or slow, when it no longer names a
champion, or when the champion that it names is refused.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from functools import partial

from serving.bundle.registered import Role
from serving.models.holder import Holder, LoadedVersion
from serving.registry.background_tasks import BackgroundTasks
from serving.registry.local_copies import LocalCopies
from serving.registry.opener import Opener
from serving.registry.roles import copy_of, give_roles, loaded_version
from serving.registry.trouble_log import Troubles, as_one_line

LOG = logging.getLogger("serving")
FALL_BACK_SECONDS = 3.0
"""Seconds after which the local copy of the last champion answers if no version is loaded yet."""
_COPIES = "the server's copies"


class LastChampions:
    """Restores and records the last champions of all models, and removes copies of no use."""

    def __init__(
        self,
        holder: Holder,
        shelf: LocalCopies,
        opener: Opener,
        tasks: BackgroundTasks,
        troubles: Troubles,
    ) -> None:
        """`shelf` has the copies, `holder` gets what is restored; `tasks` does what takes long."""
        self._holder = holder
        self._shelf = shelf
        self._opener = opener
        self._tasks = tasks
        self._troubles = troubles
        self._recorded: dict[str, LoadedVersion] = {}
        self._restored: set[str] = set()
        self.fall_back_seconds = FALL_BACK_SECONDS

    def allow_again(self, name: str) -> None:
        """Let the copy of a name be restored once more."""
        self._restored.discard(name)

    def restore_all(self) -> set[asyncio.Task[None]]:
        """Start tasks that load the local copies of all names' last champions; return them."""
        try:
            names = self._shelf.names()
        except OSError as error:
            self._troubles.met(_COPIES, as_one_line(error))
            return set()
        self._troubles.over(_COPIES)
        for name in names:
            if name not in self._restored and not self._tasks.is_running((name, "")):
                self._tasks.begin((name, ""), partial(self.restore, name))
        return self._tasks.of_names(names)

    def restore_unnamed(self, name: str) -> None:
        """Serve the local copy of the last champion of a model without one; not of a deleted model.

        The pipeline sets a deleted alias again; until then a restart keeps the model in service.
        """
        if name in self._restored or self._tasks.is_running((name, "")):
            return
        if self._holder.is_withdrawn(name) or self._holder.find(name) is not None:
            return
        if self._shelf.last_good(name) is not None:
            self._tasks.begin((name, ""), partial(self.restore, name))

    async def restore(self, name: str) -> None:
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
        # The registry's own champion may have come while the copy was opened.
        if self._holder.find(name) is None:
            refusal = self._holder.refusal(name)
            held = self._recorded[name] = loaded_version(copy, bundle)
            give_roles(self._holder, held, [Role.CHAMPION])
            if refusal is not None:
                self._holder.refuse(name, refusal)

    def keep_in_order(self, name: str, wanted: Callable[[], Collection[str]]) -> None:
        """Record the champion of a name and remove its other copies, where that is not done yet.

        `wanted` returns the versions whose copies stay, also later, when the work is done.
        """
        try:
            is_in_order = self._to_record(name) is None and self._shelf.is_tidy(name, wanted())
        except OSError as error:
            self._troubles.met(f"{_COPIES} of {name}", as_one_line(error))
            return
        if not is_in_order and not self._tasks.is_running((name, "")):
            self._tasks.begin((name, ""), partial(self._put_in_order, name, wanted))

    def _to_record(self, name: str) -> LoadedVersion | None:
        """Return the champion to record for a restart; None when it is recorded already."""
        held = self._holder.find(name)
        is_noted = held is None or self._recorded.get(name) is held or not held.digest
        return None if is_noted else held

    async def _put_in_order(self, name: str, wanted: Callable[[], Collection[str]]) -> None:
        """Update the local copies; disk errors are only logged, as loaded models still answer."""
        about = f"{_COPIES} of {name}"
        try:
            async with self._shelf.writing(name):
                champion = self._to_record(name)
                if champion is not None:
                    self._shelf.record(copy_of(champion))
                    self._recorded[name] = champion
                self._shelf.tidy(name, wanted())
        except OSError as error:
            self._troubles.met(about, as_one_line(error))
        else:
            self._troubles.over(about)
