"""The frozen records that travel between steps, as XCom and as MLflow artifacts.

They carry counts, digests, versions and scores: references to data and models, never a frame or
a model. Plain dataclasses, so `pack` turns any of them into JSON that a person reads in the
Airflow UI, and pydantic turns that back into the record at the next step.
"""

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

Counts = dict[str, int]


def pack(result: Any) -> Any:
    """Return a record, or a sequence of records, as plain JSON values: no tuple, no enum."""
    fields = [asdict(one) for one in result] if isinstance(result, list) else asdict(result)
    return json.loads(json.dumps(fields))


@dataclass(frozen=True)
class Form:
    """What the trigger form can ask of a run; the defaults are what a file or the night asks."""

    no_new_data: str = "skip"
    """`skip` or `retrain`: what to do when no row is new since the last decision."""
    force: bool = False
    """Promote the challenger even if it is not better."""
    note: str = ""


@dataclass(frozen=True)
class Batch:
    """One delivery on its way into the lake, and what became of its rows."""

    digest: str
    """SHA-256 of its bytes: its identity, whatever the file was called."""
    name: str
    read: int = 0
    """Records in the file, the header aside."""
    refused: int = 0
    """Rows in quarantine, conflicts included."""
    reasons: Counts = field(default_factory=dict)
    """Refused rows per reason."""
    duplicates: int = 0
    """Rows that repeat a row of this file or of all history."""
    new: int = 0
    extra: tuple[str, ...] = ()
    """Columns that the contract does not know, ignored."""
    outside: Counts = field(default_factory=dict)
    """Rows per column beyond the range, or of a category, that the first batch had."""
    contract: int = 0
    """Version of the contract that judged the rows."""
    parts: int = 0
    """Parts that the typed rows are staged in."""
    looked_at: int | None = None
    """Version of the table whose rows were subtracted; None when there was no table."""
    committed: int | None = None
    """Version of the lake's table whose commit holds the new rows."""
    note: str = ""
    """Why the file as a whole was refused or was a no-op."""


@dataclass(frozen=True)
class Dataset:
    """One version of the lake's table: rows per side and class."""

    version: int
    train: Counts
    """Rows of the train side per class, keyed `negative` and `positive`."""
    holdout: Counts
    grown: int
    """The newest version that brought rows; later ones only tidied the files."""

    @property
    def rows(self) -> int:
        """All rows of both sides."""
        return sum(self.train.values()) + sum(self.holdout.values())


@dataclass(frozen=True)
class Intake:
    """What a run found in the landing folder, and the data set as it stands after it."""

    batches: tuple[Batch, ...]
    dataset: Dataset | None
    """None while nothing has ever been committed."""


@dataclass(frozen=True)
class Plan:
    """What a run is going to train on, and the MLflow run that records it."""

    run_id: str
    """The MLflow run."""
    dataset: Dataset
    screened_rows: int
    """Train rows that every candidate is screened on."""


@dataclass(frozen=True)
class Candidate:
    """A model family with one set of hyper-parameters."""

    family: str
    params: dict[str, Any]

    @property
    def title(self) -> str:
        """Name the candidate in a leaderboard."""
        listed = ", ".join(f"{name.split('__')[-1]}={value}" for name, value in self.params.items())
        return f"{self.family}({listed})"


@dataclass(frozen=True)
class Trial:
    """How one candidate did over the folds: a line of the leaderboard."""

    candidate: Candidate
    rows: int
    """Train rows that were cut into folds."""
    f1: float
    """Mean over the folds of F1 at the threshold."""
    fold_f1: tuple[float, ...]
    threshold: float
    """The threshold with the best F1 on all out-of-fold probabilities."""
    seconds: float
    run_id: str = ""
    """The nested MLflow run with its out-of-fold probabilities."""
    failure: str = ""
    """Why the candidate could not be fitted to this data; it is out of the race then."""


@dataclass(frozen=True)
class ModelVersion:
    """An immutable entry of the registry."""

    name: str
    version: str
    digest: str
    """Digest of the bundle, recorded when it was registered."""
    data_version: int
    run_id: str


@dataclass(frozen=True)
class Scorecard:
    """Metrics of one model version on the holdout rows of one data set version."""

    model_version: str
    data_version: int
    rows: int
    threshold: float
    f1: float
    precision: float
    recall: float
    accuracy: float
    balanced_accuracy: float
    mcc: float
    roc_auc: float
    average_precision: float
    log_loss: float
    brier: float
    true_negatives: int
    false_positives: int
    false_negatives: int
    true_positives: int

    @property
    def no_skill_f1(self) -> float:
        """F1 of calling every row positive: what a model without any skill gets."""
        share = (self.true_positives + self.false_negatives) / self.rows
        return 2 * share / (1 + share)


@dataclass(frozen=True)
class Agreement:
    """How two models called the same holdout rows, counted per true class.

    Each has four counts: rows called positive by neither, by the challenger alone, by the champion
    alone, by both. All that a paired comparison of F1 needs.
    """

    positives: tuple[int, int, int, int]
    negatives: tuple[int, int, int, int]


@dataclass(frozen=True)
class Scores:
    """Both contenders on the same holdout, scored in the same run."""

    challenger: Scorecard
    champion: Scorecard | None = None
    agreement: Agreement | None = None
    """With the champion; None when there is none."""
    unfit_champion: str | None = None
    """Version of a champion that cannot answer these rows, as when a column it was fitted on may
    be missing since."""


class Verdict(StrEnum):
    """What becomes of a challenger."""

    PROMOTE = "PROMOTE"
    """It becomes the champion."""
    HOLD = "HOLD"
    """It is sound but not better; the champion stays."""
    REJECT = "REJECT"
    """It is not fit for production whoever the champion is."""


@dataclass(frozen=True)
class Check:
    """One line of a decision: a measured value against its bound."""

    name: str
    passed: bool
    value: float
    bound: float
    sentence: str


@dataclass(frozen=True)
class Decision:
    """The record of a promotion, a hold or a rejection, with everything it rests on."""

    verdict: Verdict
    reason: str
    checks: tuple[Check, ...]
    scores: Scores
    forced: bool = False
    note: str = ""


@dataclass(frozen=True)
class Served:
    """What the endpoint answered with after the decision."""

    model: str
    version: str
    rows_checked: int
    waited_seconds: float
