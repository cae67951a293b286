"""How the MLflow server is reached, and waited for while it is away."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mlflow
from mlflow import environment_variables as options

from include.showable import showable_values

# MLflow's client doubles its pauses, so that 30 s away cost up to a minute. With no growth and the
# jitter alone they last 0 to 2 s, and about four minutes of them are as long as its own default.
_RETRIES = 240
options._MLFLOW_HTTP_REQUEST_MAX_RETRIES_LIMIT.set(_RETRIES + 1)  # noqa: SLF001 - the cap has no other door
options.MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(_RETRIES)
options.MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR.set(0)
options.MLFLOW_HTTP_REQUEST_BACKOFF_JITTER.set(2.0)
# Whatever the environment says: bundles are opened by their own opener and by no other.
options.MLFLOW_ALLOW_PICKLE_DESERIALIZATION.set(False)

RUN, CANDIDATE, VERDICT = "ratchet.dag_run", "ratchet.candidate", "ratchet.verdict"
SPEC, DATA, DIGEST = "ratchet.spec", "ratchet.data_version", "ratchet.digest"
TABLE, ORIGIN, MOVES = "ratchet.table", "ratchet.origin", "ratchet.moves"
FITTED_KEYS, ARRIVALS = "ratchet.fitted_keys", "ratchet.arrivals"
PARENT, NOTE = "mlflow.parentRunId", "mlflow.note.content"


def ask_once(seconds: int) -> None:
    """Let every question of this process fail at once, or after so many seconds without an answer.

    For whoever asks again anyway, and has to tell meanwhile that there is no answer.
    """
    options.MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(0)
    options.MLFLOW_HTTP_REQUEST_TIMEOUT.set(seconds)


@contextmanager
def asking_for(seconds: int) -> Iterator[None]:
    """Let a question of the block end after about so many seconds where nobody answers.

    For a person who waits: one second a try, as many tries as seconds.
    """
    changed = (options.MLFLOW_HTTP_REQUEST_MAX_RETRIES, options.MLFLOW_HTTP_REQUEST_TIMEOUT)
    before = [option.get() for option in changed]
    for option in changed:
        option.set(seconds)
    try:
        yield
    finally:
        for option, value in zip(changed, before, strict=True):
            option.set(value)


class Connection:
    """One spec's experiment and registered model on a server."""

    def __init__(self, url: str, spec: str, model: str) -> None:
        """`url` is the MLflow server, `spec` names the experiment, `model` the registered model."""
        mlflow.set_tracking_uri(url)
        self._client = mlflow.MlflowClient(url)
        self._url = url
        self._spec = spec
        self.model = model

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self._spec)
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(self._spec))

    def _created(self, name: str, tags: dict[str, Any]) -> str:
        """Make a run and return it."""
        run = self._client.create_run(self._experiment(), run_name=name, tags=showable_values(tags))
        return str(run.info.run_id)
