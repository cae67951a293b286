"""The frozen records that travel between steps, as XCom and as MLflow artifacts.

They carry counts, digests, versions and scores: references to data and models, never a frame or
a model. Plain dataclasses, so `pack` turns any of them into JSON that a person reads in the
Airflow UI, and pydantic turns that back into the record at the next step.
"""

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from include.records.refusals import CONFLICT, RefusalReason
from include.text.showable import showable_name, showable_values

Counts = dict[str, int]


def pack(result: Any) -> Any:
    """Return a record, or a sequence of records, as plain JSON values: no tuple, no enum.

    Every text is one that any database takes, whoever wrote it.
    """
    fields = [asdict(one) for one in result] if isinstance(result, list) else asdict(result)
    return showable_values(json.loads(json.dumps(fields)))


@dataclass(frozen=True)
class Form:
    """What the trigger form can ask of a run; the defaults are what a file or the night asks."""

    no_new_data: str = "skip"
    """`skip` or `retrain`: what to do when no row is new since the last decision."""
    force: bool = False
    """Promote the challenger even if it is not better."""
    note: str = ""


class Fate(StrEnum):
    """What becomes of a file as a whole."""

    GOES_ON = "goes on"
    """Its good rows are taken in."""
    REFUSED = "refused"
    KNOWN = "known"
    """These bytes were taken in before, or came twice in one run."""
    LEFT_ALONE = "left alone"
    """It stands in the landing place and is not taken."""


@dataclass(frozen=True)
class Batch:
    """One delivery on its way into the lake, and what became of its rows."""

    digest: str
    """SHA-256 of its bytes: its identity, whatever the file was called. Empty for what stands in
    the landing place and is left alone."""
    name: str
    """As people are shown it; files keep the bytes of their names."""
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
    fate: Fate = Fate.GOES_ON
    refused_for: tuple[RefusalReason, ...] = ()
    """Why rows were refused, by column and with the first line, the commonest first; a few."""
    other_reasons: int = 0
    """Reasons beside these."""

    @property
    def conflicts(self) -> int:
        """Refused rows whose features are known with another label."""
        return self.reasons.get(CONFLICT, 0)

    def __post_init__(self) -> None:
        """Make showable what a file and its name say: this is how it leaves the intake."""
        shown = {
            "name": showable_name(self.name),
            "reasons": showable_values(self.reasons),
            "extra": tuple(map(showable_name, self.extra)),
            "outside": showable_values(self.outside),
            "note": showable_name(self.note),
        }
        for name, value in shown.items():
            object.__setattr__(self, name, value)


def in_words(counts: Counts) -> str:
    """Return rows per class for a person: `8 negative, 2 positive`."""
    return ", ".join(f"{rows} {name}" for name, rows in counts.items())


@dataclass(frozen=True)
class Dataset:
    """One version of the lake's table: rows per side and class."""

    version: int
    train: Counts
    """Rows of the train side per class, keyed `negative` and `positive`."""
    holdout: Counts
    grown: int
    """The newest version that brought rows; later ones only tidied the files."""

    def __str__(self) -> str:
        """Say it for a person."""
        train, holdout = in_words(self.train), in_words(self.holdout)
        return f"version {self.version}: train {train}; holdout {holdout}"

    @property
    def rows(self) -> int:
        """All rows of both sides."""
        return self.train_rows + sum(self.holdout.values())

    @property
    def positives(self) -> int:
        """Positive rows of both sides."""
        return self.train["positive"] + self.holdout["positive"]

    @property
    def train_rows(self) -> int:
        """All rows of the train side."""
        return sum(self.train.values())


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
    """Train rows that were cut into folds; 0 for a candidate that has not been fitted yet."""
    f1: float
    """Mean over the folds of F1 at the threshold."""
    fold_f1: tuple[float, ...]
    threshold: float
    """Of a finalist that which it would be served with; else the one with the best F1 on all
    out-of-fold probabilities."""
    seconds: float
    run_id: str = ""
    """The nested MLflow run with its out-of-fold probabilities."""
    failure: str = ""
    """Why the candidate could not be fitted to this data; it is out of the race then."""
    left: str = ""
    """By whom it was clearly beaten, and on how many rows; empty while it is in the race."""
    best_f1: float | None = None
    """Of a finalist its F1 at the threshold with the best F1; None where `f1` is that."""
    ended_early: int | None = None
    """Rounds after which boosting ended by itself, before this candidate's number of them."""

    @classmethod
    def unjudged(cls, candidate: Candidate) -> "Trial":
        """Return the line of a candidate that nobody has fitted yet."""
        return cls(candidate, 0, 0.0, (), 0.5, 0.0)


@dataclass(frozen=True)
class Heat:
    """Candidates over some folds: what one task runs."""

    title: str
    candidates: tuple[Candidate, ...]
    rows: int
    """Train rows that are cut into folds."""
    folds: tuple[int, ...]
    threads: int
    """Threads that each fit may use: heats that run at once share the cores."""


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
    expected_calibration_error: float
    """Mean distance of the said probability from the share that happened, over ten quantiles."""
    latency_ms: float = 0.0
    """Median of predicting one row through the bundle, on one thread: the time on the wall or of
    the processor, whichever is less; 0 where nobody measured."""
    size_bytes: int = 0
    """Of the model file; 0 where nobody measured."""

    @property
    def positives(self) -> int:
        """Rows that are positive."""
        return self.true_positives + self.false_negatives

    @property
    def positive_share(self) -> float:
        """Share of positive rows: the average precision of a model without any skill."""
        return self.positives / self.rows

    @property
    def no_skill_f1(self) -> float:
        """F1 of calling every row positive: what a model without any skill gets."""
        return 2 * self.positive_share / (1 + self.positive_share)


@dataclass(frozen=True)
class Agreement:
    """How two models called the same holdout rows, counted per true class.

    Each has four counts: rows called positive by neither, by the challenger alone, by the champion
    alone, by both. All that a paired comparison of F1 needs.
    """

    positives: tuple[int, int, int, int]
    negatives: tuple[int, int, int, int]

    @property
    def rows(self) -> int:
        """All rows that were called."""
        return sum(self.positives) + sum(self.negatives)

    @property
    def disagreements(self) -> int:
        """Rows that one of the two called positive and the other did not."""
        return sum(self.positives[1:3]) + sum(self.negatives[1:3])

    @property
    def has_hits(self) -> bool:
        """Whether a positive row was called positive; without one every F1 is 0."""
        return any(self.positives[1:])

    @property
    def false_calls(self) -> tuple[int, int]:
        """Negative rows that the challenger, and that the champion called positive."""
        _, challenger, champion, both = self.negatives
        return challenger + both, champion + both


@dataclass(frozen=True)
class SliceScore:
    """Both contenders on the holdout rows of one slice."""

    name: str
    rows: int
    positives: int
    challenger_f1: float
    champion_f1: float | None = None
    """None, as the agreement, when there is no champion to compare with."""
    agreement: Agreement | None = None

    def __str__(self) -> str:
        """Say it for a person."""
        other = "" if self.champion_f1 is None else f", the champion's {self.champion_f1:.4f}"
        return (
            f"{self.rows} rows, {self.positives} of them positive: the challenger's F1 "
            f"{self.challenger_f1:.4f}{other}"
        )


@dataclass(frozen=True)
class CallCounts:
    """How often a model's calls of some rows were right and wrong."""

    hits: int
    misses: int
    false_calls: int
    rest: int
    """Negative rows that it left alone."""

    @property
    def rows(self) -> int:
        """All rows that were called."""
        return self.positives + self.false_calls + self.rest

    @property
    def positives(self) -> int:
        """Rows that are positive."""
        return self.hits + self.misses

    @property
    def f1(self) -> float:
        """F1 of the calls, zero without a hit."""
        return 2 * self.hits / max(2 * self.hits + self.misses + self.false_calls, 1)


@dataclass(frozen=True)
class AdoptionGround:
    """What decides on which holdout rows an adopted model is judged."""

    data_version: int
    """At its adoption: what came later it cannot have seen."""
    named_rows: int = 0
    """Rows that it was fitted on, as its operator says; 0 where none were named."""
    known_share: float = 0.0
    """Of these, the share that are train rows of the table."""
    shared_rows: int = 0
    """Of these, holdout rows."""
    older: CallCounts | None = None
    """Its calls of holdout rows from before its adoption; None where nothing hangs on them."""
    later: CallCounts | None = None
    """And of those since."""
    problem: str = ""
    """Why what it names cannot be read any more."""


@dataclass(frozen=True)
class Proof:
    """Whether a model version was fitted on rows that it is scored on now."""

    model_version: str
    fitted_rows: int
    """Rows of the data version that it names as the one it was fitted on."""
    shared_rows: int
    """Holdout rows whose features are among them."""
    problem: str = ""
    """Why nothing can be proved, as when its data version cannot be read any more."""
    waits: bool = False
    """Whether only rows are missing: they will prove it, or not, when they come."""
    adopted: AdoptionGround | None = None
    """Of a model from elsewhere, what it is judged on."""

    def __str__(self) -> str:
        """Say it for a person."""
        return self.problem or (
            f"fitted on {self.fitted_rows} rows, {self.shared_rows} rows of the holdout among them"
        )

    @property
    def holds(self) -> bool:
        """Whether it is proved that the model saw no row of the holdout."""
        return not self.problem and self.shared_rows == 0


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
    slices: tuple[SliceScore, ...] = ()
    """In the order of the spec."""
    proofs: tuple[Proof, ...] = ()
    """Of the challenger and, when there is one, of the champion."""
    looks: int = 0
    """Earlier challengers that were judged on this holdout."""
    barred: str = ""
    """Why the challenger may not take over although it may be better: the same data's model was
    rolled back."""


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
    ceiling: bool = False
    """Whether the value may not exceed the bound; else it has to reach or to beat it."""
    inclusive: bool = False
    """Whether reaching the bound is enough where it is no ceiling."""


@dataclass(frozen=True)
class Decision:
    """The record of a promotion, a hold or a rejection, with everything it rests on."""

    verdict: Verdict
    reason: str
    checks: tuple[Check, ...]
    scores: Scores
    forced: bool = False
    note: str = ""
    smallest_gain: float | None = None
    """The smallest gain in F1 that this holdout can tell from noise; None without a comparison."""


@dataclass(frozen=True)
class Preflight:
    """What the endpoint did with a challenger before it could become champion."""

    needed: bool
    """Whether it was asked at all: a challenger that is not to be promoted is not."""
    passed: bool
    sentence: str
    replicas: int = 0
    """Server processes' addresses that were asked."""
    rows: int = 0
    """Golden rows that each was asked."""
    differences: int = 0
    """Answers that were not the pipeline's own, and replicas that refused the version."""


@dataclass(frozen=True)
class Served:
    """What the endpoint answered with after the decision."""

    model: str
    version: str
    rows_checked: int
    """Golden rows that every replica answered as the pipeline does."""
    waited_seconds: float
    replicas: int = 1
