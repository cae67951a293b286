"""Ask components whether they work, at the addresses that their state names."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from typing import Any

import httpx

from include.context.running_stack import since_boot
from stack.state import ComponentState, Lifecycle

_SECONDS = 5.0


def healthy_components(components: Sequence[ComponentState]) -> set[str]:
    """Return the names of the components that work, asking each address once.

    A component without an address works when its process runs. One that Airflow reports on has to
    have given a sign of life since it was started: the report outlives a killed process for a
    while.
    """
    running = [one for one in components if one.state is Lifecycle.RUNNING]
    urls = sorted({one.url for one in running if one.url})
    with ThreadPoolExecutor(max_workers=max(1, len(urls))) as pool:
        answers = dict(zip(urls, pool.map(_ask, urls), strict=True))
    return {one.name for one in running if not one.url or _works(one, answers[one.url])}


def _ask(url: str) -> httpx.Response | None:
    try:
        return _http().get(url)
    except httpx.HTTPError:
        return None


@cache
def _http() -> httpx.Client:
    """Return the one client: each new one reads the system's certificates, 30 ms of CPU.

    It trusts no environment: a company proxy must not be asked for loopback.
    """
    return httpx.Client(timeout=_SECONDS, trust_env=False)


def _works(component: ComponentState, answer: httpx.Response | None) -> bool:
    if answer is None or not answer.is_success:
        return False
    return not component.part or _reported(component, answer.json())


def _reported(component: ComponentState, report: dict[str, Any]) -> bool:
    part = report.get(component.part) or {}
    beat = part.get(f"latest_{component.part}_heartbeat")
    if part.get("status") != "healthy" or not beat:
        return False
    age = since_boot() - component.started
    return datetime.fromisoformat(beat).timestamp() >= time.time() - age
