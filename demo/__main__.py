"""`python -m demo`: Santander-shaped deliveries land one after another and become a champion."""

import argparse
import os
import shutil
import sys
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import httpx
import numpy as np
import polars as pl
from rich.console import Console

from demo.airflow_api import Airflow
from demo.data import break_rows, drop, santander_rows
from demo.follow import Followed, Started, follow
from demo.free_ports import free_ports
from demo.telling import Teller, leaderboard, summary
from include.adapters.endpoint import Endpoint
from include.settings import PROJECT, Settings, read_settings
from include.spec.spec_files import read_spec
from serving.bundle import Layout
from stack.client import running_stack, urls
from stack.errors import StackError
from stack.processes import marked_processes
from stack.views import live_progress

DAG = "santander"
HOME = PROJECT / ".ratchet-demo"
MADE_HERE = ".made-by-the-demo"
ROWS = 40_000
SEED = 20261121


def main(arguments: list[str]) -> int:
    """Run the demo; 0 when every delivery ended as it should."""
    parser = argparse.ArgumentParser("demo", description="Show the main job end to end.")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows over all deliveries")
    parser.add_argument("--home", type=Path, default=HOME, help="where it keeps everything")
    options = parser.parse_args(arguments)
    console = Console(highlight=False)
    try:
        return _demo(options.rows, options.home.absolute(), console)
    except (StackError, TimeoutError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted: everything the demo had started is stopped.\n")
        return 130


def slices(rows: int) -> list[tuple[str, str]]:
    """Return the deliveries as (file name, CSV text): overlapping, one broken, one repeated."""
    frame = santander_rows(rows, SEED)
    cuts = (0, int(rows * 0.4), int(rows * 0.7), rows)
    overlap = rows // 40
    texts = [frame[max(start - overlap, 0) : end].write_csv() for start, end in pairwise(cuts)]
    broken, _ = break_rows(texts[2])
    return [
        ("monday.csv", texts[0]),
        ("tuesday.csv", texts[1]),
        ("wednesday_with_broken_rows.csv", broken),
        ("monday_again.csv", texts[0]),
    ]


def _demo(rows: int, home: Path, console: Console) -> int:
    began = time.monotonic()
    settings = _fresh_settings(home)
    console.print(f"[bold]Starting Airflow, MLflow and the server[/bold] in {settings.home}")
    with ExitStack() as stack:
        with live_progress(console) as progress:
            stack.enter_context(running_stack(settings, progress))
        console.print(f"Everything is healthy after {time.monotonic() - began:.0f} s.")
        for name, url in urls(settings).items():
            console.print(f"  {name:<20} {url}", soft_wrap=True)
        airflow = Airflow(settings.airflow_url)
        airflow.await_dag(DAG)
        stories = [
            (name, _deliver(name, text, airflow, settings, console)) for name, text in slices(rows)
        ]
        _ask(settings, console)
    console.print(summary(stories))
    seconds = time.monotonic() - began
    console.print(f"{rows:,} rows, {seconds:.0f} s in all; everything is stopped again.")
    console.print("To look around in what it left behind, with the same data and models:")
    console.print(f"  RATCHET_HOME={os.path.relpath(settings.home, PROJECT)} make up")
    return 0 if _as_expected(stories) else 1


def _fresh_settings(home: Path) -> Settings:
    """Free ports and an empty home, so that the demo runs beside any stack and starts clean."""
    if home.exists() and not (home / MADE_HERE).exists():
        raise StackError(f"{home} was not made by the demo; move it away and try again.")
    if marked_processes(home):
        raise StackError(f"A demo runs in {home}: wait for it, or end it with Ctrl-C.")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    (home / MADE_HERE).touch()
    return read_settings({"RATCHET_HOME": str(home)} | free_ports())


def _deliver(
    name: str, text: str, airflow: Airflow, settings: Settings, console: Console
) -> Followed:
    console.rule(f"[bold]{name}[/bold] lands in {DAG}/", align="left")
    known = airflow.run_ids(DAG)
    since = drop(Path(settings.landing_url(DAG)), name, text)
    with console.status("waiting for the landing folder's bell") as status:
        started = Started(airflow, DAG, airflow.await_new_run(DAG, known), since)
        run = follow(
            started,
            Teller(console, since).tell,
            lambda labels: status.update(f"running: {', '.join(labels) or 'between tasks'}"),
        )
    if any(run.results.get("select.screen") or []):
        console.print(leaderboard(run.results["select.screen"]))
    if run.skipped_because:
        console.print(f"  skipped: {run.skipped_because}")
    for task in run.tasks:
        if task.state == "failed":
            console.print(f"  [red]{task.label} failed[/red]: its log is in the Airflow UI")
    console.print(
        f"  {run.wall_seconds:.1f} s from drop to end, first task after "
        f"{run.first_task_seconds:.1f} s, Airflow's share {run.airflow_seconds:.1f} s"
    )
    return run


def _ask(settings: Settings, console: Console) -> None:
    """Ask the endpoint about rows that no model has seen."""
    spec = read_spec(settings.specs / f"{DAG}.toml")
    unseen = santander_rows(200, SEED + 1)
    features = unseen.select(pl.exclude("ID_code", "target"))
    endpoint = Endpoint(settings.serving_url, spec.model, settings.serving_key)
    answered = endpoint.replicas()[0].infer(Layout(tuple(features.columns)), features.rows())
    probability = np.array(answered.outputs["probability"])
    answer = httpx.get(f"{settings.serving_url}/v2/models/{spec.model}").json()
    console.rule("[bold]The endpoint answers[/bold]", align="left")
    console.print(f"  POST {settings.serving_url}/v2/models/{spec.model}/infer")
    console.print(
        f"  version {answered.version}, threshold {answer['parameters']['threshold']:.3f}"
    )
    for place in np.argsort(-probability)[[0, 1, 100, 198, 199]]:
        console.print(
            f"  {unseen['ID_code'][int(place)]:<22} probability {probability[place]:.3f}, "
            f"truth {unseen['target'][int(place)]}"
        )


def _as_expected(stories: list[tuple[str, Followed]]) -> bool:
    """Three deliveries reach a decision and an endpoint, the repeated one has nothing to do."""
    *trained, repeated = [run for _, run in stories]
    reached = all(run.state == "success" and run.results.get("serve") for run in trained)
    return reached and bool(repeated.skipped_because)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
