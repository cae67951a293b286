"""What `python -m stack` does: each command says what it did and returns an exit code."""

import sys
import time
from collections import Counter

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from include.settings import Settings
from stack.client import running, stop
from stack.follow import follow
from stack.preflight import make_folders
from stack.processes import Marked, marked
from stack.state import logs_of, read_state
from stack.views import as_json, as_table, is_healthy, live_progress, rows_of

DEGRADED = 3

_PALETTE = ("cyan", "magenta", "green", "yellow", "blue", "red", "white")


def up(settings: Settings, console: Console) -> int:
    """Start the stack, wait until it is healthy and leave it running."""
    state = read_state(settings.home)
    if state and state.phase == "running":
        console.print(f"Already running (supervisor pid {state.supervisor}).")
        _show_places(settings, state.urls, console)
        return 0
    began = time.monotonic()
    console.print(f"Starting in {settings.home}", highlight=False, soft_wrap=True)
    with live_progress(console) as progress, running(settings, progress) as stack:
        stack.detach()
    console.print(f"Everything is healthy after {time.monotonic() - began:.0f} s.")
    state = read_state(settings.home)
    _show_places(settings, state.urls if state else {}, console)
    return 0


def down(settings: Settings, console: Console) -> int:
    """Stop the stack and whatever is left of an earlier one."""
    began = time.monotonic()
    swept = stop(settings.home)
    if swept is None:
        console.print(f"Nothing runs in {settings.home}.", highlight=False, soft_wrap=True)
        return 0
    console.print(f"Stopped everything in {time.monotonic() - began:.0f} s.")
    if swept:
        console.print(f"Without a supervisor, so killed: {_summary(swept)}.", soft_wrap=True)
    return 0


def status(settings: Settings, console: Console, *, json: bool) -> int:
    """Show every component; 0 when all work, 3 when the stack is down or degraded."""
    state = read_state(settings.home)
    alive = state is not None and state.phase != "stopped"
    rows = rows_of(settings.home, state) if state and alive else []
    addresses = state.urls if state and alive else {}
    if json:
        sys.stdout.write(as_json(rows, addresses) + "\n")
    elif rows:
        console.print(as_table(rows))
        _show_places(settings, addresses, console)
    else:
        left = len(marked(settings.home))
        console.print(
            f"Down, but {left} processes are left of it: `make down` ends them."
            if left
            else "Down. `make up` starts it."
        )
    return 0 if is_healthy(rows) else DEGRADED


def logs(settings: Settings, console: Console) -> int:
    """Print every component's log lines as they come, until Ctrl-C."""
    folder = logs_of(settings.home)
    if not list(folder.glob("*.log")):
        console.print(f"No logs in {folder}: nothing was ever started there.", soft_wrap=True)
        return 1
    colours: dict[str, str] = {}
    for name, line in follow(folder):
        colour = colours.setdefault(name, _PALETTE[len(colours) % len(_PALETTE)])
        text = Text.assemble((f"{name:<14} ", colour), line)
        console.print(text, soft_wrap=True, highlight=False)
    return 0


def _show_places(settings: Settings, addresses: dict[str, str], console: Console) -> None:
    landings = make_folders(settings)
    places = addresses | {
        "Landing": settings.landing,
        **{f"  {folder.name}": str(folder) for folder in landings},
        "Logs": str(logs_of(settings.home)),
    }
    width = max(map(len, places)) + 2
    for name, place in places.items():
        console.print(
            f"{name:<{width}}[bold]{escape(place)}[/bold]", highlight=False, soft_wrap=True
        )


def _summary(swept: list[Marked]) -> str:
    counts = Counter(one.component for one in swept)
    return ", ".join(f"{name} ({number})" for name, number in sorted(counts.items()))
