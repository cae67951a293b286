"""From a version's number to its bundle, opened: identity, copy, download, load.

Versions are opened side by side, each at its own pace: a download that hangs keeps no other
waiting, up to the number that may run at once, and loads take turns, for each takes the processor.
"""

import asyncio

from serving.bundle import Bundle
from serving.models.loading import load_and_warm
from serving.registry.local_copies import LocalCopy, Shelf
from serving.registry.registry import Registry, RegistryError

DOWNLOADS_AT_ONCE = 32
"""Each costs a connection and a file; one that is too slow ends by itself."""
LOADS_AT_ONCE = 2
QUESTIONS_AT_ONCE = 64
"""Which version a number stands for; each is short."""
_DOWNLOAD_OF_ANOTHER_SECONDS = 3600.0
"""Longer than the two files of a version may take; a process that ends gives its lock back."""


class Opener:
    """Opens versions of a registry by way of the shelf."""

    def __init__(self, registry: Registry, shelf: Shelf) -> None:
        """Take where versions come from and where copies of them are kept."""
        self._registry = registry
        self._shelf = shelf
        self._downloads = asyncio.Semaphore(DOWNLOADS_AT_ONCE)
        self._questions = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        self._loads = asyncio.Semaphore(LOADS_AT_ONCE)
        self._loading: dict[str, int] = {}

    def is_loading(self, name: str) -> bool:
        """Say whether all files of a version of this name are here and being opened."""
        return bool(self._loading.get(name))

    async def identify(self, name: str, version: str) -> LocalCopy:
        """Return what the registry calls by this number now; raises RegistryError."""
        async with self._questions:
            identity = await self._registry.identity(name, version)
        return LocalCopy(name, version, identity.digest, identity.source)

    async def open(self, copy: LocalCopy) -> Bundle:
        """Return a version that has proved that it can answer.

        Opening a model can raise anything, see loading. A copy that is no good is removed: it must
        not be what the next attempt finds.
        """
        try:
            return await self._opened(copy)
        except (RegistryError, OSError):
            raise  # which says nothing of the copy
        except Exception:
            async with self._shelf.writing(copy.name):
                self._shelf.drop(self._shelf.folder(copy))
            raise

    async def reopen(self, copy: LocalCopy) -> Bundle:
        """Return a version of which there is a copy, without the registry."""
        async with self._shelf.reading(copy.name):
            return await self._load(copy)

    async def _opened(self, copy: LocalCopy) -> Bundle:
        """Download a version if no worker has yet, and open it before anybody can remove it."""
        async with self._shelf.reading(copy.name):
            if await self._has(copy):
                return await self._load(copy)
        patience = _DOWNLOAD_OF_ANOTHER_SECONDS
        async with self._shelf.fetching(copy, patience):
            await self._fetch(copy)
            async with self._shelf.reading(copy.name):
                return await self._load(copy)

    async def _fetch(self, copy: LocalCopy) -> None:
        if await self._has(copy):
            return
        async with self._downloads:
            download = self._shelf.begin(copy)
            try:
                await self._registry.fetch(copy.name, copy.version, download)
                async with self._shelf.writing(copy.name):
                    self._shelf.keep(download, copy)
            except BaseException:
                self._shelf.drop(download)
                raise

    async def _has(self, copy: LocalCopy) -> bool:
        return await asyncio.to_thread(self._shelf.has, copy)

    async def _load(self, copy: LocalCopy) -> Bundle:
        folder = self._shelf.folder(copy)
        self._loading[copy.name] = self._loading.get(copy.name, 0) + 1
        try:
            async with self._loads:
                return await asyncio.to_thread(load_and_warm, folder, copy.digest, copy.name)
        finally:
            self._loading[copy.name] -= 1
