"""Following one run: each finished task is told with its numbers, the whole is measured."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from demo.airflow_api import FINISHED, Airflow, Task

Tell = Callable[[Task, Any], None]
"""Called once for each finished task with its result."""
Running = Callable[[list[str]], None]
"""Called at every look with the labels of the tasks that run."""


_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 1800.0


def _say_nothing(*_anything: Any) -> None:
    pass


@dataclass(frozen=True)
class Followed:
    """A finished run: what its tasks returned and where its time went."""

    run_id: str
    state: str
    results: dict[str, Any]
    """Result by task; a list for mapped tasks."""
    skipped_because: str
    wall_seconds: float
    """From the file being there to the last task's end."""
    first_task_seconds: float
    """From the file being there to the first task's start."""
    inside_seconds: float
    """While at least one task was inside a step."""
    tasks: tuple[Task, ...] = field(default=())

    @property
    def airflow_seconds(self) -> float:
        """The share that Airflow adds: noticing, scheduling, starting and ending tasks."""
        return self.wall_seconds - self.inside_seconds


@dataclass(frozen=True)
class Started:
    """A run that has been created."""

    airflow: Airflow
    dag_id: str
    run_id: str
    since: float
    """When its file was there, in seconds since the epoch."""


def follow(run: Started, tell: Tell = _say_nothing, running: Running = _say_nothing) -> Followed:
    """Follow a run to its end; TimeoutError with its unfinished tasks when it has none."""
    told: dict[tuple[str, int], Any] = {}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        state = run.airflow.run_state(run.dag_id, run.run_id)
        tasks = run.airflow.tasks(run.dag_id, run.run_id)
        for task in tasks:
            at = (task.name, task.map_index)
            if task.state in FINISHED and at not in told:
                told[at] = run.airflow.result(run.dag_id, run.run_id, task)
                tell(task, told[at])
        running([task.label for task in tasks if task.state == "running"])
        if state in {"success", "failed"}:
            return _followed(run, state, tasks, _by_task(told))
        if time.monotonic() > deadline:
            raise TimeoutError(f"run {run.run_id} of {run.dag_id} is {state}: {_unfinished(tasks)}")
        time.sleep(_LOOK_SECONDS)


def _unfinished(tasks: list[Task]) -> str:
    open_ones = [f"{task.label} {task.state}" for task in tasks if task.state not in FINISHED]
    return ", ".join(open_ones) or "no task is unfinished"


def _followed(run: Started, state: str, tasks: list[Task], results: dict[str, Any]) -> Followed:
    def noted(task: Task, key: str) -> Any:
        return run.airflow.result(run.dag_id, run.run_id, task, key)

    # The report comes after the champion serves, so it is no part of what a delivery takes.
    ran = [t for t in tasks if t.started and t.state != "skipped" and t.name != "report"]
    spans = [noted(task, "inside") for task in ran]
    skipped = [task for task in tasks if task.state == "skipped" and task.map_index < 0]
    reasons = (noted(task, "skipped_because") for task in skipped)
    return Followed(
        run_id=run.run_id,
        state=state,
        results=results,
        skipped_because=next((reason for reason in reasons if reason), ""),
        wall_seconds=max((task.ended or run.since for task in ran), default=run.since) - run.since,
        first_task_seconds=min((task.started or run.since for task in ran), default=run.since)
        - run.since,
        inside_seconds=_covered((span["from"], span["to"]) for span in spans if span),
        tasks=tuple(tasks),
    )


def _by_task(by_task: dict[tuple[str, int], Any]) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for (name, map_index), result in sorted(by_task.items()):
        if map_index < 0:
            results[name] = result
        else:
            results.setdefault(name, []).append(result)
    return results


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return the length of the union of intervals: tasks that run side by side count once."""
    total, reached = 0.0, 0.0
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
