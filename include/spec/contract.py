"""The contract: the schema that deliveries of a spec are held to.

Columns with their kinds, the labels and the rule of the split. The first batch fixes it, and what
the spec states overrides what the batch shows. It is stored as a TOML file beside the table, one
file a version. Later batches are held to it. A spec that states something else stops the run until
somebody changes the contract on purpose: the next file would be judged by another rule.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import tomli_w

from include.errors import ContractError, SpecError, reason_of
from include.problems.label_rule import Label
from include.records.row_columns import ID
from include.spec.data_spec import Data, is_index
from include.spec.model_spec import Spec
from include.text.showable import showable
from serving.bundle.problems import FIRST_PROBLEM
from serving.values.notation import PLAIN, Notation, read_notation
from serving.values.spelling import SPELLING, name_of


class ColumnKind(StrEnum):
    """What a feature holds."""

    NUMBER = "number"
    CATEGORY = "category"


_SLICED: dict[ColumnKind, tuple[str, str]] = {
    ColumnKind.NUMBER: ("numbers", "at_least, below or numbers as values"),
    ColumnKind.CATEGORY: ("categories", "texts as values"),
}


@dataclass(frozen=True)
class Column:
    """A feature column."""

    name: str
    kind: ColumnKind
    missing: bool = False
    """Whether the value may be missing."""
    accepted: tuple[float, float] | None = None
    """The lowest and the highest number that a row may have, where the spec states them."""
    seen: tuple[float, float] | None = None
    """The lowest and the highest number in the batch that fixed the contract."""
    categories: tuple[str, ...] = ()
    """The categories of that batch, sorted; empty where there were too many to list."""
    notation: Notation = PLAIN
    """How texts write its numbers."""


@dataclass(frozen=True)
class Contract:
    """One version of the schema that deliveries are held to."""

    version: int
    since: str
    """The digest of the batch that fixed it, or the reason of its change."""
    target: str
    positive: Label
    negative: Label | tuple[Label, ...]
    id: str | None
    holdout: float
    """The share of the holdout in new rows of a class."""
    salt: str
    """What the hashes of the split are seeded by."""
    columns: tuple[Column, ...]
    """The features, in the order of the first batch."""
    spelling: int = 1
    """How categories are spelled, see `serving.values.spelling`; 1 in contracts of 0.1.0."""
    problem: str = FIRST_PROBLEM
    """What is learned, which decides how labels are read; contracts of 0.1.0 name none."""
    left_out: tuple[str, ...] = ()
    """Columns that the spec selects and the first batch shows to be like an id: no features."""

    @property
    def negatives(self) -> tuple[Label, ...]:
        """The negative labels."""
        return self.negative if isinstance(self.negative, tuple) else (self.negative,)

    @property
    def row_id(self) -> str | None:
        """The column of the id, where no feature of an older release has its name in the table."""
        return None if ID in self.features else self.id

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, in the order of the first batch."""
        return tuple(column.name for column in self.columns)

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of the features that hold categories."""
        return tuple(column.name for column in self.columns if column.kind is ColumnKind.CATEGORY)


def first_contract(
    spec: Spec,
    kinds: Mapping[str, ColumnKind],
    since: str,
    notations: Mapping[str, Notation] = MappingProxyType({}),
    left_out: tuple[str, ...] = (),
) -> Contract:
    """Return the contract of a first batch whose features have these kinds, in this order.

    `notations` are those of the number columns that are not written plainly.
    """
    columns = tuple(
        _column(spec.data, Column(name, kind, notation=notations.get(name, PLAIN)))
        for name, kind in kinds.items()
    )
    return replace(_under(spec, 1, since, columns), left_out=left_out)


def require_slices(contract: Contract, spec: Spec) -> None:
    """Raise SpecError when a slice names a column or a kind of value that no row has."""
    kinds = {column.name: column.kind for column in contract.columns}
    for part in spec.slices:
        kind = kinds.get(part.column)
        if kind is None:
            listed = ", ".join(contract.features[:10])
            raise SpecError(
                f"{spec.name}.toml: slice '{part.name}' names column '{part.column}', which the "
                f"rows do not have; the features start {listed}"
            )
        texts = any(isinstance(value, str) for value in part.values)
        if (kind is ColumnKind.CATEGORY) != texts:
            held, mend = _SLICED[kind]
            raise SpecError(
                f"{spec.name}.toml: slice '{part.name}': column '{part.column}' holds {held}: "
                f"name {mend}"
            )


def changed_contract(contract: Contract, spec: Spec, reason: str) -> Contract:
    """Return the next version of a contract, as the spec states now; `reason` is recorded in it.

    Raises ContractError when the spec selects other features or turns numbers into categories: the
    keys of all rows of history depend on those, so that would be another table.
    """
    fixed = [one.sentence for one in _differences(contract, spec) if one.is_of_keys]
    if fixed:
        raise ContractError(
            f"{'; '.join(fixed)}: the keys of every row rest on this. Copy the spec to a new name "
            "with these columns and drop the archived files again"
        )
    columns = tuple(_column(spec.data, column) for column in contract.columns)
    now = _under(spec, contract.version + 1, showable(reason), columns)
    return replace(now, spelling=contract.spelling, left_out=contract.left_out)


def require_agreement(contract: Contract, spec: Spec) -> None:
    """Raise ContractError when the spec states something that the contract does not."""
    lines = differences(contract, spec)
    if lines:
        raise ContractError(
            f"{spec.name}.toml and version {contract.version} of its contract differ: "
            f"{'; '.join(lines)}. Put the spec back, or change the contract: "
            f"./ratchet contract {spec.name} --change REASON"
        )


def differences(contract: Contract, spec: Spec) -> list[str]:
    """Return a line for each thing in which the spec differs from the contract."""
    return [one.sentence for one in _differences(contract, spec)]


def dumps(contract: Contract) -> str:
    """Return the contract as TOML."""
    fields = {key: value for key, value in asdict(contract).items() if value is not None}
    if not contract.left_out:  # which release 0.1.0 does not know
        del fields["left_out"]
    fields["columns"] = [_fields_of(column) for column in contract.columns]
    return tomli_w.dumps(fields)


def loads(text: str) -> Contract:
    """Read a contract from TOML; raises ContractError when it cannot be read."""
    try:
        fields = tomllib.loads(text)
        columns = tuple(_read_column(column) for column in fields.pop("columns"))
        fields = {"id": None} | _tupled(fields)
        # No row has these columns, so it is of no account how an older release kept their names.
        fields |= {key: name_of(fields[key]) for key in ("target", "id") if fields[key]}
        return Contract(**fields, columns=columns)
    except (ValueError, TypeError, KeyError) as error:
        raise ContractError(f"the contract cannot be read: {reason_of(error)}") from error


def _under(spec: Spec, version: int, since: str, columns: tuple[Column, ...]) -> Contract:
    data, rule = spec.data, spec.split
    return Contract(
        version=version,
        since=since,
        target=data.target,
        positive=data.positive,
        negative=data.negative,
        id=data.id,
        holdout=rule.holdout,
        salt=rule.salt,
        columns=columns,
        spelling=SPELLING,
        problem=spec.problem,
    )


def _column(data: Data, column: Column) -> Column:
    """Return a column as the spec states it now; gaps it has had stay allowed unless forbidden."""
    name = column.name
    missing = data.may_be_missing(name) or (column.missing and not data.must_be_there(name))
    stated = data.notation_of(name) if column.kind is ColumnKind.NUMBER else None
    return replace(
        column,
        missing=missing,
        accepted=data.accepted_range(name),
        notation=column.notation if stated is None else stated,
    )


@dataclass(frozen=True)
class _Difference:
    """Something in which a spec differs from a contract."""

    sentence: str
    is_of_keys: bool = False
    """Whether the keys of all rows rest on it: no new version of the contract may have it."""


def _differences(contract: Contract, spec: Spec) -> Iterator[_Difference]:
    now = _under(spec, 0, "", ())
    for field in ("problem", "target", "positive", "negative", "id", "holdout", "salt"):
        was, says = getattr(contract, field), getattr(now, field)
        if was != says or type(was) is not type(says):
            yield _Difference(f"{field} was {_shown(was)} and is {_shown(says)}", field == "id")
    for column in contract.columns:
        if (reason := _other_keys(column, spec.data)) is not None:
            yield _Difference(reason, is_of_keys=True)
        if spec.data.selects(column.name) or is_index(column.name):
            yield from map(_Difference, _column_differences(column, spec.data))


def _other_keys(column: Column, data: Data) -> str | None:
    """Return why rows would have other keys with a column as the spec states it; None if not."""
    # Release 0.1.0 read the index that pandas writes as a feature; such a table keeps it.
    if not data.selects(column.name) and not is_index(column.name):
        return f"column {column.name} is no feature any more"
    category = data.is_category(column.name)
    if category is not None and category != (column.kind is ColumnKind.CATEGORY):
        return f"column {column.name} was of kind {column.kind}"
    return None


def _column_differences(column: Column, data: Data) -> Iterator[str]:
    if data.may_be_missing(column.name) and not column.missing:
        yield f"{column.name} may be missing"
    if data.must_be_there(column.name) and column.missing:
        yield f"{column.name} may no longer be missing"
    stated = data.notation_of(column.name)
    if stated is not None and column.kind is ColumnKind.NUMBER and stated != column.notation:
        yield f"the notation of {column.name} is another"
    if data.accepted_range(column.name) != column.accepted:
        ends = data.accepted_range(column.name)
        now = f"{ends[0]:g} to {ends[1]:g}" if ends else "open"
        yield f"the accepted range of {column.name} is {now}"


def _fields_of(column: Column) -> dict[str, Any]:
    fields = asdict(column) | {"notation": column.notation.told}
    return {key: value for key, value in fields.items() if value not in (None, (), {})}


def _read_column(fields: dict[str, Any]) -> Column:
    notation = read_notation(fields.pop("notation", {}))
    kind = fields.pop("kind")
    if kind not in [*ColumnKind]:
        raise ValueError(f"a column is of a kind that is none of {', '.join(ColumnKind)}")
    return Column(**_tupled(fields), kind=ColumnKind(kind), notation=notation)


def _shown(value: Any) -> str:
    """Return a value as a person writes it in TOML."""
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value))
    if isinstance(value, str):
        return f"'{value}'"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tupled(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()
    }
