"""Opens a model version by its number: identifies it, downloads it if needed, and loads it.

Several versions are opened concurrently. A stalled download does not delay the others, up to the
number that may run at once; loads take turns, because each needs the processor.
"""

import asyncio

from serving.bundle import Bundle
from serving.models.loading import load_and_warm
from serving.registry.interface import Registry, RegistryError
from serving.registry.local_copies import LocalCopies, LocalCopy

DOWNLOADS_AT_ONCE = 32
"""Each download needs a connection and an open file; one that is too slow is ended."""
LOADS_AT_ONCE = 2
QUESTIONS_AT_ONCE = 64
"""Requests for what a version number stands for; each is short."""
_DOWNLOAD_OF_ANOTHER_SECONDS = 3600.0
"""Longest wait for another worker's download: longer than the two files may take."""


class Opener:
    """Opens versions of a registry through their local copies."""

    def __init__(self, registry: Registry, shelf: LocalCopies) -> None:
        """Versions are downloaded from `registry`, and their copies are kept in `shelf`."""
        self._registry = registry
        self._shelf = shelf
        self._downloads = asyncio.Semaphore(DOWNLOADS_AT_ONCE)
        self._questions = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        self._loads = asyncio.Semaphore(LOADS_AT_ONCE)
        self._loading: dict[str, int] = {}

    def is_loading(self, name: str) -> bool:
        """Return whether a version of this name is downloaded and is being loaded."""
        return bool(self._loading.get(name))

    async def identify(self, name: str, version: str) -> LocalCopy:
        """Return the version that a number means in the registry now; raises RegistryError."""
        async with self._questions:
            identity = await self._registry.identity(name, version)
        return LocalCopy(name, version, identity.digest, identity.source)

    async def open(self, copy: LocalCopy) -> Bundle:
        """Return the opened bundle of a version, downloaded if needed and tried on example rows.

        Opening a model can raise any Exception, see `loading`. A copy that cannot be opened is
        removed, so that the next attempt downloads it again.
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
        """Open a version from its local copy, without the registry."""
        async with self._shelf.reading(copy.name):
            return await self._load(copy)

    async def _opened(self, copy: LocalCopy) -> Bundle:
        """Download a version unless a worker has done so; open it under the shared lock."""
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
