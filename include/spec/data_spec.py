"""`[data]` of a spec: the target and its labels, the features, and how values are written."""

import re
from collections.abc import Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from include.problems.label_rule import ANYTHING_ELSE, Label
from include.text.encodings import UTF_8, encoding_name
from serving.values.notation import Notation, date_pattern
from serving.values.spelling import category_form, name_of

_INDEX = re.compile(r"|__index_level_\d+__|Unnamed: \d+(\.\d+)*")
"""How pandas names an index in Parquet and in CSV, where it comes first and without a name."""


_T = TypeVar("_T")


class Section(BaseModel):
    """A table of a spec: frozen, and a field that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def matches(column: str, pattern: str) -> bool:
    """Say whether a shell pattern matches a column, or is its exact name, brackets included."""
    column, pattern = name_of(column), name_of(pattern)
    return column == pattern or fnmatchcase(column, pattern)


def is_index(column: str) -> bool:
    """Say whether a column has a name that programs give to row numbers that they write."""
    return bool(_INDEX.fullmatch(column))


class Conflicts(StrEnum):
    """What becomes of a row whose features are known with another label."""

    QUARANTINE = "quarantine"
    KEEP = "keep"


class ColumnNotation(Section):
    """How the texts of a column write its values; see `Notation`."""

    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'", "_"] = ""
    currency: Annotated[str, Field(max_length=8)] = ""
    percent: bool = False
    parentheses: bool = False
    date: str = ""
    boolean: bool = False

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if self.decimal == self.thousands:
            raise ValueError(f"'{self.decimal}' cannot both be the decimal and part thousands")
        numbers = self.model_dump(
            exclude={"date", "boolean"}
        ) != ColumnNotation.model_construct().model_dump(exclude={"date", "boolean"})
        if bool(self.date) + self.boolean + numbers > 1:
            raise ValueError("a column holds numbers, dates or truths: state one of them")
        return self

    @field_validator("date")
    @classmethod
    def _makes_a_date(cls, form: str) -> str:
        if form:
            date_pattern(form)
        return form


class Data(Section):
    """The columns of a delivery; what the first batch fixed of them is in the contract."""

    target: Annotated[str, AfterValidator(name_of)]
    positive: Label = 1
    negative: Label | tuple[Label, ...] = 0
    """One label, several, or `*` for any other value of the target."""
    id: Annotated[str, AfterValidator(name_of)] | None = None
    """A column that identifies a row and is no feature."""
    features: tuple[str, ...] = ("*",)
    """Shell patterns of the feature columns; target and id are never features."""
    exclude: tuple[str, ...] = ()
    """Shell patterns of columns that are no features although `features` matches them."""
    categorical: tuple[str, ...] | None = None
    """Shell patterns of the features that hold categories. Unset: those whose values in the first
    batch are mostly not numbers."""
    missing: tuple[str, ...] = ()
    """Shell patterns of features that may be empty, besides those with gaps in the first batch."""
    required: tuple[str, ...] = ()
    """Shell patterns of features that may not be empty, whatever the first batch shows."""
    notation: dict[str, ColumnNotation] = {}
    """By shell pattern, how texts write numbers, dates or truths."""
    ranges: dict[str, tuple[float, float]] = {}
    """By shell pattern, the lowest and the highest number that is accepted."""
    conflicts: Conflicts = Conflicts.QUARANTINE
    """What becomes of a row whose features are known with another label."""
    max_refused_share: float = Field(0.5, ge=0, le=1)
    """A file with a larger share of bad rows is refused whole."""
    encoding: Annotated[str, AfterValidator(encoding_name)] = UTF_8
    """The encoding of texts without the byte order mark of UTF-8."""
    columns: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    """The columns of delimited text, in its order, where files have no header line."""

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        if not self.negatives:
            raise ValueError("negative names no label")
        for negative in self.negatives:
            if category_form(self.positive) == category_form(negative):
                raise ValueError(f"positive and negative are both '{category_form(negative)}'")
        return self

    @model_validator(mode="after")
    def _gaps_agree(self) -> Self:
        both = sorted({*self.missing} & {*self.required})
        if both:
            raise ValueError(f"missing and required both name {', '.join(both)}")
        return self

    @model_validator(mode="after")
    def _columns_differ_and_have_the_target(self) -> Self:
        columns = [name_of(name) for name in self.columns or (self.target,)]
        repeated = sorted({name for name in columns if columns.count(name) > 1})
        if repeated:
            raise ValueError(f"columns names {', '.join(repeated)} more than once")
        if self.target not in columns:
            raise ValueError(f"columns does not name the target '{self.target}'")
        return self

    @field_validator("ranges")
    @classmethod
    def _low_first(cls, ranges: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        for pattern, (lowest, highest) in ranges.items():
            if not lowest < highest:
                raise ValueError(f"{pattern}: {lowest:g} is not below {highest:g}")
        return ranges

    def feature_columns(self, header: tuple[str, ...]) -> tuple[str, ...]:
        """Return the header's feature columns, in its order."""
        return tuple(column for column in header if self.selects(column))

    def selects(self, column: str) -> bool:
        """Say whether a column is a feature."""
        if name_of(column) in {self.target, self.id} or matches_any(column, self.exclude):
            return False
        if is_index(column) and column not in self.features:
            return False
        return matches_any(column, self.features)

    def may_be_missing(self, column: str) -> bool:
        """Say whether a feature may be empty."""
        return matches_any(column, self.missing)

    @property
    def negatives(self) -> tuple[Label, ...]:
        """The negative labels."""
        return self.negative if isinstance(self.negative, tuple) else (self.negative,)

    @property
    def label_names(self) -> tuple[str, str]:
        """The names of the negative and the positive class in a model's answers."""
        negative = " or ".join(map(category_form, self.negatives))
        positive = category_form(self.positive)
        return (f"not {positive}" if negative == ANYTHING_ELSE else negative), positive

    def must_be_there(self, column: str) -> bool:
        """Say whether the spec forbids gaps in a feature."""
        return matches_any(column, self.required)

    def notation_of(self, column: str) -> Notation | None:
        """Return the notation that the spec states for a feature, None when it states none."""
        stated = first_match(column, self.notation)
        return None if stated is None else Notation(**stated.model_dump())

    def accepted_range(self, column: str) -> tuple[float, float] | None:
        """Return the range that the spec states for a feature, None when it states none."""
        return first_match(column, self.ranges)

    def is_category(self, column: str) -> bool | None:
        """Say whether a feature holds categories; None when the first batch decides."""
        return None if self.categorical is None else matches_any(column, self.categorical)


def matches_any(column: str, patterns: tuple[str, ...]) -> bool:
    """Say whether one of the patterns matches a column."""
    return any(matches(column, pattern) for pattern in patterns)


def first_match(column: str, by_pattern: Mapping[str, _T]) -> _T | None:
    """Return the entry of a column's own name, else of the first pattern that matches it."""
    fitting = (entry for pattern, entry in by_pattern.items() if matches(column, pattern))
    return by_pattern.get(column, next(fitting, None))
