"""Which model versions are held, for every name that the server follows and under which role.

A name's versions stand in one frozen `LineUp`, and a change is one assignment: a request sees the
line-up before or the one after, whole, and never neither. It takes one `Held` and answers with it
to the end, whatever is let go meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from serving.bundle import Bundle
from serving.refusals import RequestRefusedError, quoted


class Role(StrEnum):
    """What a version is held for; the names are those of the registry's aliases."""

    CHAMPION = "champion"
    """Answers."""
    CHALLENGER = "challenger"
    """Answers only when asked for by its number, before it may become champion."""
    CANARY = "canary"
    """Gets a share of the champion's requests."""
    SHADOW = "shadow"
    """Gets a copy of the requests; nobody reads its answers but us."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, eq=False)
class Held:
    """A model version that is loaded, warm and able to answer; itself and equal to no other."""

    name: str
    version: str
    bundle: Bundle
    loaded_at: datetime = field(default_factory=_now)
    """UTC."""
    digest: str = ""
    """Of the bundle, as the registry has it; with the source it says which version of this number
    it is, for a registry may give a number twice. Both empty for what came from no registry."""
    source: str = ""


@dataclass(frozen=True)
class LineUp:
    """The versions of one name; the same one may stand under several roles."""

    champion: Held | None = None
    challenger: Held | None = None
    canary: Held | None = None
    shadow: Held | None = None
    since: Mapping[Role, datetime] = field(default_factory=dict)
    """When each role was given to the version that has it, UTC."""

    def under(self, role: Role) -> Held | None:
        """Return what is held under a role."""
        held: Held | None = getattr(self, role.value)
        return held

    def roles(self) -> dict[Role, Held]:
        """Return what is held under each role that is filled."""
        every = ((role, self.under(role)) for role in Role)
        return {role: held for role, held in every if held is not None}

    def versions(self) -> dict[str, Held]:
        """Return what is held by version.

        Of two that were given one number, that which is not yet or no more champion: it is the
        newer one, and who asks by number asks for it.
        """
        return {held.version: held for held in self.roles().values()}

    def with_role(self, role: Role, held: Held | None) -> "LineUp":
        """Return the line-up with this version under a role, or with none."""
        before, since = self.under(role), dict(self.since)
        if held is None:
            since.pop(role, None)
        elif before is not held:
            since[role] = _now()
        fields: dict[str, Held | None] = {role.value: held}
        return replace(self, since=since, **fields)


@dataclass(frozen=True)
class Refusal:
    """Why a version that the registry names is not held under its role."""

    version: str
    reason: str
    kind: str = "other"
    """In a word that can be counted: "registry", "bundle", "model" or "other"."""


_NOBODY = LineUp()


class Observer(Protocol):
    """Who wants to know what comes and goes, as it does."""

    def given(self, held: Held, role: Role) -> None:
        """Note that a version took a role."""

    def refused(self, name: str, refusal: Refusal) -> None:
        """Note that a version was not taken."""

    def loaded(self, versions: list[tuple[str, str, str]]) -> None:
        """Note every (name, version, role) that is held now."""


@dataclass
class Holder:
    """What is held, and what a person needs to know when something is not there."""

    registry_problem: str | None = "the registry has not been asked yet"
    """Why the registry cannot be followed now, or None while it answers."""
    _lineups: dict[str, LineUp] = field(default_factory=dict)
    _refusals: dict[tuple[str, Role], Refusal] = field(default_factory=dict)
    _champions: Mapping[str, str | None] = field(default_factory=dict)
    _withdrawn: set[str] = field(default_factory=set)
    _observer: Observer | None = None

    def observe(self, observer: Observer) -> None:
        """Tell this observer of every change from now on, and what is held now."""
        self._observer = observer
        self._tell()

    def names(self) -> list[str]:
        """Return every name that the registry or the local copies know, sorted."""
        return sorted(self._champions.keys() | self._lineups.keys() | self._withdrawn)

    def loaded(self) -> list[Held]:
        """Return the champions, sorted by name."""
        champions = (self._lineups[name].champion for name in sorted(self._lineups))
        return [held for held in champions if held is not None]

    def lineup(self, name: str) -> LineUp:
        """Return what is held for a name now; empty for a name that nothing is held for."""
        return self._lineups.get(name, _NOBODY)

    def find(self, name: str) -> Held | None:
        """Return the champion of a name, if it is held."""
        return self.lineup(name).champion

    def named(self, name: str) -> str | None:
        """Return the champion that the registry names, held or not."""
        return self._champions.get(name)

    def refusal(self, name: str, role: Role = Role.CHAMPION) -> Refusal | None:
        """Return why the version that should have a role was refused, if it was."""
        return self._refusals.get((name, role))

    def refusals(self, name: str) -> dict[Role, Refusal]:
        """Return the refusals of a name by role."""
        every = ((role, self.refusal(name, role)) for role in Role)
        return {role: refusal for role, refusal in every if refusal is not None}

    def take(self, name: str, version: str | None = None) -> Held:
        """Return the champion of a name, or the version that is asked for, under whatever role.

        Raises RequestRefusedError: 404 for a name or version that is not here, 503 while the name
        is followed but nothing could be loaded for it.
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
        """Set the names that the registry knows and their champions; what is held stays held."""
        self._champions = dict(champions)

    def hold(self, held: Held, role: Role = Role.CHAMPION) -> None:
        """Let this version have a role from the next request on.

        For a name that was taken out of service meanwhile this does nothing.
        """
        if held.name in self._withdrawn:
            return
        before = self.lineup(held.name).under(role)
        self._lineups[held.name] = self.lineup(held.name).with_role(role, held)
        self._refusals.pop((held.name, role), None)
        if self._observer is not None and before is not held:
            self._observer.given(held, role)
            self._tell()

    def release(self, name: str, role: Role) -> None:
        """Leave a role empty; requests that hold its version finish with it."""
        self._refusals.pop((name, role), None)
        if self.lineup(name).under(role) is not None:
            left = self.lineup(name).with_role(role, None)
            self._lineups[name] = left
            if not left.roles():
                del self._lineups[name]
            self._tell()

    def refuse(self, name: str, refusal: Refusal, role: Role = Role.CHAMPION) -> None:
        """Keep the reason why a version was not given a role; what is held keeps answering."""
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
        """Let a name be followed again."""
        self._withdrawn.discard(name)

    def is_withdrawn(self, name: str) -> bool:
        """Say whether a name was taken out of service."""
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
