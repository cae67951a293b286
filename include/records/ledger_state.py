"""What a look at each ledger tells of its state, for whoever watches: counts, times and versions.

Frozen and plain, as those of `include.records`. Times are seconds since 1970.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from include.records.data import Dataset
from include.records.moves import Move


@dataclass(frozen=True)
class LandingReading:
    """What waits for a run, and what quarantine holds."""

    waiting: int
    """Files that nobody has claimed yet, settled or not."""
    claimed: int
    """Files of the run in progress, or of one that died."""
    oldest: float | None
    """When the file that waits longest was written; None when none waits."""
    refused_files: int
    """Batches that wait in quarantine as whole files, until they are mended and taken in."""
    refused_rows: int
    """Batches of which some rows wait in quarantine, until all are mended and taken in."""
    quarantine_bytes: int


@dataclass(frozen=True)
class LakeReading:
    """The table as its log tells it."""

    dataset: Dataset | None
    """None before the first commit."""
    batches: int
    """Batches that were committed."""
    committed: float | None
    """When the last of them was."""


@dataclass(frozen=True)
class TrainingRun:
    """One training in the ledger."""

    started: float
    ended: float | None
    verdict: str
    """PROMOTE, HOLD or REJECT; empty while, or because, nothing was decided."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Those that `RUN_METRICS` names or that begin as it says."""


RUN_METRICS = ("challenger_f1", "champion_f1", "looks", "batch_", "refused_")
"""What is kept of a run's metrics: names, or with `_` at the end how names begin."""


@dataclass(frozen=True)
class Arrival:
    """The newest point of the champion's curve on rows that it had never seen."""

    f1: float
    rows: int
    at: float


@dataclass(frozen=True)
class Artifact:
    """The files that the registry keeps of a model version that an alias names."""

    version: str
    problem: str
    """What is wrong with them, as the end of a sentence; empty when they are as registered."""


@dataclass(frozen=True)
class ArtifactsReading:
    """Those of one registered model; none while no alias is set."""

    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True)
class RegistryReading:
    """The experiment and the registered model of one spec."""

    champion: str | None
    """The version that the alias names."""
    moves: tuple[Move, ...]
    """As the log has them, the oldest first."""
    runs: tuple[TrainingRun, ...]
    """The newest first."""
    arrival: Arrival | None
