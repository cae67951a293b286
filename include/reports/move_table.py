"""The champion moves as a table for a terminal, in 80 columns where it is no wider."""

import textwrap
from collections.abc import Iterable, Iterator

from include.records.moves import Move
from include.text.showable import showable_name

_INDENT = 5
_NARROWEST = 60
"""Columns that the table takes at least."""


def rows(moves: Iterable[Move], columns: int) -> Iterator[str]:
    """Yield the lines: number, time, kind, versions and person of each move, its reason below."""
    width = max(columns, _NARROWEST)
    yield _row(("#", "when (UTC)", "what", "version", "by, and why"), width)
    for move in moves:
        change = f"{move.before or 'none'} > {move.version or 'none'}"
        when = f"{move.at[:10]} {move.at[11:16]}"
        who = showable_name(move.by) or "unknown"
        yield _row((str(move.number), when, str(move.kind), change, who), width)
        indent = " " * _INDENT
        why = showable_name(move.reason) or "no reason given"
        yield from textwrap.wrap(why, width, initial_indent=indent, subsequent_indent=indent)


def _row(cells: tuple[str, str, str, str, str], width: int) -> str:
    number, when, what, change, who = cells
    start = f"{number:>3}  {when:<16}  {what:<10}  {change:<9}  "
    first, *rest = textwrap.wrap(who, width - len(start)) or [""]
    return "\n".join([start + first, *(" " * len(start) + line for line in rest)])
