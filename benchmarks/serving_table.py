"""The tables of the serving benchmark, and what its figures are held to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

from benchmarks.serving_contenders import MLSERVER, PAIR, RATCHET
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
_BARE_SHARE = 0.35


@dataclass(frozen=True)
class Target:
    """A figure and what it is held to; a figure is None where it could not be measured."""

    name: str
    target: str
    figure: float | None
    """Of one process, against MLServer with one worker: what the target was set from."""
    pair: float | None = None
    """Of two workers, against the same: MLServer with a worker is two processes too."""
    strict: float | None = None
    """Of one process, against the faster of both MLServers."""
    is_met: bool = False


def targets(figures: Figures) -> list[Target]:
    """Return every target with its figures."""
    held = []
    for work, least in _AT_LEAST:
        one = _held(figures, work, f"times >= {least:g}")
        held.append(replace(one, is_met=_reaches(one.figure, least)))
    less = _held(figures, _BUSY, "p99 < 0.33 of it", _delay)
    held.append(replace(less, is_met=less.figure is not None and less.figure < 1 / 3))
    ours, bare = figures.get((RATCHET, _BUSY)), figures.get((BARE, _BUSY))
    part = ours.per_second / bare.per_second if ours and bare else None
    wanted = f"share of the bare loop >= {_BARE_SHARE}"
    return [*held, Target(_BUSY, wanted, part, is_met=_reaches(part, _BARE_SHARE))]


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
    if held:
        console.print(_held_table(held))


def _held_table(held: list[Target]) -> Table:
    table = Table("against MLServer with batching", "target", RATCHET, "", PAIR, "strict")
    for one in held:
        shown = [
            "" if figure is None else f"{figure:.2f}"
            for figure in (one.figure, one.pair, one.strict)
        ]
        table.add_row(one.name, one.target, shown[0], "met" if one.is_met else "MISSED", *shown[1:])
    return table


def _held(
    figures: Figures, work: str, target: str, compared: Callable[[Load, Load], float] | None = None
) -> Target:
    def against(ours: str, peer: Load | None) -> float | None:
        load = figures.get((ours, work))
        return (compared or _times)(load, peer) if load and peer else None

    usual = figures.get((MLSERVER[0], work))
    strict = against(RATCHET, fastest_mlserver(figures, work))
    return Target(work, target, against(RATCHET, usual), against(PAIR, usual), strict)


def _reaches(figure: float | None, least: float) -> bool:
    return figure is not None and figure >= least


def _times(ours: Load, peer: Load) -> float:
    return ours.per_second / peer.per_second


def _delay(ours: Load, peer: Load) -> float:
    return ours.p99_ms / peer.p99_ms


def _place(item: tuple[tuple[str, str], Load]) -> tuple[int, str, float]:
    (_, work), load = item
    known = [name for name, _ in _AT_LEAST]
    return known.index(work) if work in known else len(known), work, -load.per_second
