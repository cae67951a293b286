"""The connection to the MLflow server, and how long requests are retried."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import mlflow
from mlflow import environment_variables as options
from mlflow.entities import Experiment, Run, ViewType
from mlflow.exceptions import MlflowException

from include.adapters.registry.healing import ABSENT, DENIED, TAKEN, HealingClient, is_deleted
from include.adapters.registry.timed_retry import wait_by_the_clock
from include.errors import TakenError
from include.text.showable import showable_values

log = logging.getLogger("ratchet")

# MLflow's client doubles its pauses, so that 30 s away cost up to a minute. With no growth and the
# jitter alone they last 0 to 2 s, and about four minutes of them are as long as its own default.
# Of a server that hangs the clock ends it, for there each try takes two minutes.
_RETRIES = 240
options._MLFLOW_HTTP_REQUEST_MAX_RETRIES_LIMIT.set(_RETRIES + 1)  # noqa: SLF001 - the cap has no other door
options.MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(_RETRIES)
options.MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR.set(0)
options.MLFLOW_HTTP_REQUEST_BACKOFF_JITTER.set(2.0)
wait_by_the_clock()
# Whatever the environment says: bundles are opened by their own opener and by no other.
options.MLFLOW_ALLOW_PICKLE_DESERIALIZATION.set(False)

RUN, CANDIDATE, VERDICT = "ratchet.dag_run", "ratchet.candidate", "ratchet.verdict"
SPEC, DATA, DIGEST = "ratchet.spec", "ratchet.data_version", "ratchet.digest"
TABLE, ORIGIN, MOVES = "ratchet.table", "ratchet.origin", "ratchet.moves"
FITTED_KEYS, ARRIVALS = "ratchet.fitted_keys", "ratchet.arrivals"
TRAINING_PAGES = "workflowType=machine_learning"
"""Query parameter that opens MLflow's pages for training, not for generative models."""
PARENT, NOTE, RUN_NAME = "mlflow.parentRunId", "mlflow.note.content", "mlflow.runName"
FAMILY = "ratchet.family"
KIND, TRAINING, CANDIDATES, ADOPTION, LEDGER = (
    "ratchet.kind",
    "training",
    "candidate",
    "adoption",
    "ledger",
)
"""Tag of each run and its values, to filter MLflow's list by; LEDGER runs are no trainings."""
_EXPERIMENT_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Tag of an experiment by which MLflow shows it as one of trainings, whatever link opens it."""
_FEW = 20

# MLflow writes its log to the error stream itself, whose every line Airflow calls an error. Without
# its handler what it says goes where all logs of the process go, with its own level.
for _handler in [*logging.getLogger("mlflow").handlers]:
    logging.getLogger("mlflow").removeHandler(_handler)
logging.getLogger("mlflow").propagate = True


def ask_once(seconds: int) -> None:
    """Make every MLflow request of this process fail without retries, after `seconds` at most.

    For a process such as the exporter, which repeats its requests itself and reports failures.
    """
    options.MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(0)
    options.MLFLOW_HTTP_REQUEST_TIMEOUT.set(seconds)


@contextmanager
def asking_for(seconds: int, tries: int | None = None) -> Iterator[None]:
    """Limit MLflow requests in the block to about `seconds` when the server does not respond.

    For a person who waits: one second for each try, and by default as many tries as seconds. With
    `tries` 0 a refused connection fails at once.
    """
    changed = (options.MLFLOW_HTTP_REQUEST_MAX_RETRIES, options.MLFLOW_HTTP_REQUEST_TIMEOUT)
    before = [option.get() for option in changed]
    for option, value in zip(changed, (seconds if tries is None else tries, seconds), strict=True):
        option.set(value)
    try:
        yield
    finally:
        for option, value in zip(changed, before, strict=True):
            option.set(value)


class Connection:
    """The experiment and the registered model of one spec on an MLflow server."""

    def __init__(self, url: str, spec: str, model: str) -> None:
        """`url` is the MLflow server, `spec` names the experiment, `model` the registered model."""
        mlflow.set_tracking_uri(url)
        self._client: Any = HealingClient(mlflow.MlflowClient(url))
        self._url = url
        self._spec = spec
        self.model = model
        self._told_name = ""

    def _experiment(self) -> str:
        """Return the id of the spec's experiment, which is created when there is none."""
        found = self._known_experiment() or self._new_experiment()
        if found.name not in {self._spec, self._told_name}:
            self._told_name = found.name  # once for all that a task asks
            log.warning(
                "experiment %s is called %s in MLflow: runs go on there", self._spec, found.name
            )
        owner = found.tags.get(SPEC)
        if owner not in {None, self._spec}:
            raise TakenError(
                f"experiment {self._spec} in MLflow is that of spec {owner}: rename it there, or, "
                f"if {self._spec} is to go on with it, set its tag {SPEC} to {self._spec}"
            )
        place = str(found.experiment_id)
        self._client.restored(found)
        if owner is None:  # made by hand, or by a release that did not tag it
            self._client.set_experiment_tag(place, SPEC, self._spec)
        for key, value in _EXPERIMENT_KIND.items():
            if key not in found.tags:
                self._client.set_experiment_tag(place, key, value)
        return place

    def _known_experiment(self) -> Experiment | None:
        """Return the experiment by its name, else by its tag, else by the run of the log of moves.

        A deleted experiment with another name is used only when nothing else matches.
        """
        found = self._client.get_experiment_by_name(self._spec)
        if found is not None:
            return found
        tagged = self._client.search_experiments(
            view_type=ViewType.ALL, filter_string=f"tags.`{SPEC}` = '{self._spec}'"
        )
        return min(tagged, key=is_deleted, default=None) or self._of_the_log()

    def _of_the_log(self) -> Experiment | None:
        """Return the experiment of the run that holds this spec's log of moves."""
        model = self._registered()
        run = self._client.run_or_none(model.tags.get(MOVES, "")) if model is not None else None
        if run is None or run.data.tags.get(MOVES) != self._spec:
            return None
        return self._client.get_experiment(run.info.experiment_id)

    def _new_experiment(self) -> Experiment:
        if self._registered() is not None:
            log.warning(
                "MLflow has no experiment %s, although %s is registered: a new one begins, and "
                "what earlier runs recorded is not in it",
                self._spec,
                self.model,
            )
        try:
            self._client.create_experiment(self._spec, tags={SPEC: self._spec, **_EXPERIMENT_KIND})
        except MlflowException as error:
            if error.error_code != TAKEN:
                raise
        return self._client.get_experiment_by_name(self._spec)

    def _registered(self) -> Any:
        """Return the registered model; None before the first version."""
        # By its name: a search costs MLflow three times as much.
        try:
            return self._client.get_registered_model(self.model)
        except MlflowException as error:
            if error.error_code == ABSENT:
                return None
            if error.error_code != DENIED:
                raise
        # Who may read nothing by default is refused a name that nobody has, too; a search shows
        # what may be seen.
        found = self._client.search_registered_models(f"name='{self.model}'")
        return found[0] if found else None

    def _created(self, name: str, tags: dict[str, Any]) -> str:
        """Create a run and return its id."""
        run = self._client.create_run(self._experiment(), run_name=name, tags=showable_values(tags))
        return str(run.info.run_id)

    def _find(self, tags: Mapping[str, str]) -> Run | None:
        """Return the newest run with these tags, restored if it was deleted; None without one."""
        condition = " and ".join(f"tags.`{key}` = '{tags[key]}'" for key in tags)
        found = self._search(condition, ViewType.ALL)
        run = min(found, key=lambda item: is_deleted(item.info), default=None)
        if run is not None and is_deleted(run.info):
            return self._client.active_run(run.info.run_id)
        return run

    def _search(self, condition: str, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
        """Return the newest runs that meet a condition, the newest first."""
        newest = ["attributes.start_time DESC"]
        return list(self._client.search_runs([self._experiment()], condition, view, _FEW, newest))
