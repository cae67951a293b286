"""A composed stack goes back to what it was when it was backed up, in the middle of a run.

The tests tell one story in their order.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.data import pulsar_rows
from demo.specs import PULSARS
from tests.containers.clean_copy import copy_of_the_project
from tests.containers.composed import Begun, Composed, composed, until
from tests.containers.engine import Docker

FIRST, SECOND = (pulsar_rows(3000, seed=seed) for seed in (1, 2))
ASKED = [list(row) for row in FIRST.drop("class").head(2).rows()]


@pytest.fixture(scope="module")
def stack(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """Return a stack of this module's own, for its data are replaced."""
    copy = copy_of_the_project(tmp_path_factory.mktemp("clone"))
    with composed(docker, copy) as stack:
        later = PULSARS.replace('"pulsars"', '"later"')
        (Path(stack.variables["RATCHET_SPECS"]) / "later.toml").write_text(later)
        stack.up("--scale", "serving=2")
        yield stack


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the backup goes."""
    return tmp_path_factory.mktemp("backups") / "one"


@pytest.fixture(scope="module")
def under_way(stack: Composed, folder: Path) -> Begun:
    """Return a run that went on when the backup was made; after it the stack moved on."""
    stack.airflow().await_dag("pulsars", patience_seconds=120)
    assert stack.deliver("pulsars", "first.csv", FIRST).state == "success"
    begun = stack.begin("pulsars", "second.csv", SECOND)
    begun.await_task("select.screen")
    ended = made(stack, "backup", f"TO={folder}")
    assert ended.returncode == 0, ended
    assert f"{folder} is a backup" in ended.stdout
    later = stack.begin("later", "first.csv", FIRST)
    assert begun.end().state == "success"
    assert later.end().state == "success"
    assert stack.ask("later", ASKED).status_code == 200
    run = stack.press("pulsars", no_new_data="retrain", force=True, note="after the backup")
    assert run.state == "success", run
    assert served(stack) not in {None, "1"}
    return begun


def made(stack: Composed, target: str, *said: str) -> "subprocess.CompletedProcess[str]":
    """Run one of the make targets for the stack."""
    return subprocess.run(
        ["make", "--silent", target, f"PYTHON={sys.executable}", *said],
        cwd=stack.folder,
        env={**os.environ, **stack.variables},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


def served(stack: Composed) -> str | None:
    """Return the champion, which every replica answers with."""
    champion = stack.champion("pulsars")
    answers = {stack.ask("pulsars", ASKED).json()["model_version"] for _ in range(8)}
    assert answers == {champion}
    return champion


def test_a_backup_tells_what_is_in_it(under_way: Begun, folder: Path) -> None:
    """Its manifest names the images, counts the buckets, and nothing else is there."""
    assert under_way
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {one["name"] for one in manifest["images"]} >= {"ratchet:test", "ratchet-serving:test"}
    assert set(manifest["buckets"]) >= {"lake", "mlflow"}
    assert {path.name for path in folder.iterdir()} == {*manifest["files"], "manifest.json"}


def test_data_are_not_replaced_unasked(stack: Composed, under_way: Begun, folder: Path) -> None:
    """Without FORCE=1 a stack with data is left as it is, and runs on."""
    assert under_way
    before = served(stack)
    ended = made(stack, "restore", f"FROM={folder}")
    assert ended.returncode != 0
    assert "which would be gone: FORCE=1 says so" in ended.stderr
    assert served(stack) == before


def test_a_damaged_backup_is_refused(
    stack: Composed, under_way: Begun, folder: Path, tmp_path: Path
) -> None:
    """A byte was lost on the way: nothing of the stack is touched, forced or not."""
    assert under_way
    before = served(stack)
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    with (damaged / "buckets.tar").open("r+b") as file:
        file.truncate((damaged / "buckets.tar").stat().st_size - 1)
    ended = made(stack, "restore", f"FROM={damaged}", "FORCE=1")
    assert ended.returncode != 0
    assert "buckets.tar is not what was written" in ended.stderr
    assert served(stack) == before


def test_what_was_backed_up_comes_back(stack: Composed, under_way: Begun, folder: Path) -> None:
    """Champion, rows and answers are those of the backup, on as many replicas as there were."""
    assert under_way
    ended = made(stack, "restore", f"FROM={folder}", "FORCE=1")
    assert ended.returncode == 0, ended
    assert "pulsars: champion 1, and the servers answer with it" in ended.stdout
    assert len(stack.containers("serving")) == 2
    assert served(stack) == "1"
    # A model of after the backup is not there, and not answered for.
    assert stack.champion("later") is None
    assert {stack.ask("later", ASKED).status_code for _ in range(8)} == {404}
    assert sum(stack.rows_in_the_lake("pulsars").values()) == 6000


def test_the_run_that_was_under_way_ends(stack: Composed, under_way: Begun) -> None:
    """It is found half done, as after a crash, and done again, with no row twice."""
    run = under_way.started
    airflow = stack.airflow()

    def state() -> str:
        return airflow.run_state("pulsars", run.run_id)

    until(lambda: state() in {"success", "failed"}, "the restored run ended", 600)
    assert state() == "success"
    assert served(stack) == stack.champion("pulsars")
    assert sum(stack.rows_in_the_lake("pulsars").values()) == 6000
