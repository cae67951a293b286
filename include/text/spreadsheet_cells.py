"""Neutralises cells of CSV files for people, so that no spreadsheet runs them as formulas.

A spreadsheet takes a cell that begins with one of a few characters for a formula, and a formula can
start programs and send data away. Such a cell gets an apostrophe in front, which spreadsheets treat
as the mark of text. Numbers stay as they are. `restored_cell` undoes exactly what `neutral_cell`
did.
"""

import re

_RUN = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
"""Characters that begin a formula, or are skipped before one; the last four are wide forms that
some spreadsheets treat as the plain ones."""
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
_TO_MARK = re.compile(f"'*[{_RUN}]")
_MARKED = re.compile(f"'+[{_RUN}]")


def neutral_cell(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    runs = _TO_MARK.match(cell) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if runs else cell


def restored_cell(cell: str) -> str:
    """Return the cell that `neutral_cell` was given."""
    return cell[1:] if _MARKED.match(cell) else cell
