"""The health of this container's Celery worker: it answers a ping over the broker.

Imports Celery alone and not Airflow, whose start would cost seconds at every look.
"""

import os
import socket
import sys

from celery import Celery

_SECONDS = 3.0


def answers(broker: str, name: str) -> bool:
    """Say whether the worker of this name answers."""
    with Celery(broker=broker) as app:
        return bool(app.control.ping([name], timeout=_SECONDS, limit=1))


if __name__ == "__main__":
    healthy = answers(os.environ["AIRFLOW__CELERY__BROKER_URL"], f"celery@{socket.gethostname()}")
    sys.exit(0 if healthy else "the worker does not answer")
