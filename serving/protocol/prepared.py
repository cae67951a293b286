"""What is worked out once for a model and used by each of its requests."""

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from serving.bundle import Manifest

_T = TypeVar("_T")


class Prepared(Generic[_T]):
    """A thing for each manifest, made when it is first asked for and dropped with the manifest.

    By identity, because a manifest holds dictionaries and has no hash.
    """

    def __init__(self, prepare: Callable[[Manifest], _T]) -> None:
        """Take what makes the thing."""
        self._prepare = prepare
        self._things: dict[int, _T] = {}

    def __len__(self) -> int:
        """Return for how many manifests there is a thing."""
        return len(self._things)

    def of(self, manifest: Manifest) -> _T:
        """Return the thing for this manifest."""
        thing = self._things.get(id(manifest))
        if thing is None:
            thing = self._things[id(manifest)] = self._prepare(manifest)
            weakref.finalize(manifest, self._things.pop, id(manifest), None)
        return thing
