"""The model repository API: lists, loads and unloads models.

The responses have the form of MLServer's, for whose clients this is
(https://docs.seldon.ai/mlserver, "Model Repository API"). An unloaded model stays unloaded in this
process only: after a restart the registry is followed again.
"""

from collections.abc import Iterator
from typing import Any

from serving.bundle.registered import Role
from serving.models.holder import Holder
from serving.refusals import RequestRefusedError
from serving.registry.watch import Watch

READY, UNAVAILABLE, LOADING = "READY", "UNAVAILABLE", "LOADING"


class Repository:
    """The repository API of one process."""

    def __init__(self, holder: Holder, watch: Watch) -> None:
        """`holder` has the loaded models, `watch` follows the registry."""
        self._holder = holder
        self._watch = watch

    async def index(self, *, ready: bool = False) -> list[dict[str, Any]]:
        """Return `name`, `version`, `state` and `reason` of every version, sorted by name.

        With `ready`, only of those that answer requests.
        """
        entries = (entry for name in self._holder.names() for entry in self._entries(name))
        return [entry for entry in entries if not ready or entry["state"] == READY]

    async def load(self, name: str) -> None:
        """Read the registry now and return when the champion that it names is loaded.

        Raises RequestRefusedError: 400 with the reason when that version was refused or there is
        none, 404 for an unknown name, 503 while the registry is down and no version is loaded.
        """
        self._holder.readmit(name)
        await self._watch.poll_afresh(name)
        refusal = self._holder.refusal(name)
        if refusal is not None:
            raise RequestRefusedError(
                400, f"version {refusal.version} of {name} was refused: {refusal.reason}"
            )
        if self._holder.find(name) is None and self._is_known(name):
            raise RequestRefusedError(400, self._holder.absence(name))
        self._holder.take(name)

    async def unload(self, name: str) -> None:
        """Take a model out of service; RequestRefusedError with 404 for an unknown name."""
        if name not in self._holder.names():
            self._holder.take(name)
        self._holder.withdraw(name)

    def _is_known(self, name: str) -> bool:
        return self._holder.registry_problem is None and name in self._holder.names()

    def _entries(self, name: str) -> Iterator[dict[str, Any]]:
        if self._holder.is_withdrawn(name):
            version = self._holder.named(name) or ""
            yield _entry(name, version, UNAVAILABLE, self._holder.absence(name))
            return
        lineup, refusals = self._holder.lineup(name), self._holder.refusals(name)
        held = lineup.versions()
        for version in held:
            roles = ", ".join(role for role, one in lineup.roles().items() if one is held[version])
            yield _entry(name, version, READY, roles)
        for role, refusal in refusals.items():
            if refusal.version not in held:
                yield _entry(name, refusal.version, UNAVAILABLE, f"{role}: {refusal.reason}")
        if lineup.champion is None and Role.CHAMPION not in refusals:
            coming = self._holder.named(name)
            state = LOADING if coming else UNAVAILABLE
            yield _entry(name, coming or "", state, self._holder.absence(name))


def _entry(name: str, version: str, state: str, reason: str) -> dict[str, Any]:
    return {"name": name, "version": version, "state": state, "reason": reason}
