"""What a gate does in a year of nights: false promotions, luck that it keeps, gains that it sees.

Peers, on the same nights: promote on `F1_new >= F1_old`, as most templates do, and the paired
bootstrap at 95 % that does not count how often the holdout was looked at. `benchmarks/nights.py`
says how a night is made.
"""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import nights
from benchmarks.nights import Passes, Year, year

QUICK = bool(os.environ.get("QUICK"))
SEEDS = range(4) if QUICK else range(40)
IN_COMMON = {0.99: 0.86, 0.98: 0.80, 0.95: 0.71}
"""Correlation of two models' noise to the share of their positive calls that both make."""
AGREEMENTS = (nights.AGREEMENT,) if QUICK else tuple(IN_COMMON)
GATES: dict[str, Passes] = {
    "F1_new >= F1_old": nights.naive,
    "bootstrap, 95 %": nights.bootstrap,
    "Ratchet": nights.ratchet,
}
Played = dict[str, list[Year]]


def main() -> None:
    """Run the benchmark and print its tables and, last, one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--picture", type=Path, help="draw the nights into this file")
    asked = parser.parse_args()
    console = Console(highlight=False)
    figures: list[dict[str, Any]] = []
    for agreement in AGREEMENTS:
        played = {
            name: [year(seed, gate, agreement) for seed in SEEDS] for name, gate in GATES.items()
        }
        told = list(_figures(played, agreement))
        console.print(_table(told, agreement))
        if asked.picture and agreement == nights.AGREEMENT:
            _draw(played, asked.picture)
        figures += told
    print(json.dumps({"benchmark": "gate", "quick": QUICK, "years": len(SEEDS), "gates": figures}))


def _figures(played: Played, agreement: float) -> Iterator[dict[str, Any]]:
    for name, years in played.items():
        false = [len(one.promoted) for one in years]
        yield {
            "agreement": agreement,
            "gate": name,
            "false_promotions_a_year": float(np.mean(false)),
            "false_nights": float(np.mean(false)) / nights.NIGHTS,
            "worst_false_nights": max(false) / nights.NIGHTS,
            "overstated": float(np.mean([one.luck.mean() for one in years])),
            "overstated_at_the_end": float(np.mean([one.luck[-1] for one in years])),
            "early_power": float(np.mean([one.early_power for one in years])),
            "late_power": float(np.mean([one.late_power for one in years])),
        }


def _table(figures: list[dict[str, Any]], agreement: float) -> Table:
    title = (
        f"{len(SEEDS)} years of {nights.NIGHTS} equal challengers, "
        f"{IN_COMMON[agreement]:.0%} of their positive calls in common"
    )
    table = Table("", *(one["gate"] for one in figures), title=title)
    rows = {
        "false promotions a year": ("false_promotions_a_year", ".2f"),
        "share of nights": ("false_nights", ".2%"),
        "share of nights, worst year": ("worst_false_nights", ".2%"),
        "champion's F1 overstated, all nights": ("overstated", ".4f"),
        "champion's F1 overstated, last night": ("overstated_at_the_end", ".4f"),
        f"+{nights.GAIN} of F1 promoted, first look": ("early_power", ".1%"),
        f"+{nights.GAIN} of F1 promoted, after the year": ("late_power", ".1%"),
    }
    for label, (name, form) in rows.items():
        table.add_row(label, *(format(one[name], form) for one in figures))
    return table


def _draw(played: Played, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, (luck, falls) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for name, years in played.items():
        luck.plot(np.mean([one.luck for one in years], axis=0), label=name)
        nightly = np.mean([_until(one) for one in years], axis=0)
        falls.plot(nightly, label=name)
    luck.axhline(0.005, color="grey", linestyle=":", linewidth=1)
    luck.set(xlabel="night", ylabel="champion's F1 overstated by", ylim=0)
    falls.set(xlabel="night", ylabel="false promotions so far", ylim=0)
    falls.legend()
    figure.savefig(path)


def _until(year: Year) -> list[int]:
    """Return how many false promotions there were up to each night."""
    return [sum(at <= night for at in year.promoted) for night in range(nights.NIGHTS)]


if __name__ == "__main__":
    main()
