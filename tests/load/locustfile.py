"""What a model's users do all day, for Locust against any running server.

    SERVING_API_KEY=... locust -f tests/load/locustfile.py --host http://127.0.0.1:8090 --model NAME

Rows are drawn for what the model's metadata say that it takes: numbers, and categories where there
are any. Bad requests count as failures unless they are refused with a sentence.
"""

import os
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from locust import FastHttpUser, constant, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

_KEY = os.environ.get("SERVING_API_KEY")
_REFUSALS = (400, 422)


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator] # Locust's own
def _ask_for_a_model(parser: LocustArgumentParser) -> None:
    parser.add_argument("--model", env_var="LOAD_MODEL", required=True, help="the model's name")


class Caller(FastHttpUser):
    """A client that scores rows, mostly one at a time, and now and then gets a request wrong."""

    wait_time = constant(0)
    environment: Environment

    def on_start(self) -> None:
        """Ask what the model takes, as a client that starts does."""
        self.client.auth_header = None
        self._headers = {"Authorization": f"Bearer {_KEY}"} if _KEY else {}
        model = vars(self.environment.parsed_options)["model"]
        self._root = f"/v2/models/{quote(model, safe='')}"
        self._metadata = self.client.get(self._root, headers=self._headers, name="metadata").json()

    @task(60)
    def one_row(self) -> None:
        """Score a row."""
        self._score(1)

    @task(10)
    def ten_rows(self) -> None:
        """Score ten rows."""
        self._score(10)

    @task(2)
    def many_rows(self) -> None:
        """Score 200 rows."""
        self._score(200)

    @task(6)
    def a_value_short(self) -> None:
        """Send a row with a value too few."""
        question = _question(self._metadata, 1)
        question["inputs"][0]["data"].pop()
        self._expect_refusal("a value short", question)

    @task(3)
    def a_word_for_a_number(self) -> None:
        """Send something that is not of the input's type."""
        question = _question(self._metadata, 1)
        question["inputs"][0]["data"][0] = {"what": "is this"}
        self._expect_refusal("a wrong type", question)

    @task(2)
    def look(self) -> None:
        """Ask for metadata and readiness."""
        for path, name, key in ((self._root, "metadata", "inputs"), *_READY):
            with self.client.get(
                path, headers=self._headers, name=name, catch_response=True
            ) as answer:
                if answer.status_code != 200 or not answer.json().get(key):
                    answer.failure(f"{answer.status_code}: {answer.text}")

    def _score(self, rows: int) -> None:
        question = _question(self._metadata, rows)

        def problem(answer: dict[str, Any]) -> str | None:
            counts = {output["name"]: len(output["data"]) for output in answer["outputs"]}
            return None if set(counts.values()) == {rows} else f"{rows} rows gave {counts}"

        self._post(f"{rows} rows", question, (200,), problem)

    def _expect_refusal(self, name: str, question: dict[str, Any]) -> None:
        def problem(answer: dict[str, Any]) -> str | None:
            sentence = answer.get("error")
            return None if sentence and " " in sentence else f"no sentence: {answer}"

        self._post(f"bad: {name}", question, _REFUSALS, problem)

    def _post(
        self,
        name: str,
        question: dict[str, Any],
        statuses: tuple[int, ...],
        problem: Callable[[dict[str, Any]], str | None],
    ) -> None:
        with self.client.post(
            f"{self._root}/infer",
            json=question,
            headers=self._headers,
            name=name,
            catch_response=True,
        ) as answer:
            if answer.status_code not in statuses:
                answer.failure(f"{answer.status_code}: {answer.text}")
            elif found := problem(answer.json()):
                answer.failure(found)
            else:
                answer.success()


_READY = (("/v2/health/ready", "readiness", "ready"),)


def _question(metadata: dict[str, Any], rows: int) -> dict[str, Any]:
    """Return a request of random rows for a model with these metadata."""
    categories = metadata["parameters"]["categories"]
    inputs = []
    for tensor in metadata["inputs"]:
        known = categories.get(tensor["name"])
        shape = [rows, *tensor["shape"][1:]]
        count = rows * (shape[1] if shape[1:] else 1)
        data: list[Any] = (
            random.choices(known, k=count) if known else [random.gauss(0, 1) for _ in range(count)]
        )
        inputs.append(tensor | {"shape": shape, "data": data})
    return {"inputs": inputs}
