"""The state of each ledger for monitoring: counts, times and versions.

Frozen and plain. Times are seconds since 1970 (UTC).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from include.metrics import FIRST_OBJECTIVE
from include.records.data import Dataset
from include.records.moves import Move


@dataclass(frozen=True)
class LandingReading:
    """Deliveries that wait for a run, and the content of quarantine."""

    waiting: int
    """Files that no run has claimed yet, complete or not."""
    claimed: int
    """Files of the run in progress, or of one that died."""
    oldest: float | None
    """When the file that has waited longest was written; None when none waits."""
    refused_files: int
    """Batches in quarantine as whole files, until they are mended and taken in."""
    refused_rows: int
    """Batches with some rows in quarantine, until all of them are mended and taken in."""
    quarantine_bytes: int


@dataclass(frozen=True)
class LakeReading:
    """The state of the table according to its log."""

    dataset: Dataset | None
    """None before the first commit."""
    batches: int
    """Batches committed so far."""
    committed: float | None
    """When the last of them was committed."""


@dataclass(frozen=True)
class TrainingRun:
    """One training run in the ledger."""

    started: float
    ended: float | None
    verdict: str
    """PROMOTE, HOLD or REJECT; empty where no decision has been made, or none was due."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """The metrics that `RUN_METRICS` selects, and those of the contenders by the gate's metric."""


RUN_METRICS = ("looks", "batch_", "refused_")
"""Metrics of a run that are read: names, or prefixes of names where they end in `_`."""


def contender_metric(contender: str, metric: str) -> str:
    """Return the name under which a run has a metric of one of its contenders."""
    return f"{contender}_{metric}"


@dataclass(frozen=True)
class Arrival:
    """The newest value of the champion on rows that arrived after it was fitted."""

    value: float
    rows: int
    at: float


@dataclass(frozen=True)
class Artifact:
    """The stored files of a model version that an alias names."""

    version: str
    problem: str
    """What is wrong with them, as the end of a sentence; empty when they are as registered."""


@dataclass(frozen=True)
class ArtifactsReading:
    """The artifacts of one registered model; empty while no alias is set."""

    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True)
class RegistryReading:
    """The state of the experiment and of the registered model of one spec."""

    champion: str | None
    """The version that the alias names."""
    moves: tuple[Move, ...]
    """The log of moves, the oldest first."""
    runs: tuple[TrainingRun, ...]
    """The newest first."""
    arrival: Arrival | None
    metric: str = FIRST_OBJECTIVE
    """The metric that the gate of the spec decides by."""
