"""What the doctor says of the registry: champion, log of moves and model files."""

from collections.abc import Iterator
from dataclasses import dataclass

from include.adapters.endpoint import WantedVersion
from include.adapters.registry import Artifacts, Connection, RegistryWatch, connect
from include.cli.doctor.findings import Finding
from include.context.step_context import StepContext
from include.records.ledger_state import ArtifactsReading, RegistryReading
from include.records.models import ModelVersion


@dataclass(frozen=True)
class ModelsState:
    """What the registry says about a spec's model."""

    reading: RegistryReading
    champion: ModelVersion | None
    """The version that the newest move names; None, too, when it is deleted."""
    data_versions: frozenset[int]

    @property
    def wanted(self) -> WantedVersion | None:
        """The version and digest that every replica should hold as champion; None without one."""
        if self.champion is None or self.reading.champion != self.champion.version:
            return None
        return WantedVersion(self.champion.version, digest=self.champion.digest)


def models_state(context: StepContext) -> ModelsState:
    """Return what the registry says; raises NotOwnerError when another spec owns the model."""
    context.registry.ownership.require_owner()
    reading = RegistryWatch(_connection(context), context.spec.gate.metric).look()
    newest = reading.moves[-1].version if reading.moves else reading.champion
    champion = None if newest is None else context.registry.versions.version_numbered(newest)
    return ModelsState(reading, champion, frozenset(context.registry.versions.data_versions()))


def artifacts_reading(context: StepContext) -> ArtifactsReading:
    """Compare the model files of all versions with what was registered."""
    return Artifacts(_connection(context)).check()


def _connection(context: StepContext) -> Connection:
    return connect(context.settings.registry_url, context.spec.name, context.spec.model)


def of_registry(context: StepContext, models: ModelsState) -> Iterator[Finding]:
    """Yield where the alias, the log of moves and the versions differ."""
    reading, settle = models.reading, f"./ratchet promotions {context.spec.name}"
    newest = reading.moves[-1].version if reading.moves else None
    if reading.champion is not None and not reading.moves:
        yield Finding(
            f"{context.spec.model} has a champion, version {reading.champion}, and no log of "
            f"moves: the next run makes one, or say {settle} now"
        )
    elif newest != reading.champion:
        yield Finding(
            f"the alias champion of {context.spec.model} names version {reading.champion or 'none'}"
            f", the log of moves says {newest or 'none'}: the next run settles it, or {settle} now"
        )
    if newest is not None and models.champion is None:
        yield Finding(
            f"{context.spec.model} version {newest}, the champion by the log of moves, is deleted "
            f"in MLflow: the next run goes back along the log, or {settle} now"
        )
    yield Finding(
        f"registry: champion {reading.champion or 'none'}, {len(reading.moves)} moves, "
        f"{len(reading.runs)} runs",
        is_fault=False,
    )


def of_artifacts(context: StepContext, files: ArtifactsReading) -> Iterator[Finding]:
    """Yield the model files that are gone or changed."""
    for one in files.artifacts:
        if one.problem:
            yield Finding(
                f"{context.spec.model} version {one.version} {one.problem}: restore the file from "
                f"a backup, or go back: ./ratchet roll-back {context.spec.name} --reason R"
            )
    sound = sum(not one.problem for one in files.artifacts)
    yield Finding(f"model files: {sound} versions are as registered", is_fault=False)
