"""Caches objects that are computed once for each model and used by all of its requests."""

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from serving.bundle import Manifest

_T = TypeVar("_T")


class PreparedByManifest(Generic[_T]):
    """One object for each manifest, computed at first use and dropped with the manifest.

    Manifests are compared by identity, because they hold dictionaries and have no hash.
    """

    def __init__(self, prepare: Callable[[Manifest], _T]) -> None:
        """`prepare` computes the object for a manifest."""
        self._prepare = prepare
        self._things: dict[int, _T] = {}

    def __len__(self) -> int:
        """Return the number of cached objects."""
        return len(self._things)

    def of(self, manifest: Manifest) -> _T:
        """Return the object for a manifest."""
        thing = self._things.get(id(manifest))
        if thing is None:
            thing = self._things[id(manifest)] = self._prepare(manifest)
            weakref.finalize(manifest, self._things.pop, id(manifest), None)
        return thing
