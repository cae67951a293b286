"""A server process with the two models that every client asks, and what it has to answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from benchmarks.serving_process import KEY, free_ports, wait_until_ready
from serving.bundle import Layout, Manifest, encode, libraries, save, with_own_answers
from tests.serving.processes import Server, stock

BOXES = Layout(("height", "width", "depth"))
PLANS = Layout(("age", "paperless", "plan"), {"plan": ("basic", "plus", "pro")}, ("age",))
ROWS = [[1.0, 2.0, 3.0], [0.5, 0.25, -1.0], [4.0, 0.0, 1.5]]
PEOPLE = {
    "age": [30.5, 61.0, 18.0],
    "paperless": [True, False, True],
    "plan": ["pro", "basic", "new"],
}


@dataclass(frozen=True)
class AskedServer:
    """A running server and what its clients are told and get."""

    told: dict[str, Any]
    """What a client's script is given, as JSON."""
    probabilities: dict[str, list[float]]
    """Of the rows and of the people."""


@contextmanager
def asked_server(home: Path) -> Iterator[AskedServer]:
    """Run a server of "boxes", a matrix of numbers, and "plans", with categories and truths."""
    boxes, plans = _boxes(), _plans()
    for name, layout, model in (("boxes", BOXES, boxes), ("plans", PLANS, plans)):
        folder = home / name
        folder.mkdir()
        stock(home / "serving", folder, _saved(folder, name, layout, model), name)
    port, grpc_port = free_ports(2)
    server = Server(port, home, SERVING_GRPC_PORT=str(grpc_port), SERVING_API_KEY=KEY)
    try:
        wait_until_ready(f"{server.url}/v2/models/plans/ready", server.process)
        yield AskedServer(
            {"url": server.url, "grpc": f"127.0.0.1:{grpc_port}", "key": KEY}
            | {"rows": ROWS, "people": PEOPLE},
            {
                "rows": _answers(boxes, np.array(ROWS, np.float32)),
                "people": _answers(plans, encode(PLANS, list(zip(*PEOPLE.values(), strict=True)))),
            },
        )
    finally:
        server.kill()


def _answers(model: Any, matrix: NDArray[np.float32]) -> list[float]:
    probabilities: list[float] = model.predict_proba(matrix)[:, 1].tolist()
    return probabilities


def _boxes() -> Any:
    rows = np.random.default_rng(1).normal(size=(200, 3)).astype(np.float32)
    return LogisticRegression().fit(rows, rows @ [1, -1, 2] > 0)


def _plans() -> Any:
    """Return a model whose answer depends on each of the three features."""
    rng = np.random.default_rng(2)
    plans = rng.choice(["basic", "plus", "pro"], 400)
    rows = encode(
        PLANS,
        [
            (float(age), truth, str(plan))
            for age, truth, plan in zip(
                rng.uniform(18, 80, 400), rng.integers(0, 2, 400), plans, strict=True
            )
        ],
    )
    chance = 0.2 + 0.3 * (rows[:, 2] == 2) + 0.2 * rows[:, 1] + 0.2 * (rows[:, 0] > 40)
    return HistGradientBoostingClassifier(max_iter=20).fit(rows, rng.uniform(size=400) < chance)


def _saved(folder: Path, name: str, layout: Layout, model: Any) -> str:
    example = (30.5, 1, "pro") if layout.categories else (1.0, 2.0, 3.0)
    manifest = Manifest(
        name, "tried", layout, 0.5, ("0", "1"), 1, example=(example,), libraries=libraries()
    )
    return save(folder, model, with_own_answers(manifest, model))
