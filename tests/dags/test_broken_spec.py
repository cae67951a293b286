"""A spec that breaks harms no other, and no run that began before."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import TaskAwaitingInput
from approval import Approval
from run_spec import spec_of_run

from include.errors import SpecError

Parse = Callable[[Path], DagBag]
BEFORE_PLAN = ("data.ingest", "data.dedup", "data.split", "plan")
AFTER_PLAN = ("select.enter", "select.screen", "fit", "score", "promote", "serve")
BROKEN = "families.0: gaussiannb__var_smoothin: .* did you mean var_smoothing"


class Run:
    """The XComs of one run, and task instances that reach them."""

    def __init__(self, path: Path) -> None:
        """Begin a run of the spec at a path."""
        self.path = path
        self._kept: dict[tuple[str, str], Any] = {}

    def spec(self, task: str) -> Any:
        """Return what a task of this run works with; a new try forgets what the last one kept."""
        self._kept = {place: value for place, value in self._kept.items() if place[0] != task}
        return spec_of_run(self.path, self.instance(task))

    def instance(self, task: str) -> Any:
        """Return a task instance as Airflow hands it to a task."""
        kept = self._kept

        class Instance:
            task_id = task
            id = task

            def xcom_push(self, key: str, value: Any) -> None:
                kept[task, key] = value

            def xcom_pull(self, task_ids: str, key: str) -> Any:
                return kept.get((task_ids, key))

        return Instance()


@pytest.fixture
def run(spec_file: Path) -> Run:
    """Return a run that has not begun."""
    return Run(spec_file)


def break_it(spec_file: Path) -> None:
    """Mistype a parameter."""
    spec_file.write_text(spec_file.read_text().replace("var_smoothing", "var_smoothin"))


def test_a_planned_run_keeps_its_spec_when_the_file_is_edited(run: Run) -> None:
    """What was planned is trained; the next run sees the change, as does `plan` run again."""
    for task in BEFORE_PLAN:
        assert run.spec(task).title == "Pulsars"
    run.path.write_text(run.path.read_text().replace('"Pulsars"', '"Quasars"'))
    assert {run.spec(task).title for task in AFTER_PLAN} == {"Pulsars"}
    assert Run(run.path).spec("data.ingest").title == "Quasars"
    assert run.spec("plan").title == "Quasars"
    assert {run.spec(task).title for task in AFTER_PLAN} == {"Quasars"}


@pytest.mark.parametrize("done", range(1, 5))
def test_a_run_that_began_goes_on_when_the_file_breaks(run: Run, done: int) -> None:
    """At whatever task it stands, up to its end, also when the file is gone."""
    began = [run.spec(task) for task in BEFORE_PLAN[:done]][-1]
    break_it(run.path)
    left = (*BEFORE_PLAN[done:], *AFTER_PLAN)
    assert all(run.spec(task) == began for task in left)
    run.path.unlink()
    assert all(run.spec(task) == began for task in left)


@pytest.mark.parametrize("task", ["data.ingest", "serve"])
def test_a_run_that_begins_with_a_broken_file_is_told_why(run: Run, task: str) -> None:
    """Nothing of it is pinned, and a try that is made again does not find the one before."""
    break_it(run.path)
    with pytest.raises(SpecError, match=BROKEN):
        run.spec(task)


def test_a_broken_first_task_that_is_cleared_takes_the_mended_file(run: Run) -> None:
    """A person mends the file and clears the task."""
    sound = run.path.read_text()
    run.spec("data.ingest")
    break_it(run.path)
    with pytest.raises(SpecError, match=BROKEN):
        run.spec("data.ingest")
    run.path.write_text(sound)
    assert run.spec("data.ingest").name == "pulsars"


def test_a_spec_that_breaks_keeps_its_tasks(parse: Parse, spec_file: Path) -> None:
    """A run that waits finds them again; the page says why, character by character."""
    sound = parse(spec_file.parent).dags["pulsars"]
    break_it(spec_file)
    broken = parse(spec_file.parent).dags["pulsars"]
    assert broken.tags == {"broken spec"}
    assert set(broken.task_dict) == set(sound.task_dict) | {"approve"}
    for task in sound.tasks:
        mine = broken.get_task(task.task_id)
        assert mine.upstream_task_ids - {"approve"} == task.upstream_task_ids
    assert not broken.timetable.can_be_scheduled
    assert broken.max_active_runs == 1
    assert "` pulsars.toml: families.0: gaussiannb__var_smoothin: " in str(broken.doc_md)
    assert "gaussiannb__var_smoothin" in str(broken.description)
    assert set(broken.params) == set(sound.params)


def test_an_edit_of_the_families_changes_no_task(parse: Parse, spec_file: Path) -> None:
    """Which families race is told at run time, by the spec that the run has pinned."""
    before = parse(spec_file.parent).dags["pulsars"]
    text = spec_file.read_text()
    spec_file.write_text(text[: text.rindex("[[families]]")])
    after = parse(spec_file.parent).dags["pulsars"]
    assert set(after.task_dict) == set(before.task_dict)
    assert "select.enter" in after.get_task("select.screen").upstream_task_ids


@pytest.mark.parametrize("asks", [False, True])
def test_a_person_is_asked_when_the_pinned_spec_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, *, asks: bool
) -> None:
    """Also in the Dag of a broken spec, which has the task in any case."""
    from airflow.providers.standard.operators import hitl

    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **_: None)
    if asks:
        run.path.write_text(f"{run.path.read_text()}\n[gate]\napproval = true\n")
    run.spec("plan")
    break_it(run.path)
    instance = run.instance("approve")
    context: Any = {"ti": instance, "task_instance": instance}
    task = Approval(
        task_id="approve",
        subject="Promote?",
        body="because",
        decided={"verdict": "PROMOTE"},
        preflight_result={"passed": True},
        spec_path=str(run.path),
    )
    if asks:
        with pytest.raises(TaskAwaitingInput):
            task.execute(context)
    else:
        assert task.execute(context) is None


def test_a_file_with_the_name_of_a_dag_of_our_own_harms_none(parse: Parse, spec_file: Path) -> None:
    """`roll_back.toml` is a broken spec beside the Dag that rolls back."""
    spec_file.with_name("roll_back.toml").write_text(spec_file.read_text())
    bag = parse(spec_file.parent)
    assert bag.import_errors == {}
    assert "broken spec" not in bag.dags["roll_back"].tags
    (broken,) = (dag for dag in bag.dags.values() if "broken spec" in dag.tags)
    assert broken.dag_id.startswith("roll_back-")
    assert "is a Dag of Ratchet's own" in str(broken.doc_md)


def test_no_file_can_close_the_quotes_of_its_reason(parse: Parse, spec_file: Path) -> None:
    """A reason that quotes accents grave is shown within more of them."""
    spec_file.write_text(spec_file.read_text().replace('"Pulsars"', '"P"\n"``x" = 1'))
    assert str(parse(spec_file.parent).dags["pulsars"].doc_md).startswith("``` pulsars.toml: ``x")


def test_a_mended_spec_is_scheduled_again(parse: Parse, spec_file: Path) -> None:
    """Whatever the time that its file bears."""
    sound = spec_file.read_text()
    break_it(spec_file)
    assert "broken spec" in parse(spec_file.parent).dags["pulsars"].tags
    spec_file.write_text(sound)
    os.utime(spec_file, (0, 0))
    mended = parse(spec_file.parent).dags["pulsars"]
    assert "broken spec" not in mended.tags
    assert mended.timetable.can_be_scheduled
