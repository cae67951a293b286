"""Records of training: what a run is asked for, its plan, and the race of candidates."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from include.metrics import FIRST_OBJECTIVE
from include.records.data import Dataset
from include.records.stored_forms import read_after

_RENAMED = {
    FIRST_OBJECTIVE: "value",
    f"fold_{FIRST_OBJECTIVE}": "fold_values",
    f"best_{FIRST_OBJECTIVE}": "best_value",
}
"""How release 0.1.0 called the fields of a trial, and how they are called now."""


class NoNewData(StrEnum):
    """What to do when no row is new since the last decision."""

    SKIP = "skip"
    RETRAIN = "retrain"


@dataclass(frozen=True)
class Form:
    """What the trigger form can ask of a run; the defaults are those of a file or the schedule."""

    no_new_data: NoNewData = NoNewData.SKIP
    force: bool = False
    """Promote the challenger even if it is not better."""
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """What a run will train on, and the MLflow run that records it."""

    run_id: str
    """The MLflow run."""
    dataset: Dataset


@dataclass(frozen=True)
class Candidate:
    """A model family with one set of hyper-parameters."""

    family: str
    params: dict[str, Any]

    @property
    def title(self) -> str:
        """The candidate's name in a leaderboard, such as `forest(max_depth=8)`."""
        listed = ", ".join(f"{name.split('__')[-1]}={value}" for name, value in self.params.items())
        return f"{self.family}({listed})"


@dataclass(frozen=True)
class Trial:
    """How one candidate did over the folds: a line of the leaderboard."""

    candidate: Candidate
    rows: int
    """Train rows that were cut into folds; 0 for a candidate that has not been fitted yet."""
    value: float
    """Mean over the folds of the metric at the threshold."""
    fold_values: tuple[float, ...]
    threshold: float
    """Of a finalist the one that it would be served with; else the one with the best value on all
    out-of-fold probabilities."""
    seconds: float
    """Summed over the fits."""
    run_id: str = ""
    """The nested MLflow run with its out-of-fold probabilities."""
    failure: str = ""
    """Why the candidate could not be fitted to this data, which eliminates it; else empty."""
    left: str = ""
    """The candidate that clearly beat it, and on how many rows; empty while it is in the race."""
    best_value: float | None = None
    """Of a finalist, the best value at any threshold; None where `value` is that."""
    ended_early: int | None = None
    """Rounds after which boosting stopped before this candidate's number of rounds."""

    @classmethod
    def unjudged(cls, candidate: Candidate) -> "Trial":
        """Return the line of a candidate that has not been fitted yet."""
        return cls(candidate, 0, 0.0, (), 0.5, 0.0)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Return how pydantic reads them: also as release 0.1.0 stored them."""
        return read_after(_with_names_of_today, source, handler)


def _with_names_of_today(stored: dict[str, Any]) -> dict[str, Any]:
    return {_RENAMED.get(key, key): value for key, value in stored.items()}


@dataclass(frozen=True)
class FitJob:
    """The work of one task of the race: candidates over some folds."""

    title: str
    candidates: tuple[Candidate, ...]
    rows: int
    """Train rows that are cut into folds."""
    folds: tuple[int, ...]
    threads: int
    """Threads that each fit may use: jobs that run at the same time share the cores."""


@dataclass(frozen=True)
class Elimination:
    """What one task of the race hands to the next: who is out, and what the others run."""

    trials: tuple[Trial, ...]
    """The newest trial of every candidate, those that are out included, each with its reason."""
    fit_jobs: tuple[FitJob, ...]
    """What the other candidates run next; empty where there is no semifinal."""
