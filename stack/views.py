"""What a person sees of a stack: the start as it goes, the table of components, the logs."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from include.context.running_stack import since_boot
from stack.client import Progress, components_of
from stack.health import healthy_components
from stack.processes import marked_processes, memory
from stack.state import Condition, StackState

_COLOURS = {
    Condition.HEALTHY: "green",
    Condition.DONE: "green",
    Condition.FAILED: "red",
    Condition.RESTARTING: "red",
}


class PipedConsole(Console):
    """A console whose command goes on to its end, in silence, when nobody reads on.

    As in `make status | head`; rich would end the program with code 1, and a stack that is
    starting with it.
    """

    def on_broken_pipe(self) -> None:
        """Write no more."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@dataclass(frozen=True)
class ComponentRow:
    """One component, as `make status` shows it."""

    component: str
    state: Condition
    pid: int
    uptime_seconds: float
    restarts: int
    memory_bytes: int
    """Of all its processes; pages they share are divided among them where the system tells."""
    processes: int


def rows_of(home: Path, state: StackState) -> list[ComponentRow]:
    """Return a row for every long-lived component and one for the supervisor."""
    sizes: dict[str, list[int]] = {}
    for one in marked_processes(home):
        sizes.setdefault(one.component, []).append(memory(one.process))
    words = components_of(state, healthy_components(state.components))
    now = since_boot()
    entries = [
        (one.name, words[one.name], one.pid, one.started, one.restarts)
        for one in state.components
        if not one.once
    ]
    entries.append(("supervisor", Condition.HEALTHY, state.supervisor, state.created, 0))
    return [
        ComponentRow(name, word, pid, now - started if pid else 0.0, restarts, sum(own), len(own))
        for name, word, pid, started, restarts in entries
        for own in [sizes.get(name, [])]
    ]


def as_json(rows: list[ComponentRow], urls: dict[str, str], states: Sequence[Any]) -> str:
    """Return the table for scripts, with what is not right, the totals and the addresses."""
    return json.dumps(
        {
            "healthy": is_healthy(rows) and not states,
            "findings": [asdict(one) for one in states],
            "components": [asdict(row) for row in rows],
            "memory_bytes": sum(row.memory_bytes for row in rows),
            "processes": sum(row.processes for row in rows),
            "urls": urls,
        },
        indent=1,
    )


def as_table(rows: list[ComponentRow]) -> Table:
    """Return the table for people, with the totals below."""
    table = Table(show_footer=True, box=None, pad_edge=False)
    total = sum(row.memory_bytes for row in rows)
    table.add_column("component", "total")
    table.add_column("state")
    for header, footer in (
        ("pid", ""),
        ("uptime", ""),
        ("restarts", str(sum(row.restarts for row in rows))),
        ("processes", str(sum(row.processes for row in rows))),
        ("memory", _megabytes(total)),
    ):
        table.add_column(header, footer, justify="right")
    for row in rows:
        table.add_row(
            row.component,
            Text(row.state, style=_COLOURS.get(row.state, "yellow")),
            str(row.pid or "-"),
            _duration(row.uptime_seconds),
            str(row.restarts),
            str(row.processes),
            _megabytes(row.memory_bytes),
        )
    return table


def is_healthy(rows: list[ComponentRow]) -> bool:
    """Say whether every component works; a stack that is down has none."""
    return bool(rows) and all(row.state is Condition.HEALTHY for row in rows)


@contextmanager
def live_progress(console: Console) -> Iterator[Progress]:
    """Show what every component has come to while a stack starts.

    On a terminal the picture is redrawn in place; elsewhere every change is a line.
    """
    if console.is_terminal:
        with Live(console=console, refresh_per_second=8, transient=True) as live:
            yield lambda words: live.update(_picture(words))
        return
    yield _Changes(console).show


class _Changes:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._seen: dict[str, Condition] = {}

    def show(self, words: dict[str, Condition]) -> None:
        for name, word in words.items():
            if self._seen.get(name) != word and word is not Condition.WAITING:
                seconds = time.monotonic() - self._began
                self._console.print(f"{seconds:5.1f} s  {name:<17} {word}", highlight=False)
        self._seen = words


def _picture(words: dict[str, Condition]) -> Group:
    return Group(*(_line(name, word) for name, word in words.items()))


def _line(name: str, word: Condition) -> Text | Spinner:
    if word in _COLOURS:
        return Text.assemble(("● ", _COLOURS[word]), f"{name:<17} {word}")
    return Spinner("dots", f"{name:<17} {word}", style="yellow")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
