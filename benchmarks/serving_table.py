"""The tables of the serving benchmark, and what its figures are held to."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.serving_contenders import MLSERVER, RATCHET
from benchmarks.serving_load import Load

BARE = "Ratchet's own code, no HTTP"
Figures = Mapping[tuple[str, str], Load]
_AT_LEAST = (
    ("1 row, JSON, c=1", 12.0),
    ("1 row, JSON, c=16", 8.0),
    ("1 row, JSON, c=64", 7.0),
    ("1000 rows, JSON, c=4", 2.0),
    ("1 row, gRPC, c=16", 2.0),
)
_BUSY = "1 row, JSON, c=64"


@dataclass(frozen=True)
class Target:
    """A figure and what it is held to."""

    name: str
    target: str
    figure: float | None
    """None where it could not be measured."""
    is_met: bool


def targets(figures: Figures) -> list[Target]:
    """Return every target with its figure, against the faster of the two batching MLServers."""
    held = [_times(figures, work, least) for work, least in _AT_LEAST]
    ours, peer = figures.get((RATCHET, _BUSY)), fastest_mlserver(figures, _BUSY)
    share = ours.p99_ms / peer.p99_ms if ours and peer else None
    held.append(
        Target(f"{_BUSY}: p99 to MLServer's", "< 0.33", share, share is not None and share < 1 / 3)
    )
    bare = figures.get((BARE, _BUSY))
    part = ours.per_second / bare.per_second if ours and bare else None
    name = f"{_BUSY}: share of the bare loop"
    return [*held, Target(name, ">= 0.35", part, part is not None and part >= 0.35)]  # noqa: PLR2004 - the target itself


def fastest_mlserver(figures: Figures, work: str) -> Load | None:
    """Return the better of the two MLServers for a kind of load."""
    found = [figures[name, work] for name in MLSERVER if (name, work) in figures]
    return max(found, key=lambda load: load.per_second, default=None)


def show(console: Console, figures: Figures, held: list[Target]) -> None:
    """Print what was measured and what it is held to."""
    table = Table("load", "server", "requests/s", "p50 ms", "p99 ms", "x MLServer")
    work_before = ""
    for (name, work), load in sorted(figures.items(), key=_place):
        if work != work_before:
            table.add_section()
        peer = fastest_mlserver(figures, work)
        times = f"{load.per_second / peer.per_second:.2f}" if peer else ""
        delays = ["", ""] if name == BARE else [f"{load.p50_ms:.2f}", f"{load.p99_ms:.2f}"]
        table.add_row(
            "" if work == work_before else work, name, f"{load.per_second:,.0f}", *delays, times
        )
        work_before = work
    console.print(table)
    console.print(_held_table(held))


def _held_table(held: list[Target]) -> Table:
    table = Table("Ratchet against MLServer with batching", "target", "figure", "")
    for one in held:
        figure = "not measured" if one.figure is None else f"{one.figure:.2f}"
        table.add_row(one.name, one.target, figure, "met" if one.is_met else "MISSED")
    return table


def _times(figures: Figures, work: str, least: float) -> Target:
    ours, peer = figures.get((RATCHET, work)), fastest_mlserver(figures, work)
    times = ours.per_second / peer.per_second if ours and peer else None
    return Target(f"{work}: times", f">= {least:g}", times, times is not None and times >= least)


def _place(item: tuple[tuple[str, str], Load]) -> tuple[int, str, float]:
    (_, work), load = item
    known = [name for name, _ in _AT_LEAST]
    return known.index(work) if work in known else len(known), work, -load.per_second
