import importlib.util
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from include.settings import PROJECT
from include.settings import read_settings as read_product_settings
from stack.airflow_config import POOL, airflow_environment
from tests import manifests

CONFIG = {
    f"AIRFLOW__{section.upper()}__{option.upper()}": value
    for section, options in manifests.VALUES["config"].items()
    for option, value in options.items()
}
OTHERWISE = {
    "AIRFLOW__CORE__DAGS_FOLDER": "in the image",
    "AIRFLOW__CORE__PLUGINS_FOLDER": "in the image",
    "AIRFLOW__CORE__PARALLELISM": "the slots of workers bound what runs",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "the api-server is another pod",
    "AIRFLOW__API__BASE_URL": "people come by another address",
    "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": "where it may write",
}
"""Options that one machine and a cluster have to set differently, and why."""
COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text())


@pytest.fixture(scope="module")
def known_options(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every option that the installed Airflow and its providers describe, as a variable."""
    script = (
        "import json; from airflow.configuration import conf; print(json.dumps({"
        "section: list(said['options']) for section, said in"
        " conf.configuration_description.items()}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow"))},
        capture_output=True,
        text=True,
        check=True,
    )
    described = json.loads(answer.stdout.splitlines()[-1])
    return {
        f"AIRFLOW__{section.upper()}__{option.upper()}"
        for section, options in described.items()
        for option in options
    }


def test_every_option_is_one_that_airflow_knows(known_options: set[str]) -> None:
    """A misspelt option would be a default in silence."""
    in_secrets = {
        key
        for name in ("airflow", "airflow-database", "airflow-queue")
        for key in manifests.secret_keys()[name]
    }
    unknown = (set(CONFIG) | in_secrets) - known_options
    assert unknown == {"AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES"}
    # That one is described nowhere and read here.
    airflow = importlib.util.find_spec("airflow")
    assert airflow is not None
    assert airflow.origin is not None
    scheduler = Path(airflow.origin).parent / "jobs" / "scheduler_job_runner.py"
    assert '"num_stuck_in_queued_retries"' in scheduler.read_text()
    assert all(isinstance(value, str) for value in CONFIG.values())


def test_the_options_are_those_of_one_machine(tmp_path: Path) -> None:
    """What was found out about Airflow holds in a cluster; each difference has its reason."""
    one_machine = airflow_environment(read_product_settings({"RATCHET_HOME": str(tmp_path)}))
    shared = CONFIG.keys() & one_machine.keys()
    different = {name for name in shared if CONFIG[name] != one_machine[name]}
    assert different == set(OTHERWISE)
    assert len(shared) > 2 * len(different)


def test_the_options_are_those_of_the_containers() -> None:
    """What is tested there holds here, but for who starts tasks, where logs go and who calls."""
    containers = COMPOSE["x-airflow-options"]
    assert {
        name
        for name in containers.keys() | CONFIG.keys()
        if containers.get(name) != CONFIG.get(name)
    } == {
        "AIRFLOW__CORE__EXECUTOR",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER",
        "AIRFLOW__API__BASE_URL",
    }
    assert containers["AIRFLOW__CORE__EXECUTOR"] == manifests.VALUES["executor"]
    product = {one["name"] for one in manifests.VALUES["env"]}
    assert product == COMPOSE["x-product"].keys()


def test_the_chart_is_told_which_airflow_it_starts() -> None:
    """It renders other things for other releases."""
    assert manifests.VALUES["airflowVersion"] == version("apache-airflow")


def test_folders_of_the_image_are_folders_of_this_tree() -> None:
    """What the image holds in /opt/ratchet is this tree."""
    folders = [CONFIG["AIRFLOW__CORE__DAGS_FOLDER"], CONFIG["AIRFLOW__CORE__PLUGINS_FOLDER"]]
    folders += [one["mountPath"] for one in manifests.VALUES["volumeMounts"]]
    inside = [one for one in folders if one.startswith("/opt/ratchet/")]
    assert len(inside) == 3
    for folder in inside:
        assert (PROJECT / folder.removeprefix("/opt/ratchet/")).is_dir()


def test_airflow_reads_the_options_that_the_chart_writes() -> None:
    """The chart's airflow.cfg lies in the image's own home, on a volume that may be written."""
    home = manifests.VALUES["airflowHome"]
    assert f"AIRFLOW_HOME={home} " in (PROJECT / "Dockerfile").read_text()
    assert home in {one["mountPath"] for one in manifests.VALUES["volumeMounts"]}


def test_each_queue_has_its_workers() -> None:
    """Fits have workers of their own, and a task that names no queue has some too."""
    sets = manifests.VALUES["workers"]["celery"]["sets"]
    assert {one["queue"] for one in sets} == {CONFIG["AIRFLOW__OPERATORS__DEFAULT_QUEUE"], POOL}
    for one in sets:
        args = one["args"]
        assert args[args.index("--queues") + 1] == one["queue"]
    # The workers are the sets and no other, for nobody listens to the chart's own queue.
    assert manifests.VALUES["workers"]["celery"]["enableDefault"] is False


def test_a_process_knows_the_secrets_that_it_needs_and_no_other() -> None:
    """Above all, what runs a spec's code never holds the database or the keys of sessions."""
    processes = manifests.airflow_processes()
    asked = {
        name: {secret for secret, _ in manifests.asked_secrets(manifests.airflow_pod(name))}
        for name in processes
    }
    tasks = {"airflow-queue", "pipeline", "pipeline-objects"}
    control = {"airflow", "airflow-database"}
    assert asked == {
        "migrateDatabaseJob": control | {"airflow-queue", "airflow-people"},
        "apiServer": control | {"airflow-queue"},
        "scheduler": control | {"airflow-queue"},
        "dagProcessor": control,
        "triggerer": control | {"pipeline-objects"},
        "worker-light": tasks,
        "worker-training": tasks,
    }
    # The chart would hand all of them to everything.
    assert set(manifests.VALUES["enableBuiltInSecretEnvVars"].values()) == {False}
    waits = {name: one.get("waitForMigrations") for name, one in processes.items()}
    assert waits["worker-light"] == waits["worker-training"] == {"enabled": False}
