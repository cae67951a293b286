# ruff: noqa: INP001 - a script beside the documents whose pictures it takes, not a package
"""`python -m docs.screenshots`: make every picture of the documents anew that takes no benchmark.

Screenshots are of the stack that runs in RATCHET_HOME, if its demo's Dag has a run that trained;
else of what the demo left, which is run first where it never was. The rooms are drawn from the
imports. `nights.png` and `history.png` come out of the benchmarks of the gate and of history, which
take minutes (`make bench-gate PICTURE=...`).
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx

from demo import __main__ as demo
from demo.airflow_api import Airflow
from demo.free_ports import free_ports
from docs import rooms
from docs.browser import Page, View, browser
from include.context.running_stack import stack_runs, with_stack
from include.settings import PROJECT, Settings, home_of, read_settings
from stack.client import running_stack

DAG = "santander"
PICTURES = PROJECT / "docs" / "pictures"
GROUPS = ("data", "select")
NODES = ".react-flow__node"
LAST_TASK = "report"
TRAINING = "attributes.status = 'FINISHED' and tags.`ratchet.kind` = 'training'"
CURVE = "pictures/precision_recall.png"
WINDOW = (1300, 826)
NO_ASSISTANT = {"mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": True}
"""MLflow opens its assistant for whoever comes for the first time."""


def main(arguments: list[str]) -> int:
    """Take them of the newest run that trained."""
    parser = argparse.ArgumentParser("docs.screenshots", description="Make the pictures anew.")
    parser.add_argument("--home", type=Path, default=demo.HOME, help="what a demo left")
    rooms.PICTURE.write_text(rooms.drawn())
    with stack_to_show(parser.parse_args(arguments).home.absolute()) as settings:
        run_id = trained(Airflow(settings.airflow_url))
        if not run_id:
            sys.stderr.write(f"No run of {DAG} has trained in {settings.home}.\n")
            return 1
        with browser() as page:
            for name, take in screenshots(settings, run_id).items():
                take(page, PICTURES / name)
                sys.stdout.write(f"docs/pictures/{name}\n")
    return 0


@contextmanager
def stack_to_show(home: Path) -> Iterator[Settings]:
    """Yield the settings of the stack that runs, or of the demo's, which is stopped afterwards."""
    if stack_runs(home_of(os.environ)):
        yield read_settings(with_stack())
        return
    if not (home / demo.MADE_HERE).exists() and demo.main(["--home", str(home)]):
        raise SystemExit("The demo did not end as it should: there is nothing to take pictures of.")
    settings = read_settings({"RATCHET_HOME": str(home)} | free_ports())
    with running_stack(settings):
        Airflow(settings.airflow_url).await_dag(DAG)
        yield settings


def trained(airflow: Airflow) -> str:
    """Return the newest run of the Dag that came to serve a champion; empty if there is none."""
    for run_id in airflow.run_ids(DAG):
        ended = {task.name: task.state for task in airflow.tasks(DAG, run_id)}
        if ended.get("serve") == "success":
            return run_id
    return ""


def screenshots(settings: Settings, run_id: str) -> dict[str, Callable[[Page, Path], None]]:
    """Return how each picture is taken, by its name."""
    dag = f"{settings.airflow_url}/dags/{DAG}"
    run = _mlflow_run(settings)
    groups = {f"{DAG}/open-groups": GROUPS}
    graph = View(f"{dag}/runs/{run_id}", (2600, 900), 2, groups | {"default_dag_view": "graph"})
    grid = View(dag, (836, 760), remembered=groups | {"default_dag_view": "grid"})
    endpoint = View(f"{settings.serving_url}/docs", (1200, 800))
    as_training = "workflowType=machine_learning"
    return {
        "graph.png": lambda page, file: _take_nodes(page, graph, file),
        "grid.png": lambda page, file: _take_grid(page, grid, file),
        "run.png": lambda page, file: _take(
            page,
            View(f"{run}?{as_training}", WINDOW, remembered=NO_ASSISTANT),
            f"{_TEXT}.includes('Metrics (')",
            file,
        ),
        "mlflow.png": lambda page, file: _take(
            page,
            View(f"{run}/artifacts/{quote(CURVE)}?{as_training}", (1300, 600), 1, NO_ASSISTANT),
            "[...document.images].some(one => one.naturalWidth > 300)",
            file,
        ),
        "endpoint.png": lambda page, file: _take(
            page, endpoint, f"{_TEXT}.includes('infer')", file
        ),
    }


_TEXT = "document.body.innerText"


def _take(page: Page, view: View, there: str, file: Path) -> None:
    """Take a whole window, once an expression is true in it."""
    page.open(view)
    page.wait(there)
    page.take(file)


def _take_grid(page: Page, view: View, file: Path) -> None:
    """Take the grid of runs, without the details beside it."""
    page.open(view)
    page.wait(f"{_TEXT}.includes('{LAST_TASK}')")
    page.press('[aria-label="Collapse Details Panel"]')
    page.take(file)


def _take_nodes(page: Page, view: View, file: Path) -> None:
    """Take a graph as far as it reaches."""
    page.open(view)
    nodes = f"[...document.querySelectorAll('{NODES}')]"
    page.wait(f"{nodes}.some(one => one.innerText.includes('{LAST_TASK}'))")
    page.take(file, page.around(NODES))


def _mlflow_run(settings: Settings) -> str:
    """Return the address of the newest training in MLflow."""
    api = f"{settings.registry_url}/api/2.0/mlflow"
    named = httpx.get(f"{api}/experiments/get-by-name", params={"experiment_name": DAG}, timeout=60)
    experiment = named.raise_for_status().json()["experiment"]["experiment_id"]
    asked = {"experiment_ids": [experiment], "filter": TRAINING, "max_results": 1}
    found = httpx.post(f"{api}/runs/search", json=asked, timeout=60).raise_for_status().json()
    run = found["runs"][0]["info"]["run_id"]
    return f"{settings.registry_url}/#/experiments/{experiment}/runs/{run}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
