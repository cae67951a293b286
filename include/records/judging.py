"""Records of judging: scores of both contenders, proofs, checks and the decision."""

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
    """Mean distance of the predicted probability from the share of positives, over ten quantile
    bins."""
    latency_ms: float = 0.0
    """Median milliseconds of predicting one row through the bundle on one thread, wall or processor
    time, whichever is less; 0 where it was not measured."""
    size_bytes: int = 0
    """Size of the model file; 0 where it was not measured."""

    @property
    def positives(self) -> int:
        """Rows that are positive."""
        return self.true_positives + self.false_negatives

    @property
    def positive_share(self) -> float:
        """Share of positive rows: the average precision of a model without skill."""
        return self.positives / self.rows

    @property
    def no_skill_f1(self) -> float:
        """F1 of calling every row positive, which takes no skill.

        2 p / (1 + p) with p the share of positives: 0.182 at one positive in ten.
        """
        return 2 * self.positive_share / (1 + self.positive_share)


@dataclass(frozen=True)
class Agreement:
    """How two models called the same holdout rows, counted per true class.

    Four counts for each class: rows called positive by neither, by the challenger alone, by the
    champion alone, and by both. A paired comparison of F1 needs nothing else.
    """

    positives: tuple[int, int, int, int]
    negatives: tuple[int, int, int, int]

    @classmethod
    def none(cls) -> "Agreement":
        """Return the counts of no rows."""
        return cls(positives=(0, 0, 0, 0), negatives=(0, 0, 0, 0))

    @property
    def rows(self) -> int:
        """All rows that were called."""
        return sum(self.positives) + sum(self.negatives)

    @property
    def disagreements(self) -> int:
        """Rows that one model called positive and the other did not."""
        return sum(self.positives[1:3]) + sum(self.negatives[1:3])

    @property
    def has_hits(self) -> bool:
        """Whether any positive row was called positive; without one every F1 is 0."""
        return any(self.positives[1:])

    @property
    def false_calls(self) -> tuple[int, int]:
        """Negative rows that the challenger called positive, and that the champion did."""
        _, challenger, champion, both = self.negatives
        return challenger + both, champion + both


@dataclass(frozen=True)
class SliceScore:
    """Scores of both contenders on the holdout rows of one slice."""

    name: str
    rows: int
    positives: int
    challenger_f1: float
    champion_f1: float | None = None
    """None, like the agreement, when there is no champion to compare with."""
    agreement: Agreement | None = None

    def __str__(self) -> str:
        """Return rows and scores for a person."""
        other = "" if self.champion_f1 is None else f", the champion's {self.champion_f1:.4f}"
        return (
            f"{self.rows} rows, {self.positives} of them positive: the challenger's F1 "
            f"{self.challenger_f1:.4f}{other}"
        )


@dataclass(frozen=True)
class CallCounts:
    """The confusion matrix of a model's calls of some rows."""

    hits: int
    misses: int
    false_calls: int
    rest: int
    """Negative rows that it called negative."""

    @classmethod
    def none(cls) -> "CallCounts":
        """Return the counts of no rows."""
        return cls(hits=0, misses=0, false_calls=0, rest=0)

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
        """F1 of the calls: 2 hits / (2 hits + misses + false calls), 0 without a hit."""
        return 2 * self.hits / max(2 * self.hits + self.misses + self.false_calls, 1)


@dataclass(frozen=True)
class AdoptionGround:
    """What decides on which holdout rows an adopted model is judged."""

    data_version: int
    """The data version at its adoption: it cannot have seen rows that came later."""
    named_rows: int = 0
    """Rows that it was fitted on according to its operator; 0 where none were named."""
    known_share: float = 0.0
    """The share of these rows that are train rows of the table."""
    shared_rows: int = 0
    """How many of these rows are in the holdout."""
    older: CallCounts | None = None
    """Its calls of holdout rows from before its adoption; None where they are not needed."""
    later: CallCounts | None = None
    """Its calls of holdout rows since its adoption."""
    problem: str = ""
    """Why the rows that it names cannot be read any more; empty where they can."""


@dataclass(frozen=True)
class LeakProof:
    """Leak proof: whether a model version was fitted on rows that it is scored on."""

    model_version: str
    fitted_rows: int
    """Rows of the data version that it names as the one it was fitted on."""
    shared_rows: int
    """Holdout rows whose features are among them."""
    problem: str = ""
    """Why nothing can be proved, for example when its data version cannot be read any more."""
    waits: bool = False
    """Whether only rows are missing: when they come they will prove it, or disprove it."""
    adopted: AdoptionGround | None = None
    """For a model from elsewhere, what decides the rows it is judged on."""

    def __str__(self) -> str:
        """Return the proof, or what is wrong with it, for a person."""
        return self.problem or (
            f"fitted on {self.fitted_rows} rows, {self.shared_rows} rows of the holdout among them"
        )

    @property
    def holds(self) -> bool:
        """Whether it is proved that the model was fitted on no row of the holdout."""
        return not self.problem and self.shared_rows == 0


@dataclass(frozen=True)
class Scores:
    """Scores of both contenders on the same holdout rows, from the same run."""

    challenger: Scorecard
    champion: Scorecard | None = None
    agreement: Agreement | None = None
    """With the champion; None when there is none."""
    unfit_champion: str | None = None
    """The version of a champion that cannot answer these rows, for example because a column it was
    fitted on may be missing since."""
    slices: tuple[SliceScore, ...] = ()
    """In the order of the spec."""
    proofs: tuple[LeakProof, ...] = ()
    """Those of the challenger and, when there is one, of the champion."""
    looks: int = 0
    """Earlier challengers that were judged on this holdout."""
    barred: str = ""
    """Why the challenger may not be promoted even if it is better: a model of the same data was
    rolled back."""


class Verdict(StrEnum):
    """What becomes of a challenger."""

    PROMOTE = "PROMOTE"
    """It becomes the champion."""
    HOLD = "HOLD"
    """It is sound but not better; the champion stays."""
    REJECT = "REJECT"
    """It is not fit for production, whoever the champion is."""


@dataclass(frozen=True)
class Check:
    """One line of a decision: a measured value and its bound."""

    name: str
    passed: bool
    value: float
    bound: float
    sentence: str
    ceiling: bool = False
    """Whether the value may not exceed the bound; else it has to reach or exceed it."""
    inclusive: bool = False
    """Whether a value equal to the bound passes where the bound is no ceiling."""


@dataclass(frozen=True)
class Decision:
    """The record of a promotion, a hold or a rejection, with every check and score behind it."""

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
    """The endpoint's answers with a challenger before it could become champion."""

    needed: bool
    """Whether the endpoint was asked: it is not for a challenger that will not be promoted."""
    passed: bool
    sentence: str
    replicas: int = 0
    """Addresses of server processes that were asked."""
    rows: int = 0
    """Golden rows that each of them was asked."""
    differences: int = 0
    """Answers that differ from the pipeline's, plus replicas that refused the version."""
