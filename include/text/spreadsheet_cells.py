"""Cells of a CSV file for people, so that no spreadsheet runs what is in them.

A spreadsheet takes a cell that begins with one of a few characters for a formula, and a formula can
start programs and send data away. Such a cell gets an apostrophe in front, which a spreadsheet
shows as text and keeps. Numbers stay numbers. `restored` takes back exactly what `neutral` did.
"""

import re

_RUN = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
"""What begins a formula, and what is skipped before one; the last four are wide forms that some
spreadsheets take for the plain ones."""
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
_TO_MARK = re.compile(f"'*[{_RUN}]")
_MARKED = re.compile(f"'+[{_RUN}]")


def neutral(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    runs = _TO_MARK.match(cell) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if runs else cell


def restored(cell: str) -> str:
    """Return the cell that `neutral` was given."""
    return cell[1:] if _MARKED.match(cell) else cell
