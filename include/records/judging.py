"""Records of judging: scores of both contenders, proofs, checks and the decision."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from include.metrics import FIRST_OBJECTIVE, Figures, Metric
from include.metrics.evidence import PairedEvidence
from include.records.proofs import LeakProof
from include.records.stored_forms import read_after
from serving.bundle.problems import FIRST_PROBLEM


@dataclass(frozen=True)
class Scorecard:
    """Figures of one model version on the holdout rows of one data set version."""

    model_version: str
    data_version: int
    rows: int
    figures: Figures
    """Counts and metrics by name, in the order in which people read them."""
    latency_ms: float = 0.0
    """Median milliseconds of predicting one row through the bundle on one thread, wall or processor
    time, whichever is less; 0 where it was not measured."""
    size_bytes: int = 0
    """Size of the model file; 0 where it was not measured."""

    def value(self, metric: Metric) -> float:
        """Return the value of a metric."""
        return self.figures[metric.name]

    def numbers(self) -> dict[str, float]:
        """Return everything that was counted and measured, by name."""
        measured = {"latency_ms": self.latency_ms, "size_bytes": self.size_bytes}
        return {"rows": self.rows, **self.figures, **measured}

    def stored(self) -> dict[str, Any]:
        """Return its fields as they are stored: the figures beside the others."""
        versions = {"model_version": self.model_version, "data_version": self.data_version}
        return {**versions, **self.numbers()}

    def __str__(self) -> str:
        """Return every number for a person."""
        return ", ".join(f"{name} {value:.6g}" for name, value in self.numbers().items())

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Return how pydantic reads them: as they are stored, see `stored`."""
        return read_after(_with_figures, source, handler)


@dataclass(frozen=True)
class SliceScore:
    """Scores of both contenders on the holdout rows of one slice, by the metric of the gate."""

    name: str
    rows: int
    counts: Mapping[str, int]
    """What is counted beside the rows, such as the positives, by headings of a table."""
    challenger: float
    champion: float | None = None
    """None, like the evidence, when there is no champion to compare with."""
    agreement: PairedEvidence | None = None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Return how pydantic reads them: also as release 0.1.0 stored them."""
        return read_after(_with_names_of_today, source, handler)


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
    agreement: PairedEvidence
    """Of the predictions of both."""


Opponent = NoChampion | UnfitChampion | Rival
"""What a challenger is judged against."""
NO_CHAMPION = NoChampion()
_OF_THE_OPPONENT = ("champion", "agreement", "unfit_champion")
_OF_A_SLICE = {f"{who}_{FIRST_OBJECTIVE}": who for who in ("challenger", "champion")}
"""How release 0.1.0 called the values on a slice."""
_COUNTS_OF_A_SLICE = ("positives",)
"""Which fields it had in place of `counts`."""


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
    metric: str = FIRST_OBJECTIVE
    """The metric that the gate decides by."""
    problem: str = FIRST_PROBLEM
    """What the models solve."""

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
        return read_after(_with_opponent, source, handler)


def _with_figures(stored: dict[str, Any]) -> dict[str, Any]:
    own = {one.name for one in fields(Scorecard)}
    if "figures" in stored:
        return stored
    figures = {key: value for key, value in stored.items() if key not in own}
    return {**{key: stored[key] for key in own & stored.keys()}, "figures": figures}


def _with_names_of_today(stored: dict[str, Any]) -> dict[str, Any]:
    renamed = {_OF_A_SLICE.get(key, key): value for key, value in stored.items()}
    counts = {key: renamed.pop(key) for key in _COUNTS_OF_A_SLICE if key in renamed}
    return {"counts": counts, **renamed}


def _with_opponent(stored: dict[str, Any]) -> dict[str, Any]:
    from pydantic import TypeAdapter

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
    """The smallest gain that this holdout can tell from noise; None without a comparison."""


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
