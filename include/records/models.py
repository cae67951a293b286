"""Model versions, and which of them serves."""

from dataclasses import dataclass, field
from enum import StrEnum


class Origin(StrEnum):
    """Where a model version came from, and with it how it proves what it was fitted on."""

    FITTED = "fitted here"
    """On the train side of the data version that it names."""
    ADOPTED_PROVED = "adopted with the rows it was fitted on"
    """Their keys are kept with it."""
    ADOPTED_UNPROVED = "adopted without the rows it was fitted on"
    """It is judged on holdout rows that came after the data version that it names."""


@dataclass(frozen=True)
class ModelVersion:
    """An immutable entry of the registry."""

    name: str
    version: str
    digest: str
    """Digest of the bundle, recorded when it was registered."""
    data_version: int
    run_id: str
    table: str = ""
    """Identity of the lake's table whose version `data_version` is; empty when not recorded."""
    origin: Origin = Origin.FITTED
    family: str = field(default="", compare=False)
    """Of the candidate that won; empty where that was not recorded."""


@dataclass(frozen=True)
class Served:
    """What the endpoint answered with after the decision."""

    model: str
    version: str
    rows_checked: int
    """Golden rows that every replica answered as the pipeline does."""
    waited_seconds: float
    replicas: int = 1
