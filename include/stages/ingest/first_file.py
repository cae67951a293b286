"""Derives the contract from the first file: which columns are features, and their kinds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl
from polars import selectors as cs

from include.errors import FileRefusedError
from include.formats.parsed_table import Chunk, Held, ParsedTable
from include.spec.contract import Contract, Kind, first
from include.spec.data_spec import Data, is_index, matches
from include.spec.model_spec import Spec
from include.stages.ingest.columns import require_columns, require_kinds, require_values
from include.stages.ingest.notations import as_stated, notation_of, plain_columns
from include.stages.ingest.numbers import as_number, as_text
from include.stages.ingest.parts import Source, typed_numbers, with_values
from include.text.nearest import nearest_name
from include.text.showable import showable_name
from serving.values.notation import PLAIN, Notation
from serving.values.spelling import SPELLING

MOST_CATEGORIES = 1_000
"""A text column with more distinct values, most of them in one row only, is refused as feature."""
_ALIKE = 0.5
"""Similarity from which a column name counts as a misspelling of a pattern, from 0 to 1."""
_TYPED: Mapping[Held, Notation] = {
    "number": PLAIN,
    "truth": Notation(boolean=True),
    "date": Notation(date="%Y-%m-%d"),
    "nothing": PLAIN,
}
"""How numbers of a typed column are written as text."""
_FEWEST_COUNTED = 20
"""Rows from which a column of 1, 2, 3 ... is taken for a row number."""
_LIKE_WHOLE = r"^\s*(?:[-+]?\d+(?:\.0*)?)?\s*$"
_LEADING_ZERO = r"^[-+]?0\d+$"
_DAY_IN_DIGITS = r"^(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])$"
_Shown = tuple[Kind, Notation]


@dataclass(frozen=True)
class First:
    """A first file, read as far as its contract needs."""

    table: ParsedTable
    first_chunk: Chunk | None
    """Its first rows, None where it has none; `table` continues behind them."""
    contract: Contract
    remarks: tuple[str, ...]
    """Sentences on what its sender may not expect of how the file is read."""


def read_first(source: Source, spec: Spec) -> First:
    """Read the start of a first file, and more of it where a column has no value there.

    The contract is as the spec states, else as the file shows. Raises FileRefusedError for a text
    column whose values hardly ever repeat, or look like numbers in an ambiguous notation, and for a
    name in the spec that no column has.
    """
    columns = source.columns()
    if spec.data.target in columns:  # without it the file is another one altogether
        require_patterns(columns, spec.data)
    require_columns(columns, spec.data, None)
    features = spec.data.feature_columns(columns)
    table, start = _started(source, features)
    shown = _shown_by(source, features, start)
    plain = set() if start is None else plain_columns(start.frame.select(features))
    kinds = {
        name: _shown(name, table, chunk, spec.data, is_plain=chunk is start and name in plain)
        for name, chunk in ((name, shown.get(name)) for name in features)
    }
    contract = first(
        spec,
        {name: kind for name, (kind, _) in kinds.items()},
        "",
        {name: notation for name, (_, notation) in kinds.items()},
    )
    require_kinds(table, contract)
    remarks = (
        *_remarks(columns, contract, spec.data),
        *_doubtful_numbers(contract, shown, spec.data),
    )
    return First(table, start, contract, tuple(remarks))


def _started(source: Source, features: tuple[str, ...]) -> tuple[ParsedTable, Chunk | None]:
    table = source.opened()
    require_values(features, source.data.target, table)
    wanted = [*features, source.data.target]
    return table, table.read(wanted, typed_numbers(features, table, source.data))


def _shown_by(source: Source, features: Sequence[str], start: Chunk | None) -> dict[str, Chunk]:
    """Return, for each feature with a value in the file, the first rows in which it has one."""
    if start is None:
        return {}
    first_chunks = dict.fromkeys(with_values(start, features), start)
    if len(first_chunks) == len(features):
        return first_chunks
    table = source.opened()
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
    return f"{sentence} is called so" + (f"; did you mean {showable_name(near)}?" if near else "")


def _remarks(columns: Sequence[str], contract: Contract, data: Data) -> Iterator[str]:
    """Yield a sentence for each decision on columns that its sender may not expect."""
    left_out = [name for name in columns if is_index(name) and not data.selects(name)]
    if left_out:
        names = ", ".join(showable_name(name) or "one without a name" for name in left_out)
        yield f"left out as an index that a program wrote, not a feature: {names}"
    for column in contract.columns:
        if column.notation != PLAIN and data.notation_of(column.name) is None:
            yield f"column {showable_name(column.name)} is read as {_described(column.notation)}"


def _doubtful_numbers(contract: Contract, shown: Mapping[str, Chunk], data: Data) -> Iterator[str]:
    """Yield a sentence for each column whose plain numbers may mean something else."""
    columns = [
        column
        for column in contract.columns
        if column.name in shown
        and column.notation == PLAIN
        and not (data.is_category(column.name) or data.notation_of(column.name))
    ]
    suspects = _suspects([column.name for column in columns if column.kind == "number"], shown)
    for column in columns:
        values = shown[column.name].frame[column.name]
        if column.kind != "number" and values.dtype == pl.String:
            texts = values.drop_nulls().str.strip_chars()
            yield from _typed_as_text(showable_name(column.name), texts)
        elif column.name in suspects:
            yield from _said_of(showable_name(column.name), values.drop_nulls())


def _suspects(names: Sequence[str], shown: Mapping[str, Chunk]) -> set[str]:
    """Return the columns of numbers that are worth a look each.

    A look at every value of a wide file costs as much as reading it. Only whole numbers count rows,
    name things or are days, so the first few values decide which columns are looked at at all.
    """
    return {
        name
        for chunk in {id(shown[name]): shown[name] for name in names}.values()
        for name in _whole_at_first(chunk.frame.select(n for n in names if shown[n] is chunk))
    }


def _whole_at_first(frame: pl.DataFrame) -> list[str]:
    """Return the columns whose first values are whole numbers; missing values are passed over."""
    few = frame.head(_FEWEST_COUNTED)
    whole = few.select(
        cs.string().str.contains(_LIKE_WHOLE).all(), (~cs.string()).mod(1).eq(0).all()
    )
    return [name for name in frame.columns if whole[name].item()]


def _said_of(name: str, values: pl.Series) -> Iterator[str]:
    yield from _counting(name, values)
    if values.dtype == pl.String:
        yield from _odd_numbers(name, values.str.strip_chars())


def _counting(name: str, values: pl.Series) -> Iterator[str]:
    """Yield a sentence for a column that is the number of its row."""
    numbers = as_number(values)
    if len(numbers) < _FEWEST_COUNTED or numbers.null_count() or numbers[0] not in {0, 1}:
        return
    if bool((numbers.diff().drop_nulls() == 1).all()):
        yield (
            f"column {name} counts the rows ({numbers[0]:g}, {numbers[1]:g}, {numbers[2]:g} and "
            "so on), which tells nothing of later ones: list it in `exclude` or name it as `id`"
        )


def _odd_numbers(name: str, texts: pl.Series) -> Iterator[str]:
    zeros = texts.filter(texts.str.contains(_LEADING_ZERO))
    if len(zeros):
        yield (
            f"column {name}: {zeros[0]} is read as the number {float(zeros[0]):g}; if it is a "
            "name of something, list the column in `categorical` or in `exclude`"
        )
    elif len(texts) and texts.str.contains(_DAY_IN_DIGITS).all():
        yield (
            f"column {name}: {texts[0]} is read as a number, though it looks like a date; if "
            f'it is one, state "{name}" = {{ date = "%Y%m%d" }} under [data.notation]'
        )


def _typed_as_text(name: str, texts: pl.Series) -> Iterator[str]:
    """Yield a sentence for categories that are numbers, stored as texts in a typed file."""
    if len(texts) and not as_number(texts).null_count():
        yield (
            f"column {name} holds numbers such as {showable_name(texts[0])}, but the file has them "
            "as texts: they are categories; if they are numbers, state "
            f'"{name}" = {{ decimal = "." }} under [data.notation]'
        )


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
        return "category", PLAIN
    if stated is not None or start is None:
        return "number", stated or PLAIN
    held = None if table.kinds is None else table.kinds[name]
    if held in _TYPED:
        return "number", _TYPED[held]
    notation = PLAIN if is_plain else notation_of(name, start.frame[name], start.lines)
    is_text = notation is None or (held == "category" and notation == PLAIN)
    if is_text and data.is_category(name) is None:
        _require_recurring(name, as_text(start.frame[name], SPELLING), start)
        return "category", PLAIN
    return "number", notation or PLAIN


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


def _described(notation: Notation) -> str:
    if notation.boolean:
        return "true and false, 1 and 0"
    if notation.date:
        return f"dates such as {notation.date}, in days since 1970-01-01"
    return f"numbers with {as_stated(notation)}"
