"""One real stack for the whole folder, started and stopped as a user does."""

from collections.abc import Iterator

import pytest

from demo.airflow_api import Airflow
from demo.free_ports import free_ports
from demo.specs import PULSARS
from include.settings import read_settings
from stack.processes import marked_processes
from tests.integration.real_stack import Stack, quick_spec, run_stack

APPROVAL = "\n[gate]\napproval = true\n"


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start a stack with three specs and add two; afterwards nothing of it may be left running."""
    home = tmp_path_factory.mktemp("home")
    specs = tmp_path_factory.mktemp("specs")
    (specs / "pulsars.toml").write_text(PULSARS)
    for name in ("asked", "waits"):
        (specs / f"{name}.toml").write_text(quick_spec(name) + APPROVAL)
    variables = {"RATCHET_HOME": str(home), "RATCHET_SPECS": str(specs)} | free_ports()
    started = run_stack("up", variables)
    settings = read_settings(variables)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        airflow = Airflow(settings.airflow_url)
        airflow.await_dag("pulsars")
        # While it runs, so that tests of a new spec need not wait for its discovery one by one.
        for name in ("quasars", "rare"):
            (specs / f"{name}.toml").write_text(quick_spec(name))
        yield Stack(settings, airflow)
        airflow.close()
    finally:
        stopped = run_stack("down", variables)
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert marked_processes(home) == []
