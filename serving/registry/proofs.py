"""Which loaded version the registry means by a number, and when that was last confirmed.

A number does not identify a version: a model that is deleted and created again counts from 1.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from serving.models.holder import LoadedVersion

PROVEN_SECONDS, QUESTIONS_A_SECOND = 30.0, 10.0
"""After PROVEN_SECONDS the identity of a number is requested again, because a tag can change with
no trace; later with many versions, so that there are at most QUESTIONS_A_SECOND."""


@dataclass(frozen=True)
class Proof:
    """Proof that a loaded version is what the registry means by its number, for a model stamp."""

    held: LoadedVersion
    stamp: str
    asked: float

    def holds_for(self, stamp: str, held: Collection[LoadedVersion]) -> bool:
        """Return whether the model is unchanged since, and the version still loaded."""
        return self.stamp == stamp and self.held in held


class Proofs:
    """The proofs of all loaded versions, by name and number."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` returns seconds and never goes back."""
        self._clock = clock
        self._proofs: dict[tuple[str, str], Proof] = {}

    def find(self, key: tuple[str, str]) -> Proof | None:
        """Return the proof of a number; None without one."""
        return self._proofs.get(key)

    def is_old(self, proof: Proof) -> bool:
        """Return whether the identity of its number is to be requested again."""
        lasts = max(PROVEN_SECONDS, len(self._proofs) / QUESTIONS_A_SECOND)
        return self._clock() - proof.asked > lasts

    def add(self, key: tuple[str, str], held: LoadedVersion, stamp: str) -> None:
        """Record that a number stands for a loaded version."""
        self._proofs[key] = Proof(held, stamp, self._clock())

    def renew(self, key: tuple[str, str], proof: Proof) -> None:
        """Record that the identity of a number is requested now."""
        self._proofs[key] = replace(proof, asked=self._clock())

    def forget(self, key: tuple[str, str]) -> None:
        """Forget the proof of a number, because it stands for another version now."""
        self._proofs.pop(key, None)

    def forget_others(self, name: str, wanted: Collection[str]) -> None:
        """Forget the proofs of a name's versions, but for the wanted ones."""
        for key in [key for key in self._proofs if key[0] == name and key[1] not in wanted]:
            del self._proofs[key]
