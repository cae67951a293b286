"""MLflow's client, which restores deleted runs and experiments before it writes to them.

A run or experiment that a person deletes in MLflow's UI is kept until `mlflow gc`, but writes to it
are refused. Here such a write restores it, with a warning in the log. For one that was deleted
permanently, the error says what to do.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from mlflow.entities import Experiment, LifecycleStage, Run
from mlflow.exceptions import MlflowException

from include.errors import GoneError

log = logging.getLogger("ratchet")
ABSENT, DENIED, REFUSED, TAKEN = (
    "RESOURCE_DOES_NOT_EXIST",
    "PERMISSION_DENIED",
    "INVALID_PARAMETER_VALUE",
    "RESOURCE_ALREADY_EXISTS",
)
_WRITES = frozenset(
    {
        "log_artifact",
        "log_artifacts",
        "log_batch",
        "log_inputs",
        "log_metric",
        "log_param",
        "log_text",
        "set_tag",
        "set_terminated",
    }
)
"""Methods of MLflow's client that write to a run, whose id is their first argument."""


def is_deleted(entity: Any) -> bool:
    """Return whether an experiment, or the `info` of a run, is marked as deleted."""
    return bool(entity.lifecycle_stage == LifecycleStage.DELETED)


class HealingClient:
    """MLflow's client, with methods that restore the run they write to."""

    def __init__(self, client: Any) -> None:
        """`client` is an MlflowClient; other methods are passed on to it unchanged."""
        self._client = client

    def __getattr__(self, name: str) -> Any:
        """Return the client's method; one that writes to a run also restores the run."""
        method = getattr(self._client, name)
        return self._healed(method) if name in _WRITES else method

    def run_or_none(self, run_id: str) -> Run | None:
        """Return a run, deleted or not; None when there is none or `run_id` is no valid id."""
        if not run_id:
            return None
        try:
            return self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code in {ABSENT, REFUSED}:
                return None
            raise

    def active_run(self, run_id: str) -> Run:
        """Return a run, restored if it was deleted; GoneError when it does not exist any more."""
        run = self.run_or_none(run_id)
        if run is not None and is_deleted(run.info):  # as all are that a deleted experiment holds
            experiment = self._client.get_experiment(run.info.experiment_id)
            if self.restored(experiment):  # and with it what it held
                run = self.run_or_none(run_id)
        if run is None:
            raise GoneError(
                f"run {run_id} was deleted in MLflow for good, and what is done now belongs to it: "
                "start a new run of the Dag (Trigger, with 'no_new_data' set to 'retrain')"
            )
        if is_deleted(run.info):
            self._client.restore_run(run_id)
            log.warning(
                "run %s (%s) was deleted in MLflow and is needed: it is restored",
                run.info.run_name,
                run_id,
            )
        return run

    def restored(self, experiment: Experiment) -> bool:
        """Restore an experiment; return whether it was deleted."""
        if not is_deleted(experiment):
            return False
        self._client.restore_experiment(experiment.experiment_id)
        log.warning(
            "experiment %s was deleted in MLflow and is needed: it is restored, with its runs",
            experiment.name,
        )
        return True

    def _healed(self, write: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(write)
        def written(run_id: str, *arguments: Any, **named: Any) -> Any:
            try:
                return write(run_id, *arguments, **named)
            except MlflowException as error:
                if error.error_code not in {ABSENT, REFUSED}:
                    raise
                if error.error_code == REFUSED and not self._is_in_the_bin(run_id):
                    raise
                self.active_run(run_id)
            return write(run_id, *arguments, **named)

        return written

    def _is_in_the_bin(self, run_id: str) -> bool:
        run = self.run_or_none(run_id)
        return run is None or is_deleted(run.info)
