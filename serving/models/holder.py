"""Holds the loaded model versions, by model name and role.

The versions of a name are one frozen `LoadedVersions`, and a change is one assignment: a request
sees the old line-up or the new one, never a mixture. It takes one `LoadedVersion` and uses it to
the end, even when that version is dropped meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from serving.bundle import Bundle
from serving.bundle.registered import Role
from serving.refusals import RequestRefusedError, quoted


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, eq=False)
class LoadedVersion:
    """A loaded model version that has answered its example rows; compared by identity."""

    name: str
    version: str
    bundle: Bundle
    digest: str = ""
    """Digest of the bundle in the registry. With the source it identifies the version, because a
    registry may assign a number twice. Both are empty without a registry."""
    source: str = ""


@dataclass(frozen=True)
class LoadedVersions:
    """The loaded versions of one name; the same version may have several roles."""

    champion: LoadedVersion | None = None
    challenger: LoadedVersion | None = None
    canary: LoadedVersion | None = None
    shadow: LoadedVersion | None = None
    since: Mapping[Role, datetime] = field(default_factory=dict)
    """The time (UTC) at which each role was given to its present version."""

    def under(self, role: Role) -> LoadedVersion | None:
        """Return the version with a role; None without one."""
        held: LoadedVersion | None = getattr(self, role.value)
        return held

    def roles(self) -> dict[Role, LoadedVersion]:
        """Return the version of each role that has one."""
        every = ((role, self.under(role)) for role in Role)
        return {role: held for role, held in every if held is not None}

    def versions(self) -> dict[str, LoadedVersion]:
        """Return the loaded versions by number.

        Of two versions with the same number, the one that is not champion is returned: it is the
        newer one, which a request by number means.
        """
        return {held.version: held for held in self.roles().values()}

    def with_role(self, role: Role, held: LoadedVersion | None) -> "LoadedVersions":
        """Return a line-up in which `held` has the role, or no version has it when it is None."""
        before, since = self.under(role), dict(self.since)
        if held is None:
            since.pop(role, None)
        elif before is not held:
            since[role] = _now()
        fields: dict[str, LoadedVersion | None] = {role.value: held}
        return replace(self, since=since, **fields)


@dataclass(frozen=True)
class Refusal:
    """Why a version that the registry names does not have its role."""

    version: str
    reason: str
    kind: str = "other"
    """The kind, for a metric's label: "registry", "bundle", "model" or "other"."""


_NOBODY = LoadedVersions()


class Observer(Protocol):
    """An object that is told of every change of the held versions."""

    def given(self, held: LoadedVersion, role: Role) -> None:
        """Handle that a version has got a role."""

    def refused(self, name: str, refusal: Refusal) -> None:
        """Handle that a version was refused."""

    def loaded(self, versions: list[tuple[str, str, str]]) -> None:
        """Handle a change of the loaded versions; `versions` are all (name, version, role)."""


@dataclass
class Holder:
    """The loaded versions of all models, and the reasons why others are not loaded."""

    registry_problem: str | None = "the registry has not been asked yet"
    """Why the registry cannot be read now; None while it can."""
    _lineups: dict[str, LoadedVersions] = field(default_factory=dict)
    _refusals: dict[tuple[str, Role], Refusal] = field(default_factory=dict)
    _champions: Mapping[str, str | None] = field(default_factory=dict)
    _withdrawn: set[str] = field(default_factory=set)
    _observer: Observer | None = None

    def observe(self, observer: Observer) -> None:
        """Tell an observer of the loaded versions now, and of every change from now on."""
        self._observer = observer
        self._tell()

    def names(self) -> list[str]:
        """Return every name that the registry or the local copies know, sorted."""
        return sorted(self._champions.keys() | self._lineups.keys() | self._withdrawn)

    def loaded(self) -> list[LoadedVersion]:
        """Return the champions, sorted by name."""
        champions = (self._lineups[name].champion for name in sorted(self._lineups))
        return [held for held in champions if held is not None]

    def lineup(self, name: str) -> LoadedVersions:
        """Return the present line-up of a name; an empty one for an unknown name."""
        return self._lineups.get(name, _NOBODY)

    def find(self, name: str) -> LoadedVersion | None:
        """Return the loaded champion of a name; None without one."""
        return self.lineup(name).champion

    def named(self, name: str) -> str | None:
        """Return the champion's number that the registry names, loaded or not."""
        return self._champions.get(name)

    def refusal(self, name: str, role: Role = Role.CHAMPION) -> Refusal | None:
        """Return why the version for a role was refused; None when it was not."""
        return self._refusals.get((name, role))

    def refusals(self, name: str) -> dict[Role, Refusal]:
        """Return the refusals of a name by role."""
        every = ((role, self.refusal(name, role)) for role in Role)
        return {role: refusal for role, refusal in every if refusal is not None}

    def take(self, name: str, version: str | None = None) -> LoadedVersion:
        """Return the champion of a name, or the requested version, whatever its role.

        Raises RequestRefusedError: 404 for a name or version that is not loaded, 503 while the name
        is followed but no version of it could be loaded.
        """
        lineup = self.lineup(name)
        if version is None:
            if lineup.champion is None:
                raise self._absence(name)
            return lineup.champion
        held = lineup.versions()
        if not held:
            raise self._absence(name)
        if version not in held:
            loaded = " and ".join(sorted(held)) + (" is" if len(held) == 1 else " are")
            raise RequestRefusedError(
                404, f"version {quoted(version)} of {name} is not loaded; version {loaded}"
            )
        return held[version]

    def follow(self, champions: Mapping[str, str | None]) -> None:
        """Set the names in the registry and their champions; loaded versions are not changed."""
        self._champions = dict(champions)

    def hold(self, held: LoadedVersion, role: Role = Role.CHAMPION) -> None:
        """Give a version a role, from the next request on.

        Does nothing for a name that was taken out of service meanwhile.
        """
        if held.name in self._withdrawn:
            return
        before = self.lineup(held.name).under(role)
        # One assignment of a whole line-up: a request sees the old versions or the new ones.
        self._lineups[held.name] = self.lineup(held.name).with_role(role, held)
        self._refusals.pop((held.name, role), None)
        if self._observer is not None and before is not held:
            self._observer.given(held, role)
            self._tell()

    def release(self, name: str, role: Role) -> None:
        """Empty a role; requests that use its version finish with it."""
        self._refusals.pop((name, role), None)
        if self.lineup(name).under(role) is not None:
            left = self.lineup(name).with_role(role, None)
            self._lineups[name] = left
            if not left.roles():
                del self._lineups[name]
            self._tell()

    def refuse(self, name: str, refusal: Refusal, role: Role = Role.CHAMPION) -> None:
        """Record why a version was not given a role; the loaded versions are not changed."""
        is_news = self._refusals.get((name, role)) != refusal
        self._refusals[name, role] = refusal
        if is_news and self._observer is not None:
            self._observer.refused(name, refusal)

    def withdraw(self, name: str) -> None:
        """Take a name out of service, whatever the registry says, until `readmit`."""
        self._withdrawn.add(name)
        self._lineups.pop(name, None)
        for role in Role:
            self._refusals.pop((name, role), None)
        self._tell()

    def readmit(self, name: str) -> None:
        """Allow a withdrawn name to be followed again."""
        self._withdrawn.discard(name)

    def is_withdrawn(self, name: str) -> bool:
        """Return whether a name was taken out of service."""
        return name in self._withdrawn

    def absence(self, name: str) -> str:
        """Return the sentence that says why a name has no champion."""
        return str(self._absence(name))

    def _tell(self) -> None:
        if self._observer is not None:
            self._observer.loaded(
                [
                    (name, held.version, role.value)
                    for name, lineup in self._lineups.items()
                    for role, held in lineup.roles().items()
                ]
            )

    def _absence(self, name: str) -> RequestRefusedError:
        refusal = self.refusal(name)
        if name in self._withdrawn:
            sentence = (
                f"{name} was taken out of service at the repository API: "
                f"POST /v2/repository/models/{name}/load brings it back"
            )
        elif refusal is not None:
            sentence = f"version {refusal.version} of {name} could not be loaded: {refusal.reason}"
        elif name in self._champions:
            version = self._champions[name]
            sentence = (
                f"version {version} of {name} is being loaded"
                if version
                else f"{name} has no champion yet: the registry names none under that alias"
            )
        elif self.registry_problem is not None:
            sentence = f"{name} is not loaded and cannot be looked up: {self.registry_problem}"
        else:
            known = ", ".join(self.names()) or "none yet"
            return RequestRefusedError(
                404, f"there is no model {quoted(name)}; the models are: {known}"
            )
        return RequestRefusedError(503, sentence)
