"""The recipe "a step" of CONTRIBUTING.md, followed: a rule, a record, a step and its task."""

import os
from pathlib import Path

import pytest

from tests.copied_tree import copied_tree, printed, with_line

RULE = '''
"""How much of what came is new."""


def greet(read: int, new: int) -> float:
    """Return the share of rows that are new, 0 without any row."""
    return new / read if read else 0.0
'''
RECORD = '''
"""A record of how much came."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Greeting:
    """How much of what came is new."""

    share: float
'''
STEP = '''
"""Says how much of what came is new. Reads only."""

from include.context.step_context import StepContext
from include.records.data import Intake
from include.records.greetings import Greeting
from include.stages import greet as greet_stage


def greet(context: StepContext, taken_in: Intake) -> Greeting:
    """Return how much of what came is new."""
    read = sum(batch.read for batch in taken_in.batches)
    new = sum(batch.new for batch in taken_in.batches)
    return Greeting(greet_stage.greet(read, new))
'''
TASK = '''

@stage_task()
def greet(spec_path: str, taken_in: Any) -> Any:
    """Say how much of what came is new."""
    return call("greet", spec_path, taken_in)
'''
USED = """
import os
from types import SimpleNamespace

import task_call
from airflow.dag_processing.dagbag import DagBag

from include.records.data import Batch, Intake
from include.records.packing import pack
from include.spec.spec_files import read_spec
from pathlib import Path

bag = DagBag(dag_folder="dags")
assert bag.import_errors == {}, bag.import_errors
task = bag.dags["pulsars"].get_task("data.greet")
assert task.doc_md == "Say how much of what came is new.", task.doc_md
assert task.upstream_task_ids == {"data.split"}, task.upstream_task_ids
kept = {}
instance = SimpleNamespace(xcom_push=kept.__setitem__, try_number=1, task_id="data.greet")
task_call.get_current_context = lambda: {"ti": instance}
path = Path(os.environ["RATCHET_SPECS"], "pulsars.toml")
task_call.spec_of_run = lambda *_: read_spec(path)
came = Intake((Batch("a" * 64, "a.csv", read=4, new=3),), None)
assert task_call.call("greet", str(path), pack(came)) == {"share": 0.75}
assert set(kept["inside"]) == {"from", "to"}
print("greeted")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy what a task runs, with a step and its task more."""
    tree = copied_tree(tmp_path / "tree", "include", "serving", "dags", "plugins")
    (tree / "include/stages/greet.py").write_text(RULE)
    (tree / "include/records/greetings.py").write_text(RECORD)
    (tree / "include/steps/greet.py").write_text(STEP)
    with_line(
        tree / "include/steps/__init__.py",
        '        "plan": "plan",\n',
        '        "greet": "greet",\n',
    )
    tasks = tree / "dags/training_tasks.py"
    tasks.write_text(tasks.read_text() + TASK)
    flow = tree / "dags/continuous_training.py"
    with_line(flow, "    ingest,\n    plan,\n", "    greet,\n")
    with_line(flow, "    return taken_in, refusals(", "    greet(spec_path, taken_in)\n")
    return tree


def test_a_rule_a_record_a_step_and_a_task(tree: Path, spec_file: Path, tmp_path: Path) -> None:
    """It is in the graph behind what it needs, and hands its record on as JSON.

    In a process of its own, for the Dags are those of the copy.
    """
    places = {
        "PYTHONPATH": os.pathsep.join(str(tree / name) for name in ("", "dags", "plugins")),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(tree / "plugins"),
        "RATCHET_SPECS": str(spec_file.parent),
        "RATCHET_HOME": str(tmp_path / "home"),
    }
    assert printed(tree, USED, **places).endswith("greeted")
