"""Whether a file has the columns that it should have, and what the first file's columns hold."""

from collections import Counter
from collections.abc import Collection, Sequence

import polars as pl

from include.contract import Contract, Kind
from include.errors import FileRefusedError
from include.formats import Chunk, Table
from include.showable import showable_name
from include.spec import Data
from include.stages.ingest.rows import MISSING, as_text

OWN_COLUMNS = frozenset({"line", "label", "key_high", "key_low", "side", "batch"})
"""Columns that a row gets beside its features, on its way and in the lake."""
MOST_CATEGORIES = 1_000
"""A column of texts with more distinct ones, most of them in one row only, is no feature."""
_SHOWN = 5


def require_columns(columns: Sequence[str], data: Data, contract: Contract | None) -> None:
    """Raise FileRefusedError when columns are missing, doubled or nothing the table can hold."""
    repeated = sorted(name for name, times in Counter(columns).items() if times > 1)
    if repeated == [""]:
        raise FileRefusedError("the header has more than one column without a name")
    if repeated:
        raise FileRefusedError(f"the header names {_listed(repeated)} more than once")
    if data.target not in columns:
        shown = ", ".join(map(showable_name, columns[:_SHOWN]))
        raise FileRefusedError(f"no target column '{data.target}'; the header starts {shown}")
    if contract is None:
        _require_usable(data.feature_columns(tuple(columns)), data)
        return
    missing = [name for name in contract.features if name not in columns]
    if missing:
        raise FileRefusedError(
            f"{len(missing)} of {len(contract.features)} feature columns are missing: "
            f"{_listed(missing)}"
        )


def kinds_of(
    features: Sequence[str], table: Table, start: Chunk | None, data: Data
) -> dict[str, Kind]:
    """Return what each feature holds: as the spec states, else as the start of the file shows.

    Raises FileRefusedError for a column of texts that are hardly ever the same.
    """
    numeric = _numeric(features, table, start)
    return {name: _kind(name, numeric, start, data) for name in features}


def require_values(features: Sequence[str], target: str, table: Table) -> None:
    """Raise FileRefusedError when the format says that a column holds nothing that is read."""
    if table.kinds is None:
        return
    if table.kinds[target] is None:
        raise FileRefusedError(f"the target {target} holds neither numbers nor text")
    odd = [name for name in features if table.kinds[name] is None]
    if odd:
        raise FileRefusedError(
            f"neither numbers nor text is in the columns {_listed(odd)}: write them as one of "
            "these, or `exclude` them in the spec"
        )


def require_kinds(table: Table, contract: Contract) -> None:
    """Raise FileRefusedError when the format says that a column is of another kind."""
    if table.kinds is None:
        return
    words = {"number": "numbers", "category": "text", None: "neither numbers nor text"}
    wrong = [
        f"{one.name} holds {words[table.kinds[one.name]]} where {words[one.kind]} should be"
        for one in contract.columns
        if table.kinds[one.name] != one.kind
    ]
    if wrong:
        raise FileRefusedError(_listed(wrong))


def _require_usable(found: tuple[str, ...], data: Data) -> None:
    if not found:
        patterns = ", ".join(data.features)
        raise FileRefusedError(f"no column matches the feature patterns of the spec: {patterns}")
    # The table tells names apart by their letters, not by their case.
    times = Counter(name.casefold() for name in found)
    taken = [name for name in found if name.casefold() in OWN_COLUMNS or times[name.casefold()] > 1]
    if taken:
        raise FileRefusedError(
            f"the table cannot hold feature columns named {_listed(taken)}: they differ only in "
            "case or are its own words. Rename them, or exclude them in the spec"
        )
    if "" in found:
        raise FileRefusedError(
            "a feature column has no name: name it, or exclude it in the spec as ''"
        )
    odd = [name for name in found if not name.isprintable()]
    if odd:
        raise FileRefusedError(
            f"feature columns have characters in their names that cannot be shown: {_listed(odd)}. "
            "Rename them, or exclude them in the spec"
        )


def _kind(name: str, numeric: Collection[str], start: Chunk | None, data: Data) -> Kind:
    stated = data.is_category(name)
    if stated is not None:
        return "category" if stated else "number"
    if start is None or name in numeric:
        return "number"
    _require_recurring(name, as_text(start.frame[name]))
    return "category"


def _numeric(features: Sequence[str], table: Table, start: Chunk | None) -> Collection[str]:
    """Return the features that hold numbers: as the format says, else mostly."""
    if table.kinds is not None:
        return {name for name in features if table.kinds[name] == "number"}
    return _mostly_numbers(start.frame.select(features)) if start else ()


def _mostly_numbers(texts: pl.DataFrame) -> Collection[str]:
    """Return the columns of texts of which at least half of what is not missing are numbers."""
    stripped = pl.all().str.strip_chars().fill_null("")
    number = stripped.cast(pl.Float64, strict=False).is_not_null()
    present = ~stripped.is_in(MISSING)
    numbers = texts.select((number & present).sum() * 2 >= present.sum()).row(0, named=True)
    return {name for name, holds_numbers in numbers.items() if holds_numbers}


def _require_recurring(name: str, texts: pl.Series) -> None:
    distinct = texts.n_unique()
    if distinct > MOST_CATEGORIES and 2 * distinct > texts.count():
        raise FileRefusedError(
            f"column {name} holds texts that are hardly ever the same ({distinct} in "
            f"{texts.count()} rows). Name it as `id` in the spec, or list it in `exclude`; if it "
            "really holds categories, list it in `categorical`"
        )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(showable_name, names[:_SHOWN]))
    return f"{shown} and more" if len(names) > _SHOWN else shown
