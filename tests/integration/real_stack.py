"""What a test does with a running stack."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.airflow_api import Airflow
from demo.data import drop
from demo.follow import Followed, Started, follow
from demo.specs import PULSARS
from include.settings import PROJECT, Settings

_QUICK_FAMILY = """
[[families]]
name = "logistic_regression"
pipeline = ["sklearn.linear_model.LogisticRegression"]
grid = { logisticregression__C = [1.0] }
"""


def quick_spec(name: str) -> str:
    """Return a spec of one candidate: a task of the real Airflow takes seconds, a family several.

    The race of several families is tried once, by the spec `pulsars`.
    """
    return PULSARS.partition("[[families]]")[0].replace('"pulsars"', f'"{name}"') + _QUICK_FAMILY


@dataclass(frozen=True)
class Stack:
    """The running stack and what a test asks of it."""

    settings: Settings
    airflow: Airflow

    def await_spec(self, spec: str) -> None:
        """Wait until a spec that was added has its Dag and its landing folder."""
        self.airflow.await_dag(spec, patience_seconds=120)
        deadline = time.monotonic() + 60
        while not Path(self.settings.landing_url(spec)).is_dir():
            assert time.monotonic() < deadline, f"nobody made the landing folder of {spec}"
            time.sleep(0.3)

    def deliver(self, spec: str, name: str, text: str) -> Followed:
        """Drop a file and follow the run that it starts."""
        known = self.airflow.run_ids(spec)
        since = self.drop(spec, name, text)
        run_id = self.airflow.await_new_run(spec, known)
        return follow(Started(self.airflow, spec, run_id, since))

    def drop(self, spec: str, name: str, text: str) -> float:
        """Drop a file and return when it was there, in seconds since the epoch."""
        return drop(Path(self.settings.landing_url(spec)), name, text)

    def press(self, spec: str, since: float, **form: object) -> Followed:
        """Trigger with a form, as the button does, and follow the run."""
        return follow(Started(self.airflow, spec, self.airflow.trigger(spec, **form), since))


def run_stack(command: str, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run one of the stack's commands to its end."""
    return subprocess.run(
        [sys.executable, "-m", "stack", command],
        cwd=PROJECT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
