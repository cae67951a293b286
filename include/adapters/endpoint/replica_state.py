"""What a replica holds of a model, as it reports itself, and what it should hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.bundle.registered import Role

_FOR_GOOD = {"bundle", "model"}
"""Kinds of refusal that waiting does not change, because the version itself is at fault."""


@dataclass(frozen=True)
class WantedVersion:
    """A version that replicas should hold under a role."""

    version: str
    role: Role = Role.CHAMPION
    digest: str = ""
    """SHA-256 of its bundle, because a registry can assign a number twice; empty: any bundle."""


@dataclass(frozen=True)
class RefusedVersion:
    """A version that a replica does not hold under a role, and why."""

    version: str
    reason: str
    is_for_good: bool = False


@dataclass(frozen=True)
class ReplicaState:
    """What one replica reports about a model."""

    problem: str = ""
    """Why it does not respond, or not as Ratchet's server does; empty when it does."""
    answers: bool = True
    """Whether anything answers at its address."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Version numbers by role."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Digests of the bundles by role; empty for a server of version 0.1.0."""
    refused: Mapping[str, RefusedVersion] = field(default_factory=dict)
    """By role."""

    def holds(self, wanted: WantedVersion) -> bool:
        """Return whether it holds the version under the role, with the digest if one is given."""
        if self.versions.get(wanted.role) != wanted.version:
            return False
        digest = self.digests.get(wanted.role, "")
        return not digest or not wanted.digest or digest == wanted.digest

    def summary(self, wanted: WantedVersion) -> str:
        """Return a sentence about what it holds instead of the version, or why it refused it."""
        if self.problem:
            return self.problem
        why = self.refusal(wanted)
        holds = self.versions.get(wanted.role, "nothing")
        if holds == wanted.version and not self.holds(wanted):
            holds += " of another model that had that number before"
        return f"{holds} (version {wanted.version} refused: {why.reason})" if why else holds

    def refusal(self, wanted: WantedVersion) -> RefusedVersion | None:
        """Return its refusal of the version under the role, None when it did not refuse it."""
        refused = self.refused.get(wanted.role)
        return refused if refused and refused.version == wanted.version else None


def replica_state(state: Mapping[str, Any]) -> ReplicaState:
    """Return what a replica holds, from what its `/v2/health/ready` says of a model."""
    roles, refused = state["roles"].items(), state.get("refused", {}).items()
    return ReplicaState(
        versions={role: one["version"] for role, one in roles},
        digests={role: str(one.get("digest", "")) for role, one in roles},
        refused={
            role: RefusedVersion(one["version"], one["reason"], one.get("kind", "") in _FOR_GOOD)
            for role, one in refused
        },
    )
