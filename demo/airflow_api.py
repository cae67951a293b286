"""What the demo, the tests and the benchmarks ask of Airflow: its public REST API, nothing else."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


@dataclass(frozen=True)
class Task:
    """One task instance of a run as it stands."""

    name: str
    map_index: int
    label: str
    """What the graph shows: the task, and for a mapped one which of its instances."""
    state: str
    started: float | None
    """Seconds since the epoch."""
    ended: float | None
    worker: str
    """The host that runs or ran it, empty before."""


class Airflow:
    """A client of one Airflow."""

    def __init__(
        self,
        url: str,
        account: tuple[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`url` is the api-server; `account` a name and its password, None where none is asked."""
        self._http = httpx.Client(
            base_url=f"{url}/api/v2", timeout=30, trust_env=False, transport=transport
        )
        if account:
            words = dict(zip(("username", "password"), account, strict=True))
            answer = self._http.post(f"{url}/auth/token", json=words).raise_for_status()
            self._http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def await_dag(self, dag_id: str, patience_seconds: float = 60) -> None:
        """Wait until a Dag is known; TimeoutError with the import errors when it never is."""
        deadline = time.monotonic() + patience_seconds
        while self._http.get(f"/dags/{dag_id}").status_code != httpx.codes.OK:
            if time.monotonic() > deadline:
                errors = self._get("/importErrors")["import_errors"]
                raise TimeoutError(f"Airflow does not know the Dag {dag_id}: {errors}")
            time.sleep(0.3)

    def run_ids(self, dag_id: str) -> list[str]:
        """Return the runs of a Dag, newest first."""
        answer = self._get(f"/dags/{dag_id}/dagRuns", order_by="-run_after", limit=100)
        return [run["dag_run_id"] for run in answer["dag_runs"]]

    def await_new_run(self, dag_id: str, known: list[str], patience_seconds: float = 60) -> str:
        """Return the oldest run that is not among the known ones, or raise TimeoutError."""
        deadline = time.monotonic() + patience_seconds
        while True:
            new = [run for run in self.run_ids(dag_id) if run not in known]
            if new:
                return new[-1]
            if time.monotonic() > deadline:
                raise TimeoutError(f"no new run of {dag_id} within {patience_seconds:.0f} s")
            time.sleep(0.3)

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run."""
        return str(self._get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def note(self, dag_id: str, run_id: str) -> str:
        """Return the note of a run, empty without one."""
        return str(self._get(f"/dags/{dag_id}/dagRuns/{run_id}")["note"] or "")

    def stop(self, dag_id: str, run_id: str) -> None:
        """Set a run to failed, as a person does."""
        answer = self._http.patch(f"/dags/{dag_id}/dagRuns/{run_id}", json={"state": "failed"})
        answer.raise_for_status()

    def tasks(self, dag_id: str, run_id: str) -> list[Task]:
        """Return the task instances of a run in the order in which they started."""
        answer = self._get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=1000)
        listed = [_task(instance) for instance in answer["task_instances"]]
        return sorted(listed, key=lambda task: (task.started or float("inf"), task.map_index))

    def result(self, dag_id: str, run_id: str, task: Task, key: str = "return_value") -> Any:
        """Return an XCom of a task instance, None when it has none."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task.name}/xcomEntries/{key}"
        answer = self._http.get(path, params={"map_index": task.map_index, "deserialize": True})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return answer.raise_for_status().json()["value"]

    def log(self, dag_id: str, run_id: str, task: Task, attempt: int = 1) -> str:
        """Return a task instance's log as text."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task.name}/logs/{attempt}"
        return str(self._get(path, map_index=task.map_index, full_content=True)["content"])

    def trigger(self, dag_id: str, **form: Any) -> str:
        """Press the trigger button with these form fields; return the run."""
        body = {"logical_date": None, "conf": form}
        answer = self._http.post(f"/dags/{dag_id}/dagRuns", json=body)
        return str(answer.raise_for_status().json()["dag_run_id"])

    def _get(self, path: str, **params: Any) -> Any:
        return self._http.get(path, params=params).raise_for_status().json()


def _task(instance: dict[str, Any]) -> Task:
    mapped = instance["rendered_map_index"] or instance["map_index"]
    label = instance["task_id"] + (f"[{mapped}]" if instance["map_index"] >= 0 else "")
    return Task(
        instance["task_id"],
        instance["map_index"],
        label,
        instance["state"] or "waiting",
        _seconds(instance["start_date"]),
        _seconds(instance["end_date"]),
        instance["hostname"] or "",
    )


def _seconds(moment: str | None) -> float | None:
    return datetime.fromisoformat(moment).timestamp() if moment else None
