"""Derives the contract from the first file: which columns are features, and their kinds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from include.errors import FileRefusedError
from include.formats.parsed_table import Chunk, ColumnContent, ParsedTable
from include.spec.contract import ColumnKind, Contract, first_contract
from include.spec.data_spec import Data, matches
from include.spec.model_spec import Spec
from include.stages.ingest.columns import require_columns, require_kinds, require_values
from include.stages.ingest.first_remarks import first_remarks
from include.stages.ingest.notations import notation_of, numeric_columns, plain_columns
from include.stages.ingest.parts import DeliverySource, named_id, typed_numbers, with_values
from include.stages.ingest.row_ids import id_remarks, proposed_ids
from include.text.nearest import nearest_name, suggestion
from include.text.numbers import as_text
from include.text.showable import showable_name
from serving.values.notation import PLAIN, Notation
from serving.values.spelling import SPELLING

MOST_CATEGORIES = 1_000
"""A text column with more distinct values, most of them in one row only, is refused as feature."""
_ALIKE = 0.5
"""Similarity from which a column name counts as a misspelling of a pattern, from 0 to 1."""
_TYPED: Mapping[ColumnContent, Notation] = {
    ColumnContent.NUMBER: PLAIN,
    ColumnContent.INTEGER: PLAIN,
    ColumnContent.TRUTH: Notation(boolean=True),
    ColumnContent.DATE: Notation(date="%Y-%m-%d"),
    ColumnContent.NOTHING: PLAIN,
}
"""How numbers of a typed column are written as text."""
_Shown = tuple[ColumnKind, Notation]


@dataclass(frozen=True)
class FirstFile:
    """A first file, read as far as its contract needs."""

    table: ParsedTable
    first_chunk: Chunk | None
    """Its first rows, None where it has none; `table` continues behind them."""
    contract: Contract
    remarks: tuple[str, ...]
    """Sentences on what its sender may not expect of how the file is read."""


def read_first(source: DeliverySource, spec: Spec) -> FirstFile:
    """Read the start of a first file, and more of it where a column has no value there.

    The contract is as the spec states, else as the file shows. Raises FileRefusedError for a text
    column whose values hardly ever repeat, or look like numbers in an ambiguous notation, and for a
    name in the spec that no column has.
    """
    columns = source.columns()
    if spec.data.target in columns:  # without it the file is another one altogether
        require_patterns(columns, spec.data)
    require_columns(columns, spec.data, None)
    selected = spec.data.feature_columns(columns)
    table, start = _started(source, selected)
    proposed = () if start is None else proposed_ids(start, selected, table.kinds or {}, spec)
    features = tuple(name for name in selected if name not in proposed)
    shown = _shown_by(source, features, start)
    numeric = set() if start is None else numeric_columns(start.frame.select(features))
    others = [name for name in features if name not in numeric]
    # Looking for spaces and marks of missing values costs as much again, and few columns have any.
    plain = set() if start is None else numeric | plain_columns(start.frame.select(others))
    kinds = {
        name: _shown(name, table, chunk, spec.data, is_plain=chunk is start and name in plain)
        for name, chunk in ((name, shown.get(name)) for name in features)
    }
    contract = first_contract(
        spec,
        {name: kind for name, (kind, _) in kinds.items()},
        "",
        {name: notation for name, (_, notation) in kinds.items()},
        proposed,
    )
    require_kinds(table, contract)
    remarks = *id_remarks(proposed), *first_remarks(columns, contract, spec.data, shown)
    return FirstFile(table, start, contract, remarks)


def _started(source: DeliverySource, features: tuple[str, ...]) -> tuple[ParsedTable, Chunk | None]:
    table = source.open()
    require_values(features, source.data.target, table)
    wanted = [*features, *named_id(source.data.id), source.data.target]
    return table, table.read(wanted, typed_numbers(features, table, source.data))


def _shown_by(
    source: DeliverySource, features: Sequence[str], start: Chunk | None
) -> dict[str, Chunk]:
    """Return, for each feature with a value in the file, the first rows in which it has one."""
    if start is None:
        return {}
    first_chunks = dict.fromkeys(with_values(start, features), start)
    if len(first_chunks) == len(features):
        return first_chunks
    table = source.open()
    while left := [feature for feature in features if feature not in first_chunks]:
        chunk = table.read(left, typed_numbers(left, table, source.data))
        if chunk is None:
            break
        first_chunks |= dict.fromkeys(with_values(chunk, left), chunk)
    return first_chunks


def require_patterns(columns: Sequence[str], data: Data) -> None:
    """Raise FileRefusedError when the spec names columns that the first file does not have.

    A misspelt name in `exclude` would let a leak in, and one in `features` would lose a feature.
    """
    wrong = [
        _misnamed(field, pattern, columns)
        for field, pattern in _patterns(data)
        if pattern and not any(matches(column, pattern) for column in columns)
    ]
    if wrong:
        raise FileRefusedError("; ".join(wrong))


def _misnamed(field: str, pattern: str, columns: Sequence[str]) -> str:
    near = nearest_name(pattern, columns, _ALIKE)
    sentence = (
        f"`{field}` of the spec names {showable_name(pattern)}, and no column of the first file"
    )
    return f"{sentence} is called so" + suggestion(near and showable_name(near))


def _patterns(data: Data) -> Iterator[tuple[str, str]]:
    fields: Mapping[str, Sequence[str]] = {
        "id": () if data.id is None else (data.id,),
        "features": [pattern_text for pattern_text in data.features if pattern_text != "*"],
        "exclude": data.exclude,
        "categorical": data.categorical or (),
        "missing": data.missing,
        "required": data.required,
        "notation": tuple(data.notation),
        "ranges": tuple(data.ranges),
    }
    return ((field, pattern) for field, patterns in fields.items() for pattern in patterns)


def _shown(
    name: str, table: ParsedTable, start: Chunk | None, data: Data, *, is_plain: bool
) -> _Shown:
    stated = data.notation_of(name)
    if data.is_category(name):
        return ColumnKind.CATEGORY, PLAIN
    if stated is not None:
        return ColumnKind.NUMBER, stated
    held = None if table.kinds is None else table.kinds[name]
    if held is not None and held in _TYPED:
        return ColumnKind.NUMBER, _TYPED[held]
    if start is None:
        is_text = held is ColumnContent.CATEGORY and data.is_category(name) is None
        return ColumnKind.CATEGORY if is_text else ColumnKind.NUMBER, PLAIN
    notation = PLAIN if is_plain else notation_of(name, start.frame[name], start.lines)
    is_text = notation is None or (held is ColumnContent.CATEGORY and notation == PLAIN)
    if is_text and data.is_category(name) is None:
        _require_recurring(name, as_text(start.frame[name], SPELLING), start)
        return ColumnKind.CATEGORY, PLAIN
    return ColumnKind.NUMBER, notation or PLAIN


def _require_recurring(name: str, texts: pl.Series, start: Chunk) -> None:
    distinct = texts.n_unique()
    if distinct > MOST_CATEGORIES and 2 * distinct > texts.count():
        place = texts.is_not_null().arg_max() or 0
        raise FileRefusedError(
            f"column {showable_name(name)} holds texts that are hardly ever the same ({distinct} "
            f"in {texts.count()} rows), first on line {start.lines[place]}: "
            f"{showable_name(texts[place])}. Name it as `id` in the spec, or list it in `exclude`; "
            "if it really holds categories, list it in `categorical`"
        )
