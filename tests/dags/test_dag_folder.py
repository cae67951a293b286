import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pendulum
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import ParamValidationError
from airflow.timetables.base import TimeRestriction

from include.settings import PROJECT

Parse = Callable[[Path], DagBag]
FLOW = [
    "ingest",
    "dedup",
    "split",
    "refusals",
    "plan",
    "screen",
    "shortlist",
    "semifinal",
    "finalists",
    "final",
    "fit",
    "score",
    "decide",
    "preflight",
    "promote",
    "serve",
    "report",
]
OWN = {"roll_back"}
HEAVY = {"pandas", "sklearn", "mlflow", "xgboost", "polars", "deltalake", "matplotlib"}
PARSE = """
import sys, time
import airflow.sdk, airflow.triggers.base
started = time.perf_counter()
import continuous_training, roll_back
print(time.perf_counter() - started, *sorted(name for name in sys.modules if "." not in name))
"""


@pytest.fixture
def pulsars(parse: Parse, spec_file: Path) -> Any:
    """Return the Dag of the small spec."""
    bag = parse(spec_file.parent)
    assert bag.import_errors == {}
    return bag.dags["pulsars"]


def landing(dag: Any) -> Any:
    """Return the one asset that starts a Dag."""
    (asset,) = dag.timetable.asset_condition.objects
    return asset


def test_the_specs_of_the_repository_have_a_dag_each(parse: Parse) -> None:
    """The Dag folder as it is delivered has no import error."""
    specs = PROJECT / "include" / "specs"
    bag = parse(specs)
    assert bag.import_errors == {}
    assert set(bag.dags) == {path.stem for path in specs.glob("*.toml")} | OWN


def test_parsing_loads_no_learning_library_and_takes_under_a_second() -> None:
    """What the Dag processor does every few seconds is cheap; best of three fresh processes."""
    paths = [str(PROJECT), str(PROJECT / "dags"), str(PROJECT / "plugins")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    answers = [
        subprocess.run(
            [sys.executable, "-c", PARSE],
            env=environment,
            cwd=os.environ["AIRFLOW_HOME"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(3)
    ]
    for _, *modules in answers:
        assert HEAVY.isdisjoint(modules)
    assert min(float(seconds) for seconds, *_ in answers) < 1.0


def test_a_second_spec_makes_a_second_dag(parse: Parse, spec_file: Path) -> None:
    """Its landing folder and model are its own, without a line of code."""
    other = spec_file.read_text().replace("pulsar-model", "quasar-model")
    spec_file.with_name("quasars.toml").write_text(other)
    bag = parse(spec_file.parent)
    assert set(bag.dags) == {"pulsars", "quasars"} | OWN
    uris = [landing(bag.dags[name]).uri for name in ("pulsars", "quasars")]
    assert [uri.rpartition("/")[2] for uri in uris] == ["pulsars", "quasars"]
    assert "quasar-model" in bag.dags["quasars"].tags


def test_a_spec_may_bear_the_name_of_a_task(parse: Parse, spec_file: Path) -> None:
    """`data.toml` and `fit.toml` harm no Dag that is made after them."""
    for name in ("data", "fit", "assets"):
        spec_file.with_name(f"{name}.toml").write_text(spec_file.read_text())
    bag = parse(spec_file.parent)
    assert bag.import_errors == {}
    assert set(bag.dags) == {"assets", "data", "fit", "pulsars"} | OWN


@pytest.mark.parametrize("name", ["broken.toml", "my model (old).toml"])
def test_a_broken_spec_is_a_dag_that_says_why(parse: Parse, spec_file: Path, name: str) -> None:
    """The others run on; the tagged Dag shows the reason and cannot start by itself."""
    spec_file.with_name(name).write_text('title = "no more than that"')
    bag = parse(spec_file.parent)
    assert bag.import_errors == {}
    assert len(bag.dags.keys() - OWN) == 2
    (broken,) = (dag for dag in bag.dags.values() if "broken spec" in dag.tags)
    assert "data: Field required" in str(broken.doc_md)
    assert not broken.timetable.can_be_scheduled
    assert "pulsars" in bag.dags


def test_the_dag_reads_as_the_mission(pulsars: Any) -> None:
    """A task each stage, in the groups of the graph view, in the order of the flow."""
    names = {task.task_id.rpartition(".")[2] for task in pulsars.tasks}
    assert set(FLOW) <= names
    assert set(pulsars.task_group_dict) - {None} >= {"data", "select"}
    order = [task.task_id.rpartition(".")[2] for task in pulsars.topological_sort()]
    assert [name for name in order if name in FLOW] == FLOW


def test_everything_is_documented(pulsars: Any) -> None:
    """The Dag and each of its tasks carry the words that the UI shows."""
    assert "drop files in" in pulsars.doc_md
    assert "naive_bayes, logistic_regression" in pulsars.doc_md
    for task in pulsars.tasks:
        assert task.doc_md, task.task_id


def test_it_starts_by_file_and_by_clock(pulsars: Any, tmp_path: Path) -> None:
    """The schedule has the landing folder's asset and a cron line in an explicit time zone."""
    timetable = pulsars.timetable
    asset = landing(pulsars)
    assert asset.uri == (tmp_path / "home" / "landing" / "pulsars").as_uri()
    (watcher,) = asset.watchers
    assert watcher.trigger.url == str(tmp_path / "home" / "landing" / "pulsars")
    assert timetable.timetable.expression == "0 2 * * *"
    assert str(timetable.timetable.timezone) == "UTC"


def test_a_new_dag_waits_for_its_next_night(pulsars: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack set up half an hour after two does not make up for the tick it never saw."""
    from airflow.timetables import trigger

    night = pulsars.timetable.timetable
    timetable = trigger.CronTriggerTimetable(
        night.expression, timezone=night.timezone, run_immediately=night.run_immediately
    )
    stored = trigger.CronTriggerTimetable.deserialize(json.loads(json.dumps(timetable.serialize())))
    monkeypatch.setattr(trigger, "utcnow", lambda: pendulum.datetime(2026, 1, 1, 2, 30, tz="UTC"))
    restriction = TimeRestriction(earliest=None, latest=None, catchup=False)
    run = stored.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    assert run is not None
    assert run.run_after == pendulum.datetime(2026, 1, 2, 2, tz="UTC")


def test_a_run_that_nobody_filled_a_form_for_is_safe(pulsars: Any) -> None:
    """A file and the night skip without new data and force nothing; one run at a time."""
    defaults = {name: pulsars.params[name] for name in pulsars.params}
    assert defaults == {"no_new_data": "skip", "force": False, "note": ""}
    assert pulsars.max_active_runs == 1
    assert pulsars.catchup is False


def test_roll_back_offers_the_specs_and_asks_for_a_reason(parse: Parse, spec_file: Path) -> None:
    """One Dag for all of them, by hand alone: which spec, how many steps, why."""
    spec_file.with_name("broken.toml").write_text('title = "no more than that"')
    dag: Any = parse(spec_file.parent).dags["roll_back"]
    assert not dag.timetable.can_be_scheduled
    assert dag.params.get_param("spec").schema["enum"] == ["pulsars"]
    assert [task.task_id for task in dag.topological_sort()] == ["move", "serve"]
    assert all(task.doc_md for task in dag.tasks)
    with pytest.raises(ParamValidationError):
        dag.params.validate()
    for steps, is_fine in ((1, True), (12, True), (0, False), ("two", False)):
        form = copy.deepcopy(dag.params)
        form["reason"] = "it calls everything positive"
        with nullcontext() if is_fine else pytest.raises(ParamValidationError):
            form["steps"] = steps
            form.validate()


def test_a_folder_without_a_usable_spec_has_no_roll_back(parse: Parse, tmp_path: Path) -> None:
    """There is nothing it could be asked for."""
    assert parse(tmp_path).dags == {}


def test_a_person_is_asked_only_where_the_spec_says_so(parse: Parse, spec_file: Path) -> None:
    """Between pre-flight and promotion; without `gate.approval` there is no task more."""
    plain = parse(spec_file.parent).dags["pulsars"]
    spec_file.write_text(spec_file.read_text() + "\n[gate]\napproval = true\n")
    asking = parse(spec_file.parent).dags["pulsars"]
    assert asking.task_dict.keys() - plain.task_dict.keys() == {"approve"}
    assert asking.get_task("approve").upstream_task_ids == {"decide", "preflight"}
    assert "approve" in asking.get_task("promote").upstream_task_ids


def test_a_run_ends_as_its_report_does(pulsars: Any) -> None:
    """It comes last whatever happened, and nothing waits for the task that shows refusals."""
    assert [task.task_id for task in pulsars.tasks if not task.downstream_task_ids] == ["report"]
    assert pulsars.get_task("report").trigger_rule == "all_done"
    assert pulsars.get_task("data.refusals").downstream_task_ids == {"report"}


def test_training_tasks_share_a_pool(pulsars: Any) -> None:
    """What needs a core waits for one; what does not is never in its way."""
    pools = {task.task_id.rpartition(".")[2]: task.pool for task in pulsars.tasks}
    training = {name for name, pool in pools.items() if pool == "training"}
    assert training == {"screen", "semifinal", "final", "fit", "score"}


def test_no_odd_spec_harms_another(parse: Parse, spec_file: Path) -> None:
    """Whatever lies in the folder under the name of a spec, the sound one has its Dag."""
    sound, folder = spec_file.read_text(), spec_file.parent
    os.mkfifo(folder / "pipe.toml")
    (folder / "loop.toml").symlink_to("loop.toml")
    (folder / "folder.toml").mkdir()
    odd = {
        "deep.toml": "x = " + "[" * 20_000,
        "number.toml": "x = " + "1" * 10_000,
        "large.toml": "#" * (2 << 20),
        "nul.toml": sound.replace('"Pulsars"', r'"Puls\u0000ars"'),
        "turned.toml": sound.replace('"class"', '"cl\u202ass"'),
        "elsewhere.toml": f'landing = "ftp://x/y"\n{sound}',
        "puls ars.toml": sound,
        "puls_ars.toml": sound.replace("pulsar-model", "other-model"),
        f"{'n' * 240}.toml": sound,
        os.fsdecode(b"caf\xe9.toml"): sound,
    }
    for name, text in odd.items():
        (folder / name).write_text(text)
    bag = parse(folder)
    assert bag.import_errors == {}
    dags = {name: dag for name, dag in bag.dags.items() if name not in OWN}
    running = {name for name, dag in dags.items() if "broken spec" not in dag.tags}
    assert running == {"pulsars", "puls_ars"}
    assert len(dags) == len(odd) + 4
    assert all(str(dag.doc_md).isprintable() for dag in dags.values() if dag.dag_id not in running)


@pytest.mark.parametrize("note", ["a\0b", "a\ud800b"])
def test_the_form_takes_no_note_that_cannot_be_kept(pulsars: Any, note: str) -> None:
    """It is refused where it is typed in; lines are fine."""
    form = copy.deepcopy(pulsars.params)
    form["note"] = "two\nlines \U0001f600"
    form.validate()
    with pytest.raises(ParamValidationError):
        form["note"] = note
