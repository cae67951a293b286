"""What challenger and champion are judged by, and what was decided."""

from dataclasses import dataclass
from enum import StrEnum


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
