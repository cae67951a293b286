"""Which model version answers, for every name that the server follows.

A request takes one `Held` and answers with it to the end. A change of version is one assignment, so
a request sees the old champion or the new one, whole, and never neither.
"""

from dataclasses import dataclass, field

from include.bundle import Bundle
from serving.refusals import RequestRefusedError


@dataclass(frozen=True, eq=False)
class Held:
    """A model version that is loaded, warm and answering; itself and equal to no other."""

    name: str
    version: str
    bundle: Bundle


@dataclass(frozen=True)
class Refusal:
    """Why a champion that the registry names is not the one that answers."""

    version: str
    reason: str


@dataclass
class Holder:
    """The champions, and what a person needs to know when one of them is not there."""

    registry_problem: str | None = "the registry has not been asked yet"
    """Why the registry cannot be followed now, or None while it answers."""
    _held: dict[str, Held] = field(default_factory=dict)
    _refusals: dict[str, Refusal] = field(default_factory=dict)
    _champions: dict[str, str | None] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Return every name that the registry or the local copies know, sorted."""
        return sorted(self._champions.keys() | self._held.keys())

    def loaded(self) -> list[Held]:
        """Return what answers now, sorted by name."""
        return [self._held[name] for name in sorted(self._held)]

    def find(self, name: str) -> Held | None:
        """Return what answers for a name, if anything does."""
        return self._held.get(name)

    def refusal(self, name: str) -> Refusal | None:
        """Return why the named champion was refused, if it was."""
        return self._refusals.get(name)

    def take(self, name: str, version: str | None = None) -> Held:
        """Return what answers for a name, and for a version when one is asked for.

        Raises RequestRefusedError: 404 for a name or version that is not here, 503 while the name
        is followed but nothing could be loaded for it.
        """
        held = self._held.get(name)
        if held is None:
            raise self._absence(name)
        if version is not None and version != held.version:
            raise RequestRefusedError(
                404, f"version {version!r} of {name} is not loaded; version {held.version} is"
            )
        return held

    def follow(self, champions: dict[str, str | None]) -> None:
        """Set the names that the registry knows and their champions; what is held stays held."""
        self._champions = dict(champions)

    def hold(self, held: Held) -> None:
        """Let this version answer from the next request on."""
        self._held[held.name] = held
        self._refusals.pop(held.name, None)

    def refuse(self, name: str, refusal: Refusal) -> None:
        """Keep the reason why a champion was not taken; what is held keeps answering."""
        self._refusals[name] = refusal

    def _absence(self, name: str) -> RequestRefusedError:
        refusal = self._refusals.get(name)
        if refusal is not None:
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
            return RequestRefusedError(404, f"there is no model {name!r}; the models are: {known}")
        return RequestRefusedError(503, sentence)
