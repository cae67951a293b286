"""Checks that a file has the columns it should have, of kinds that can be read."""

import json
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches

from include.errors import FileRefusedError
from include.formats.parsed_table import ColumnContent, ParsedTable
from include.records.row_columns import ID, OWN_COLUMNS
from include.spec.contract import Column, ColumnKind, Contract
from include.spec.data_spec import Data
from include.text.nearest import suggestion
from include.text.showable import showable_name

_SHOWN = 5
"""Names that a message lists at most."""


def require_columns(columns: Sequence[str], data: Data, contract: Contract | None) -> None:
    """Raise FileRefusedError for columns that are missing, repeated or cannot be stored."""
    require_unique(columns)
    if data.target not in columns:
        raise FileRefusedError(_without_target(columns, data.target))
    if contract is None:
        _require_usable(data.feature_columns(tuple(columns)), data)
        return
    if contract.row_id is not None and contract.row_id not in columns:
        raise FileRefusedError(
            f"there is no column {contract.row_id}, which names the rows (`id` in the spec): by it "
            "a row is known that comes again, or that corrects an earlier one"
        )
    require_features(columns, data, contract)


def require_unique(columns: Sequence[str]) -> None:
    """Raise FileRefusedError for columns that have one name, or none."""
    repeated = sorted(name for name, times in Counter(columns).items() if times > 1)
    if repeated == [""]:
        raise FileRefusedError("the header has more than one column without a name")
    if repeated:
        raise FileRefusedError(f"the header names {first_names(repeated)} more than once")


def require_features(columns: Sequence[str], data: Data, contract: Contract) -> None:
    """Raise FileRefusedError when features are missing that the contract does not let be."""
    missing = [
        column.name
        for column in contract.columns
        if column.name not in columns and not column.missing
    ]
    if missing:
        known = {*contract.features, *contract.left_out, data.target, data.id}
        extra = [name for name in columns if name not in known and data.selects(name)]
        new = f"; new are {first_names(extra)}: where one was renamed, give it its old name"
        raise FileRefusedError(
            f"{len(missing)} of {len(contract.features)} feature columns are missing: "
            f"{first_names(missing)}{new * bool(extra)}"
        )


def _without_target(columns: Sequence[str], target: str) -> str:
    shown = ", ".join(map(showable_name, columns[:_SHOWN]))
    problem = f"no target column '{target}'; the header starts {shown}"
    by_letters = {name.strip().casefold(): name for name in reversed(columns) if name.strip()}
    near = get_close_matches(target.strip().casefold(), by_letters, 1)
    if not near:
        return problem
    meant = showable_name(by_letters[near[0]])
    return (
        f"{problem}{suggestion(meant)} Call it {target} in the file, or write target = "
        f"{json.dumps(meant, ensure_ascii=False)} under [data] in the spec"
    )


def require_values(features: Sequence[str], target: str, table: ParsedTable) -> None:
    """Raise FileRefusedError for columns of a type that holds no values that can be read."""
    if table.kinds is None:
        return
    require_target_kind(table, target)
    odd = [name for name in features if table.kinds[name] is None]
    if odd:
        raise FileRefusedError(
            f"neither numbers nor text is in the columns {first_names(odd)}: write them as one of "
            "these, or `exclude` them in the spec"
        )


def require_none_renamed(absent: Sequence[str], extra: Sequence[str]) -> None:
    """Raise FileRefusedError when columns are absent and others are new: perhaps renamed.

    A column that is only absent is missing in every row; one that is only new is not read.
    """
    if absent and extra:
        raise FileRefusedError(
            f"there is no column {first_names(absent)}, and the columns {first_names(extra)} are "
            "new: if one was renamed, give it its old name; if not, leave the new ones "
            "out or send the old ones empty"
        )


def require_kinds(table: ParsedTable, contract: Contract) -> None:
    """Raise FileRefusedError when a column's type cannot be of the kind in the contract.

    Any value that has a spelling can be a category, and a text can be a number, row by row; a date
    can be nothing but a date.
    """
    if table.kinds is None:
        return
    held = {
        column.name: table.kinds[column.name]
        for column in contract.columns
        if table.has(column.name)
    }
    wrong = [
        f"{column.name} holds {_WORDS[held[column.name]]} where {_expected(column)} should be"
        for column in contract.columns
        if column.name in held and not _fits(held[column.name], column)
    ]
    if wrong:
        raise FileRefusedError(first_names(wrong))


def require_target_kind(table: ParsedTable, target: str) -> None:
    """Raise FileRefusedError when the type of the target holds no labels."""
    if table.kinds and table.kinds[target] in {None, ColumnContent.DATE}:
        raise FileRefusedError(f"the target {target} holds neither numbers nor text")


def _fits(held: ColumnContent | None, column: Column) -> bool:
    if held is None:
        return False
    if held is ColumnContent.DATE:
        return column.kind is ColumnKind.NUMBER and bool(column.notation.date)
    return True


def _expected(column: Column) -> str:
    if column.kind is ColumnKind.CATEGORY:
        return "text"
    return "dates" if column.notation.date else "numbers"


_WORDS: dict[ColumnContent | None, str] = {
    ColumnContent.DATE: "dates",
    None: "neither numbers nor text",
}


def _require_usable(names: tuple[str, ...], data: Data) -> None:
    if not names:
        patterns = ", ".join(data.features)
        raise FileRefusedError(f"no column matches the feature patterns of the spec: {patterns}")
    # The table compares column names without case.
    times = Counter(name.casefold() for name in names)
    own = OWN_COLUMNS if data.id is None else OWN_COLUMNS | {ID}
    taken = [name for name in names if name.casefold() in own or times[name.casefold()] > 1]
    if taken:
        raise FileRefusedError(
            f"the table cannot hold feature columns named {first_names(taken)}: they differ only "
            "in case or are its own words. Rename them, or exclude them in the spec"
        )
    if "" in names:
        raise FileRefusedError(
            "a feature column has no name: name it, or exclude it in the spec as ''"
        )
    odd = [name for name in names if not name.isprintable()]
    if odd:
        raise FileRefusedError(
            "feature columns have characters in their names that cannot be shown: "
            f"{first_names(odd)}. Rename them, or exclude them in the spec"
        )


def first_names(names: Sequence[str]) -> str:
    """Return the first names of a list, followed by `and more` where there are more."""
    shown = ", ".join(showable_name(name) or "one without a name" for name in names[:_SHOWN])
    return f"{shown} and more" if len(names) > _SHOWN else shown
