"""When versions that were refused are tried again: after a pause that doubles with each failure."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from serving.bundle import BundleRefusedError
from serving.models.holder import Refusal
from serving.models.scoring import UnscorableError
from serving.registry.interface import RegistryError, UnprovenError
from serving.registry.trouble_log import as_one_line

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0
_KINDS = {
    UnprovenError: "bundle",
    RegistryError: "registry",
    BundleRefusedError: "bundle",
    UnscorableError: "model",
}


def refusal_for(version: str, error: Exception) -> Refusal:
    """Return the refusal of a version because of an error."""
    kind = next((kind for one, kind in _KINDS.items() if isinstance(error, one)), "other")
    return Refusal(version, as_one_line(error), kind)


@dataclass(frozen=True)
class _Retry:
    failures: int
    due: float
    refusal: Refusal
    stamp: str


class Retries:
    """The refused versions, by name and number."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` returns seconds and never goes back."""
        self._clock = clock
        self._retries: dict[tuple[str, str], _Retry] = {}

    def is_due(self, key: tuple[str, str], stamp: str) -> bool:
        """Return whether a version may be tried: never refused, changed since, or long enough ago.

        `stamp` is that of the model in the registry, which differs after any change.
        """
        retry = self._retries.get(key)
        return retry is None or retry.stamp != stamp or self._clock() >= retry.due

    def refusal(self, key: tuple[str, str]) -> Refusal:
        """Return why a version was refused."""
        return self._retries[key].refusal

    def add(self, key: tuple[str, str], stamp: str, refusal: Refusal) -> bool:
        """Record a failure; return whether it is another one than the last time."""
        before = self._retries.get(key)
        failures = before.failures + 1 if before else 1
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (failures - 1), LONGEST_PAUSE_SECONDS)
        self._retries[key] = _Retry(failures, self._clock() + pause, refusal, stamp)
        return before is None or before.refusal != refusal

    def forget(self, key: tuple[str, str]) -> None:
        """Forget the failures of a version, because it was opened."""
        self._retries.pop(key, None)

    def forget_others(self, name: str, wanted: Collection[str] = ()) -> None:
        """Forget the failures of a name's versions, but for the wanted ones."""
        for key in [key for key in self._retries if key[0] == name and key[1] not in wanted]:
            del self._retries[key]
