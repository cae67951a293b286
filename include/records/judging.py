"""Records of judging: scores of both contenders, proofs, checks and the decision."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from include.records.proofs import LeakProof


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
class NoChampion:
    """There is no champion yet."""


@dataclass(frozen=True)
class UnfitChampion:
    """A champion that cannot answer these rows.

    For example because a column that it was fitted on may be missing since.
    """

    version: str


@dataclass(frozen=True)
class Rival:
    """A champion that the challenger is compared with."""

    card: Scorecard
    agreement: Agreement


Opponent = NoChampion | UnfitChampion | Rival
"""What a challenger is judged against."""
NO_CHAMPION = NoChampion()
_OF_THE_OPPONENT = ("champion", "agreement", "unfit_champion")


@dataclass(frozen=True)
class Scores:
    """Scores of both contenders on the same holdout rows, from the same run."""

    challenger: Scorecard
    opponent: Opponent = NO_CHAMPION
    slices: tuple[SliceScore, ...] = ()
    """In the order of the spec."""
    proofs: tuple[LeakProof, ...] = ()
    """Those of the challenger and, when there is one, of the champion."""
    looks: int = 0
    """Earlier challengers that were judged on this holdout."""
    barred: str = ""
    """Why the challenger may not be promoted even if it is better: a model of the same data was
    rolled back."""

    @property
    def champion(self) -> Scorecard | None:
        """The scores of the champion; None where there is none that can answer these rows."""
        return self.opponent.card if isinstance(self.opponent, Rival) else None

    def stored(self) -> dict[str, Any]:
        """Return its fields as they are stored: those of the opponent beside the others."""
        rest = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "opponent"}
        opponent: dict[str, Any] = dict.fromkeys(_OF_THE_OPPONENT)
        match self.opponent:
            case Rival(card, agreement):
                opponent |= {"champion": card, "agreement": agreement}
            case UnfitChampion(version):
                opponent |= {"unfit_champion": version}
        return {"challenger": rest.pop("challenger"), **opponent, **rest}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Return how pydantic reads them: as they are stored, see `stored`."""
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(_read_stored, handler(source))


def _read_stored(stored: Any) -> Any:
    from pydantic import TypeAdapter

    if not isinstance(stored, dict):
        return stored
    rest = {key: value for key, value in stored.items() if key not in _OF_THE_OPPONENT}
    champion, agreement, unfit = (stored.get(key) for key in _OF_THE_OPPONENT)
    opponent: Opponent = NO_CHAMPION
    if champion is not None:
        rival = {"card": champion, "agreement": agreement}
        opponent = TypeAdapter(Rival).validate_python(rival)
    elif unfit is not None:
        opponent = UnfitChampion(str(unfit))
    return {**rest, "opponent": opponent}


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

    @classmethod
    def spared(cls, sentence: str) -> "Preflight":
        """Return the one of a challenger that the endpoint was not asked about."""
        return cls(needed=False, passed=True, sentence=sentence)

    @classmethod
    def held(cls, sentence: str, replicas: int, rows: int, differences: int) -> "Preflight":
        """Return one that was held: it is passed when nothing differs."""
        counts = {"replicas": replicas, "rows": rows, "differences": differences}
        return cls(needed=True, passed=not differences, sentence=sentence, **counts)
