"""The frozen, validated form of a model spec, one TOML file a model.

Everything that makes one model different from another stands in its spec; the code knows none of
them. Reading a spec imports no learning library, because the Dag processor does it every few
seconds; estimator classes are named by their import path, held to the list of
`include.spec.estimators` here, and imported when selection runs.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from include.errors import SpecError
from include.spec import family_check
from include.text.encodings import BOM, UTF_8, encoding_name
from include.text.nearest import did_you_mean, nearest_name
from include.text.showable import showable, showable_name
from serving.values.notation import Notation, date_pattern
from serving.values.spelling import spelled

OWN_DAGS = ("roll_back",)
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_INDEX = re.compile(r"|__index_level_\d+__|Unnamed: \d+(\.\d+)*")
"""What pandas calls an index in Parquet and in CSV, there first without a name."""
_LONGEST_SPEC = 1 << 20
"""In bytes."""
_MOST_CANDIDATES = 10_000
"""Of a family; each is a fit on two parts of the train side at least."""
Name = Annotated[str, Field(pattern=f"^{_NAME.pattern}$")]
Label = bool | int | str
"""`true` is a truth, 1 a number, "1" a text; each is what it looks like in any format."""
ANYTHING_ELSE = "*"
"""As the negative label: whatever is there and is not the positive one."""
_IN_WORDS = {
    "tuple_type": "a list in square brackets belongs here",
    "dict_type": "a table such as { name = value } belongs here",
}
"""What the library says in words of Python, by its own name of the problem."""
_T = TypeVar("_T")


def _is_free(name: str) -> str:
    if name in OWN_DAGS:
        raise ValueError(f"'{name}' is a Dag of Ratchet's own; give the file another name")
    return name


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def matches(column: str, pattern: str) -> bool:
    """Say whether a pattern is a column's own name, brackets and all, or fits it."""
    return column == pattern or fnmatchcase(column, pattern)


def is_index(column: str) -> bool:
    """Say whether a column is called as programs call the numbers of rows that they write."""
    return bool(_INDEX.fullmatch(column))


class Written(_Part):
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
        ) != Written.model_construct().model_dump(exclude={"date", "boolean"})
        if bool(self.date) + self.boolean + numbers > 1:
            raise ValueError("a column holds numbers, dates or truths: state one of them")
        return self

    @field_validator("date")
    @classmethod
    def _makes_a_date(cls, form: str) -> str:
        if form:
            date_pattern(form)
        return form


class Data(_Part):
    """The columns of a delivery. What the first batch fixed of them stands in the contract."""

    target: str
    positive: Label = 1
    negative: Label | tuple[Label, ...] = 0
    """One label, several, or `*` for whatever else stands in the target."""
    id: str | None = None
    """A column that names a row and is no feature."""
    features: tuple[str, ...] = ("*",)
    """Shell patterns of the feature columns among those that are neither target nor id."""
    exclude: tuple[str, ...] = ()
    """Shell patterns of columns that are no features although `features` matches them."""
    categorical: tuple[str, ...] | None = None
    """Shell patterns of the features that hold categories. Unset: those whose values in the first
    batch are mostly no numbers."""
    missing: tuple[str, ...] = ()
    """Shell patterns of features that may be empty, beside those with gaps in the first batch."""
    required: tuple[str, ...] = ()
    """Shell patterns of features that may not be empty, whatever the first batch shows."""
    notation: dict[str, Written] = {}
    """Shell pattern to how its texts write numbers, dates or truths."""
    ranges: dict[str, tuple[float, float]] = {}
    """Shell pattern to the lowest and highest number that is accepted."""
    conflicts: Literal["quarantine", "keep"] = "quarantine"
    """What to do with a row whose features are known with another label."""
    max_refused_share: float = Field(0.5, ge=0, le=1)
    """A file with a larger share of bad rows is refused whole."""
    encoding: Annotated[str, AfterValidator(encoding_name)] = UTF_8
    """What texts are written in that have no byte order mark of UTF-8."""
    columns: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    """The columns of delimited text, in its order, where files have no header line."""

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        if not self.negatives:
            raise ValueError("negative names no label")
        for negative in self.negatives:
            if spelled(self.positive) == spelled(negative):
                raise ValueError(f"positive and negative are both '{spelled(negative)}'")
        return self

    @model_validator(mode="after")
    def _gaps_agree(self) -> Self:
        both = sorted({*self.missing} & {*self.required})
        if both:
            raise ValueError(f"missing and required both name {', '.join(both)}")
        return self

    @model_validator(mode="after")
    def _columns_differ_and_have_the_target(self) -> Self:
        columns = self.columns or (self.target,)
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
        if column in {self.target, self.id} or _matches(column, self.exclude):
            return False
        if is_index(column) and column not in self.features:
            return False
        return _matches(column, self.features)

    def may_be_missing(self, column: str) -> bool:
        """Say whether a feature may be empty."""
        return _matches(column, self.missing)

    @property
    def negatives(self) -> tuple[Label, ...]:
        """The negative labels."""
        return self.negative if isinstance(self.negative, tuple) else (self.negative,)

    @property
    def label_names(self) -> tuple[str, str]:
        """What the answers of a model call the negative class and the positive one."""
        negative = " or ".join(map(spelled, self.negatives))
        positive = spelled(self.positive)
        return (f"not {positive}" if negative == ANYTHING_ELSE else negative), positive

    def must_be_there(self, column: str) -> bool:
        """Say whether the spec forbids gaps in a feature."""
        return _matches(column, self.required)

    def notation_of(self, column: str) -> Notation | None:
        """Return the notation that is stated for a feature, None when none is."""
        stated = _first(column, self.notation)
        return None if stated is None else Notation(**stated.model_dump())

    def accepted(self, column: str) -> tuple[float, float] | None:
        """Return the range that is stated for a feature, None when none is."""
        return _first(column, self.ranges)

    def is_category(self, column: str) -> bool | None:
        """Say whether a feature holds categories; None when the first batch is to tell."""
        return None if self.categorical is None else _matches(column, self.categorical)


class Split(_Part):
    """The sticky split. The contract pins both values; a change rules later rows only."""

    holdout: float = Field(0.2, gt=0, lt=1)
    salt: str = "ratchet"


class Selection(_Part):
    """How candidates are compared."""

    strategy: Literal["race", "exhaustive"] = "race"
    """`race`: who is clearly beaten on a part of the rows drops out; `exhaustive`: nobody does."""
    folds: int = Field(5, ge=2)
    seed: int = Field(0, ge=0, lt=1 << 32)
    screened_rows: int = Field(5_000, ge=100)
    """A race starts on at most this many train rows, a stratified part."""
    finalists: int = Field(8, ge=1)
    """At most so many fits a fold go on to all train rows, those with the best F1."""


class Gate(_Part):
    """How sure the gate has to be, and what no model may exceed."""

    confidence: float = Field(0.95, ge=0.5, lt=1)
    """Share of resampled holdouts on which the challenger has to win at the first look at a
    holdout; more is asked the more often it was looked at. 0.5 is plain `beats it`."""
    slice_harm: float = Field(0.95, ge=0.5, le=1)
    """A challenger that loses on a larger share of a slice's resampled rows is held; 1 is never."""
    max_calibration_error: float = Field(1.0, gt=0, le=1)
    """Expected calibration error; 1 is no bound, since F1 needs no calibration."""
    max_latency_ms: float = Field(1000.0, gt=0)
    """Of predicting one row."""
    max_size_mib: float = Field(1024.0, gt=0)
    """Of the model file."""
    approval: bool = False
    """Whether a person is asked before a challenger that earned it becomes the champion."""


class Slice(_Part):
    """Holdout rows that both contenders are also scored on: by values, or by a range."""

    name: Name
    column: str
    """A feature."""
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


class Family(_Part):
    """A pipeline of scikit-learn classes and the grid of their parameters."""

    name: Name
    pipeline: tuple[str, ...] = Field(min_length=1)
    """Import paths of supported classes; the last is a classifier with `predict_proba`."""
    params: dict[str, Any] = {}
    """Parameters that every candidate shares, in the names `make_pipeline` gives them."""
    grid: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = {}

    @model_validator(mode="after")
    def _supported(self) -> Self:
        if (candidates := prod(map(len, self.grid.values()))) > _MOST_CANDIDATES:
            raise ValueError(
                f"the grid has {candidates} combinations, more than {_MOST_CANDIDATES}"
            )
        if problems := list(family_check.problems(self.pipeline, self.params, self.grid)):
            raise ValueError("; ".join(problems))
        return self


class Schedule(_Part):
    """When a run starts although nothing landed."""

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


class Spec(_Part):
    """One model: its data, its candidates, when it trains."""

    name: Annotated[Name, AfterValidator(_is_free)]
    """The Dag, the landing folder and the table; the file's own name without `.toml`."""
    model: Name
    """The registered model and the endpoint."""
    title: str
    description: str = ""
    landing: str = ""
    """Where files are dropped, a path or `s3://BUCKET/PREFIX`; a folder of RATCHET_LANDING by
    default."""
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
        scheme, parted, _ = landing.partition("://")
        if parted and scheme not in {"file", "s3"}:
            raise ValueError(f"{landing} is neither a path nor s3://BUCKET/PREFIX")
        return landing

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


def is_name(text: str) -> bool:
    """Say whether a text can be the name of a spec."""
    return _NAME.fullmatch(text) is not None and text not in OWN_DAGS


def spec_path(folder: Path, name: str) -> Path:
    """Return where the spec of this name is; SpecError where there is none, or for a path."""
    if not _NAME.fullmatch(name):
        raise SpecError(
            f"{showable_name(name) or 'nothing'} is no name of a spec: name one of {folder}, "
            f"without `.toml`; there are: {_there(folder)}"
        )
    path = folder / f"{name}.toml"
    if not path.exists():
        near = did_you_mean(name, spec_names(folder))
        raise SpecError(
            f"there is no spec {name} in {folder}{near or ';'} there are: {_there(folder)}"
        )
    return path


def spec_names(folder: Path) -> list[str]:
    """Return the names of the specs of a folder, whether they can be used or not."""
    return [path.stem for path in _spec_files(folder)]


def _spec_files(folder: Path) -> list[Path]:
    """Return the files of specs; hidden ones are those of editors and archives."""
    return sorted(path for path in folder.glob("*.toml") if not path.name.startswith("."))


def _there(folder: Path) -> str:
    return showable_name(", ".join(spec_names(folder)) or "none")


def read_spec(path: Path) -> Spec:
    """Read and validate a spec, or raise SpecError naming the file, the field and the mend."""
    return parse_spec(path, spec_text(path))


def spec_text(path: Path) -> str:
    """Return what a spec file says, or raise SpecError where it cannot be read as a text."""
    try:
        return _text(path)
    except (ValueError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else why
        raise _unreadable(path, why or str(error)) from error


def parse_spec(path: Path, text: str) -> Spec:
    """Validate what the file of a spec says, or once said; SpecError as `read_spec`."""
    try:
        table = tomllib.loads(text)
        _require_showable(path.name, table)
        if "name" in table:
            raise SpecError(f"{path.name}: name: a spec is named by its file; remove the field")
        return Spec.model_validate({"name": path.stem} | table)
    except ValidationError as error:
        wrong = [(problem["loc"], _told(problem)) for problem in error.errors()]
        inner = {place[:end] for place, _ in wrong for end in range(len(place))}
        # A list with a wrong part is told to be too short as well.
        lines = (_sentence(place, message) for place, message in wrong if place not in inner)
        raise SpecError(f"{path.name}: " + "; ".join(lines)) from error
    # Beside its own errors the reader has those of numbers and brackets beyond all measure.
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, why: str) -> SpecError:
    return SpecError(f"{path.name} cannot be read as TOML: {why}")


def read_specs(folder: Path) -> dict[Path, Spec | SpecError]:
    """Read every spec of a folder; in place of one that cannot be used stands the reason.

    Two may name one model: whose it is no file says, but the registry.
    """
    read: dict[Path, Spec | SpecError] = {}
    for path in _spec_files(folder):
        try:
            read[path] = read_spec(path)
        except SpecError as error:
            read[path] = error
    return read


def _text(path: Path) -> str:
    # Who opens a pipe waits for its other end, and whoever reads specs waits with them.
    if path.exists() and not path.is_file():
        raise OSError("it is no file")
    with path.open("rb") as file:
        content = file.read(_LONGEST_SPEC + 1).removeprefix(BOM)
    if len(content) > _LONGEST_SPEC:
        raise OSError(f"it is longer than {_LONGEST_SPEC >> 20} MiB")
    return content.decode().replace("\r\n", "\n")


def _require_showable(file: str, value: Any) -> None:
    """Raise SpecError for a text that not every place can store which a spec's words come to."""
    if isinstance(value, str) and showable(value, len(value) + 1) != value:
        raise SpecError(f"{file}: '{value}' has a character that cannot be shown: remove it")
    if isinstance(value, dict | list):
        for one in [*value, *value.values()] if isinstance(value, dict) else value:
            _require_showable(file, one)


def _matches(column: str, patterns: tuple[str, ...]) -> bool:
    return any(matches(column, pattern) for pattern in patterns)


def _first(column: str, by_pattern: Mapping[str, _T]) -> _T | None:
    """Return what stands for a column's own name, else for the first pattern that it matches."""
    fitting = (found for pattern, found in by_pattern.items() if matches(column, pattern))
    return by_pattern.get(column, next(fitting, None))


def _told(problem: ErrorDetails) -> str:
    """Return what pydantic says, with the field that a mistyped one is nearest to."""
    if problem["type"] != "extra_forbidden":
        return _IN_WORDS.get(problem["type"], problem["msg"])
    *outer, name = problem["loc"]
    part: type[BaseModel] = Spec
    for one in outer:
        part = part if isinstance(one, int) else _part_of(part, one)
    elsewhere = (one for one in _dotted(Spec) if one.rpartition(".")[2] == name)
    meant = nearest_name(str(name), part.model_fields) or next(elsewhere, None)
    return problem["msg"] + (f"; did you mean {meant}?" if meant else "")


def _dotted(part: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield every field of a spec in dots, as `data.target`."""
    for name in part.model_fields:
        inner = _part_of(part, name)
        yield from [prefix + name] if inner is part else _dotted(inner, f"{prefix}{name}.")


def _part_of(part: type[BaseModel], name: str) -> type[BaseModel]:
    """Return the table that a field holds, or holds a list of; the same part when it holds none."""
    annotation = part.model_fields[name].annotation
    for one in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return part


def _sentence(place: tuple[int | str, ...], message: str) -> str:
    where = ".".join(map(str, place)) or "spec"
    return f"{where}: {message.removeprefix('Value error, ')}"
