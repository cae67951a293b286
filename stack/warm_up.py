"""Make a fresh api-server ready for tasks: its task API built, the pool of fits there.

The first request to the task API takes seconds of CPU, longer than a task waits for an answer; so
it is made here, beside the start of everything else. Runs once a start and ends with 0.
"""

import time

import httpx

from include.settings import Settings, read_settings
from stack.airflow_config import POOL
from stack.errors import StackError

_WAIT_SECONDS = 900.0


def warm_up(settings: Settings, http: httpx.Client) -> None:
    """Wait for the api-server, build its task API and make the pool as large as the cores."""
    _await(http, f"{settings.airflow_url}/api/v2/version")
    _await(http, f"{settings.airflow_url}/execution/health")
    _ensure_pool(http, f"{settings.airflow_url}/api/v2/pools", settings.cores)


def _await(http: httpx.Client, url: str) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            if http.get(url).is_success:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.3)
    raise StackError(f"{url} did not answer within {_WAIT_SECONDS:.0f} s: see api-server.log.")


def _ensure_pool(http: httpx.Client, pools: str, slots: int) -> None:
    """Make or resize the pool, again while Airflow's database is busy with its own start."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while (answer := _ask_for_pool(http, pools, slots)).is_server_error:
        if time.monotonic() > deadline:
            break
        time.sleep(1)
    if not answer.is_success:
        raise StackError(f"Airflow did not make the pool {POOL}: {answer.text}")


def _ask_for_pool(http: httpx.Client, pools: str, slots: int) -> httpx.Response:
    body = {"slots": slots, "include_deferred": False}
    answer = http.post(pools, json=body | {"name": POOL, "description": "Fits that run at once"})
    if answer.status_code == httpx.codes.CONFLICT:  # an earlier start made it
        mask = {"update_mask": "slots"}
        answer = http.patch(f"{pools}/{POOL}", params=mask, json=body | {"pool": POOL})
    return answer


if __name__ == "__main__":
    # A company proxy must not be asked for loopback.
    with httpx.Client(trust_env=False, timeout=60.0) as client:
        warm_up(read_settings(), client)
