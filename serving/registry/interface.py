"""What following models asks of a registry, and what it may answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from serving.bundle.registered import Role


@dataclass(frozen=True)
class AliasedVersions:
    """The versions that the aliases of a model name."""

    versions: Mapping[Role, str] = field(default_factory=dict)
    stamp: str = ""
    """Times of the model's creation and last change: while equal, its numbers mean the same."""


@dataclass(frozen=True)
class VersionIdentity:
    """What identifies a version beside its number."""

    digest: str
    """The digest of its bundle."""
    source: str = ""
    """The registered model and the run that it was made from."""


class RegistryError(Exception):
    """The registry did not respond, or not with what is needed; the message says which."""


class UnprovenError(RegistryError):
    """A version has no digest, because another tool or a person made it."""


class VersionGoneError(RegistryError):
    """The version does not exist any more."""


class Registry(Protocol):
    """The requests that are needed to follow models; each may raise RegistryError."""

    async def named(self) -> dict[str, AliasedVersions | RegistryError]:
        """Return the versions that the aliases of every followed model name, by model name.

        For a model that is described in an unusable form, the value is an error.
        """

    async def identity(self, name: str, version: str) -> VersionIdentity:
        """Return what identifies a version.

        Raises VersionGoneError and UnprovenError, too.
        """

    async def fetch(self, name: str, version: str, folder: Path) -> None:
        """Write the files of a version's bundle into an existing folder."""

    async def close(self) -> None:
        """Close the connections to the registry."""
