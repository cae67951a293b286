"""Records of model versions, and of the one that is served."""

from dataclasses import dataclass, field
from enum import StrEnum

TABLE, FAMILY = "ratchet.table", "ratchet.family"
ORIGIN, FITTED_KEYS = "ratchet.origin", "ratchet.fitted_keys"
"""Tags with which steps register a version, and by which its record is read again."""


class Origin(StrEnum):
    """Where a model version came from, which decides how it is proved what it was fitted on."""

    FITTED = "fitted here"
    """On the train side of the data version that it names."""
    ADOPTED_PROVED = "adopted with the rows it was fitted on"
    """The keys of those rows are stored with it."""
    ADOPTED_UNPROVED = "adopted without the rows it was fitted on"
    """It is judged on holdout rows that came after the data version that it names."""


@dataclass(frozen=True)
class ModelVersion:
    """An immutable model version of the registry."""

    name: str
    version: str
    digest: str
    """The digest of the bundle, recorded at registration."""
    data_version: int
    run_id: str
    table: str = ""
    """The identity of the lake's table that `data_version` counts; empty if not recorded."""
    origin: Origin = Origin.FITTED
    family: str = field(default="", compare=False)
    """The family of the candidate that won; empty where it was not recorded."""


@dataclass(frozen=True)
class ServedVersion:
    """The endpoint's state after the decision: which version it answers with."""

    model: str
    version: str
    rows_checked: int
    """Golden rows for which every replica gave the pipeline's answers."""
    waited_seconds: float
    replicas: int = 1
