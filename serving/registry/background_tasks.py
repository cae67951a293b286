"""Tasks that run beside the polls of the registry, one for each key at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

from serving.registry.trouble_log import Troubles, as_one_line

Key = tuple[str, str]
"""A model's name, and the version that is opened; empty for whatever else is done for a name."""


class BackgroundTasks:
    """The tasks that are running, by key."""

    def __init__(self, troubles: Troubles) -> None:
        """`troubles` logs what a task raises, as a problem of its name."""
        self._troubles = troubles
        self._tasks: dict[Key, asyncio.Task[None]] = {}

    def begin(self, key: Key, work: Callable[[], Awaitable[None]]) -> None:
        """Start a task; whatever it raises is logged."""

        async def watched() -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - it must not be lost, nor be met by others
                self._troubles.met(key[0], as_one_line(error), error)

        task = asyncio.ensure_future(watched())
        self._tasks[key] = task
        task.add_done_callback(lambda _done: self._tasks.pop(key))

    def is_running(self, key: Key) -> bool:
        """Return whether a task of this key has not ended yet."""
        return key in self._tasks

    def of_names(self, names: Collection[str]) -> set[asyncio.Task[None]]:
        """Return the tasks of these names that open no version."""
        return {self._tasks[name, ""] for name in names if (name, "") in self._tasks}

    def cancel_all(self) -> None:
        """Cancel every task, without waiting for their end."""
        for task in self._tasks.values():
            task.cancel()

    def cancel_others(self, name: str, wanted: Collection[str]) -> None:
        """Cancel the tasks of a name that are for other versions than the wanted ones."""
        for key, task in self._tasks.items():
            if key[0] == name and key[1] not in wanted:
                task.cancel()

    async def wait(self, name: str | None = None) -> None:
        """Wait until no task is running, for one name or for all."""
        while running := {task for key, task in self._tasks.items() if name in (None, key[0])}:
            await asyncio.wait(running)
