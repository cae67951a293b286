"""How long requests to MLflow are retried, and where its log goes."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow import environment_variables as options

from include.adapters.registry.timed_retry import wait_by_the_clock

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
