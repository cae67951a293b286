"""The frozen, validated form of a model spec, one TOML file a model.

Everything that makes one model different from another is in its spec; the code knows no model.
Reading a spec imports no learning library, because the Dag processor reads it every few seconds:
estimators are named by import path, checked against `include.spec.estimators` here, and imported
when selection runs.
"""

import re
from enum import StrEnum
from math import prod
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    Field,
    field_validator,
    model_validator,
)

from include.metrics import FIRST_OBJECTIVE, objectives
from include.problems import problem_named
from include.spec import family_check
from include.spec.data_spec import Data, Section
from include.store.address import SCHEMES, scheme_of
from include.text.nearest import did_you_mean
from serving.bundle.problems import FIRST_PROBLEM, PROBLEMS

OWN_DAGS = ("roll_back",)
"""Names of Dags that are Ratchet's own, which no spec may have."""


NAME_PATTERN = re.compile(r"[a-z][a-z0-9_-]{0,62}")


_MOST_CANDIDATES = 10_000
"""Candidates of a family at most; each is fitted on two parts of the train side at least."""


Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN.pattern}$")]


_IN_WORDS = {
    "tuple_type": "a list in square brackets belongs here",
    "dict_type": "a table such as { name = value } belongs here",
}
"""Messages in place of pydantic's own, by its type of the error."""


def _is_free(name: str) -> str:
    if name in OWN_DAGS:
        raise ValueError(f"'{name}' is a Dag of Ratchet's own; give the file another name")
    return name


def _decides(metric: str) -> str:
    if metric not in objectives():
        near = did_you_mean(metric, objectives()) or ";"
        raise ValueError(
            f"'{metric}' is no metric to decide by{near} there are: {', '.join(objectives())}"
        )
    return metric


def _is_a_problem(name: str) -> str:
    if name not in PROBLEMS:
        near = did_you_mean(name, PROBLEMS) or ";"
        raise ValueError(
            f"'{name}' is no problem that is known{near} there are: {', '.join(PROBLEMS)}"
        )
    return name


class Split(Section):
    """The sticky split. The contract pins both values; a change applies to later rows only."""

    holdout: float = Field(0.2, gt=0, lt=1)
    """The share of the holdout in each class."""
    salt: str = "ratchet"


class Strategy(StrEnum):
    """Whether candidates are eliminated before all of them have run on all rows."""

    RACE = "race"
    """Those that are clearly beaten on a part of the rows are."""
    EXHAUSTIVE = "exhaustive"
    """None is."""


class Selection(Section):
    """How candidates are compared: strategy, folds and sizes of the race."""

    strategy: Strategy = Strategy.RACE
    folds: int = Field(5, ge=2)
    seed: int = Field(0, ge=0, lt=1 << 32)
    screened_rows: int = Field(5_000, ge=100)
    """A race starts on at most this many train rows, a stratified part."""
    finalists: int = Field(8, ge=1)
    """At most so many fits per fold, the best ones, go on to all train rows."""


class Gate(Section):
    """What the gate decides by, how certain it has to be, and bounds that no model may exceed."""

    metric: Annotated[str, AfterValidator(_decides)] = FIRST_OBJECTIVE
    """What candidates are selected by, and challenger and champion compared by."""
    confidence: float = Field(0.95, ge=0.5, lt=1)
    """The share of resampled holdouts on which the challenger has to win at the first look at a
    holdout; each further look raises it. 0.5 is a plain `beats it`."""
    slice_harm: float = Field(0.95, ge=0.5, le=1)
    """A challenger that loses on a larger share of a slice's resampled rows is held; 1 turns this
    off."""
    max_calibration_error: float = Field(1.0, gt=0, le=1)
    """Expected calibration error; 1 is no bound, because not every metric needs calibration."""
    max_latency_ms: float = Field(1000.0, gt=0)
    """Milliseconds for predicting one row."""
    max_size_mib: float = Field(1024.0, gt=0)
    """Size of the model file in MiB."""
    approval: bool = False
    """Whether a person has to approve before a challenger that passed becomes the champion."""


class Slice(Section):
    """A subset of the holdout that both contenders are also scored on: by values, or a range."""

    name: Name
    column: str
    """A feature column."""
    values: tuple[str | int | float, ...] = ()
    """Categories, or numbers."""
    at_least: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _values_or_range(self) -> Self:
        ranged = self.at_least is not None or self.below is not None
        if bool(self.values) == ranged:
            raise ValueError("name either values, or at_least, below or both")
        if self.at_least is not None and self.below is not None and self.at_least >= self.below:
            raise ValueError(f"no number is at least {self.at_least:g} and below {self.below:g}")
        return self


class Family(Section):
    """A pipeline of supported classes and the grid of their parameters."""

    name: Name
    pipeline: tuple[str, ...] = Field(min_length=1)
    """Import paths of supported classes; the last is a classifier with `predict_proba`."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters that all candidates share, named as `make_pipeline` names them."""
    grid: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """By parameter, the values of which every combination is a candidate."""

    @model_validator(mode="after")
    def _supported(self) -> Self:
        if (candidates := prod(map(len, self.grid.values()))) > _MOST_CANDIDATES:
            raise ValueError(
                f"the grid has {candidates} combinations, more than {_MOST_CANDIDATES}"
            )
        if problems := list(family_check.family_problems(self.pipeline, self.params, self.grid)):
            raise ValueError("; ".join(problems))
        return self


class Schedule(Section):
    """When a run starts even if no file landed."""

    cron: str = "0 2 * * *"
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _known(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"'{timezone}' is not a time zone such as Europe/Amsterdam") from error
        return timezone

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, cron: str) -> str:
        from croniter import CroniterError, croniter

        try:
            fields = len(cron.split())
            croniter(cron).get_next()
        except CroniterError:
            fields = 0
        if fields != 5:  # noqa: PLR2004 - minute, hour, day, month, day of the week
            raise ValueError(f"'{cron}' is not a cron line that ever comes, such as '0 2 * * *'")
        return cron


class Spec(Section):
    """One model: its data, its candidates, and when it trains."""

    name: Annotated[Name, AfterValidator(_is_free)]
    """The name of the Dag, the landing folder and the table: the file's name without `.toml`."""
    model: Name
    """The name of the registered model and of the endpoint."""
    title: str
    problem: Annotated[str, AfterValidator(_is_a_problem)] = FIRST_PROBLEM
    """What is learned: how labels are read, models scored and rows answered."""
    description: str = ""
    landing: str = ""
    """Where files are dropped: a path or `s3://BUCKET/PREFIX`; by default a folder of
    RATCHET_LANDING."""
    data: Data
    split: Split = Split()
    selection: Selection = Selection()
    gate: Gate = Gate()
    schedule: Schedule = Schedule()
    families: tuple[Family, ...] = Field(min_length=1)
    slices: tuple[Slice, ...] = ()

    @field_validator("landing")
    @classmethod
    def _place_is_known(cls, landing: str) -> str:
        if scheme_of(landing) not in SCHEMES:
            raise ValueError(f"{landing} is neither a path nor s3://BUCKET/PREFIX")
        return landing

    @model_validator(mode="after")
    def _metric_applies(self) -> "Spec":
        # Who names neither has what belongs together; asking imports what metrics compute with.
        named = "metric" in self.gate.model_fields_set or "problem" in self.model_fields_set
        if named and self.gate.metric not in problem_named(self.problem).metrics:
            raise ValueError(f"gate.metric {self.gate.metric} says nothing of {self.problem}")
        return self

    @model_validator(mode="after")
    def _families_differ(self) -> "Spec":
        names = [family.name for family in self.families]
        if len(set(names)) < len(names):
            raise ValueError("two families have the same name")
        return self

    @model_validator(mode="after")
    def _slices_differ_and_cut_features(self) -> "Spec":
        names = [part.name for part in self.slices]
        if len(set(names)) < len(names):
            raise ValueError("two slices have the same name")
        for part in self.slices:
            if not self.data.selects(part.column):
                raise ValueError(f"slice '{part.name}': column '{part.column}' is no feature")
        return self

    def family(self, name: str) -> Family:
        """Return the family of that name; KeyError when the spec has none."""
        return {family.name: family for family in self.families}[name]


def _spec_files(folder: Path) -> list[Path]:
    """Return the spec files of a folder; hidden files belong to editors and archives."""
    return sorted(path for path in folder.glob("*.toml") if not path.name.startswith("."))
