"""What `python -m stack` does: each command says what it did and returns an exit code."""

import sys
import time
from collections import Counter

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from include.context.running_stack import Phase
from include.settings import Settings
from stack.client import running_stack, stop
from stack.follow import follow
from stack.preflight import make_folders
from stack.processes import MarkedProcess, marked_processes
from stack.state import logs_of, read_state
from stack.verdict import StatusFindings, code_of, findings
from stack.views import as_json, as_table, live_progress, rows_of

_PALETTE = ("cyan", "magenta", "green", "yellow", "blue", "red", "white")


def up(settings: Settings, console: Console) -> int:
    """Start the stack, wait until it is healthy and leave it running."""
    state = read_state(settings.home)
    if state and state.phase is Phase.RUNNING:
        console.print(f"Already running (supervisor pid {state.supervisor}).")
        _show_places(settings, state.urls, console)
        return 0
    began = time.monotonic()
    console.print(f"Starting in {settings.home}", highlight=False, soft_wrap=True)
    with live_progress(console) as progress, running_stack(settings, progress) as stack:
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
    """Show every component, and what is not right; the codes are those of `stack.verdict`."""
    last = read_state(settings.home)
    state = last if last is not None and last.phase is not Phase.STOPPED else None
    rows = rows_of(settings.home, state) if state else []
    found = findings(StatusFindings(settings, state, rows, marked_processes(settings.home)))
    if json:
        sys.stdout.write(as_json(rows, state.urls if state else {}, found) + "\n")
        return code_of(found)
    if state:
        console.print(as_table(rows))
        _show_places(settings, state.urls, console)
    for one in found:
        console.print(Text(one.sentence), soft_wrap=True)
    return code_of(found)


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
        if console.quiet:  # nobody reads on
            break
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


def _summary(swept: list[MarkedProcess]) -> str:
    counts = Counter(one.component for one in swept)
    return ", ".join(f"{name} ({number})" for name, number in sorted(counts.items()))
