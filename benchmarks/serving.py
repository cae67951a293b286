"""What the server answers a second, beside the engines that people serve such a model with.

All servers are up together and serve the same XGBoost trees; the order is shuffled each round and
figures are medians. Each answer is first compared with the model's own. Ratchet runs as in
production, with its API key checked and its metrics on; the others have neither key. The last
figures set Ratchet against what one of its threads can do with no HTTP at all.

BEFORE=FOLDER compares with the server of another checkout instead, with the environment that
`make setup` has made there: what a change costs.
"""

import json
import os
import random
import statistics
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks import serving_load
from benchmarks.serving_contenders import (
    BEFORE,
    RATCHET,
    Contender,
    contenders,
    itself_before,
    peers,
)
from benchmarks.serving_load import Load, Post, TooSlowError
from benchmarks.serving_model import Model, model, v2_body
from benchmarks.serving_process import (
    PROJECT,
    end_like_an_interrupt,
    environment,
    server_python,
)
from benchmarks.serving_table import BARE, show, targets

QUICK = bool(os.environ.get("QUICK"))
ROUNDS = 1 if QUICK else 3
SECONDS = 1.0 if QUICK else 3.0
CHECKOUT = os.environ.get("BEFORE")
_REQUESTS = 32
"""Different requests that a connection sends in turn."""
_TOLERANCE = 1e-5
_QUIET = 0.5
"""A load average up to which a machine counts as having nothing else to do."""


@dataclass(frozen=True)
class Work:
    """One kind of load."""

    name: str
    kind: str
    """json, binary or grpc."""
    rows: int
    connections: int


WORKS = (
    Work("1 row, JSON, c=1", "json", 1, 1),
    Work("1 row, JSON, c=16", "json", 1, 16),
    Work("1 row, JSON, c=64", "json", 1, 64),
    Work("1000 rows, JSON, c=4", "json", 1000, 4),
    Work("1 row, gRPC, c=16", "grpc", 1, 16),
    Work("1 row, binary, c=64", "binary", 1, 64),
    Work("1000 rows, binary, c=4", "binary", 1000, 4),
)
Samples = dict[tuple[str, str], list[Load]]


def main() -> None:
    """Run the benchmark and print its tables and, last, one line of JSON."""
    end_like_an_interrupt()
    serving_load.require_wrk()
    console = Console(highlight=False, width=120)
    busy = os.getloadavg()[0]
    if busy > _QUIET:
        console.print(
            f"Other programs keep {busy:.1f} cores busy: figures of now are not to quote."
        )
    with tempfile.TemporaryDirectory() as folder:
        served = model(Path(folder))
        starts = itself_before(Path(CHECKOUT).absolute()) if CHECKOUT else peers()
        with contenders(starts, served, Path(folder), console.print) as running:
            pairs = [pair for pair in _pairs(running) if _answers(*pair, served, console)]
            samples, bare = _measure(pairs, served, Path(folder))
    figures = {key: _median(loads) for key, loads in samples.items()}
    figures[BARE, "1 row, JSON, c=64"] = Load(statistics.median(bare), 0.0, 0.0)
    held = targets(figures)
    show(console, figures, [] if CHECKOUT else held)
    told: dict[str, Any] = {"load_average_before": busy}
    if CHECKOUT:
        told["ratio_to_before"] = _ratios(samples, console)
    else:
        told["targets"] = [asdict(one) for one in held]
    print(json.dumps(_summary(figures) | told))


def _pairs(running: Iterable[Contender]) -> list[tuple[Contender, Work]]:
    """Return who does what: every kind of load that a server offers at all."""
    return [
        (contender, work)
        for work in WORKS
        for contender in running
        if work.kind in contender.posts or (work.kind == "grpc" and contender.grpc_port)
    ]


def _answers(contender: Contender, work: Work, served: Model, console: Console) -> bool:
    """Say whether a server answers this kind of request, and as the model does where it is JSON."""
    try:
        _try(contender, work, served)
    except Exception as error:  # noqa: BLE001 - whatever a server does wrong, the others go on
        console.print(f"{contender.name}, {work.name}, is left out: {error}")
        return False
    return True


def _try(contender: Contender, work: Work, served: Model) -> None:
    if work.kind == "grpc":
        _load(contender, replace(work, connections=1), served, 0.1)
        return
    body = _send(contender.port, contender.posts[work.kind](served.rows[: work.rows]))
    if work.kind == "json":
        found = np.array(contender.read(body), dtype=np.float64)
        if not np.allclose(found, served.expected[: work.rows], rtol=0, atol=_TOLERANCE):
            raise RuntimeError(f"it answers {found[:3]}, not {served.expected[:3]}")


def _send(port: int, post: Post) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{post.path}", post.body, post.headers)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=30) as answer:
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{error.code}: {error.read()[:200].decode()}") from error


def _measure(
    pairs: list[tuple[Contender, Work]], served: Model, folder: Path
) -> tuple[Samples, list[float]]:
    """Load every server with everything, in a new order each round, and the bare loop with it."""
    samples: Samples = {(contender.name, work.name): [] for contender, work in pairs}
    bare: list[float] = []
    for number in range(ROUNDS):
        order = list(pairs)
        random.Random(number).shuffle(order)  # noqa: S311 - an order to measure in, no secret
        for contender, work in order:
            samples[contender.name, work.name].append(_sample(contender, work, served))
        bare.append(_bare(served, folder))
    return samples, bare


def _sample(contender: Contender, work: Work, served: Model) -> Load:
    """Load a server for as long as it takes to answer anything at all."""
    for longer in (1, 4):
        try:
            return _load(contender, work, served, longer * SECONDS)
        except TooSlowError:
            continue
    return _load(contender, work, served, 20 * SECONDS)


def _load(contender: Contender, work: Work, served: Model, seconds: float) -> Load:
    if work.kind == "grpc":
        message = contender.message(served.rows[: work.rows])
        return serving_load.grpc(contender.grpc_port or 0, message, work.connections, seconds)
    make = contender.posts[work.kind]
    starts = range(min(_REQUESTS, len(served.rows) // work.rows))
    posts = [make(served.rows[start * work.rows :][: work.rows]) for start in starts]
    return serving_load.http(contender.port, posts, work.connections, seconds)


def _bare(served: Model, folder: Path) -> float:
    """Return requests a second of the server's own code with no HTTP, in its own environment."""
    body = folder / "bare.json"
    body.write_bytes(v2_body(served.rows[:1], "probability"))
    command = [server_python(), "-m", "benchmarks.serving_bare", str(served.bundle), served.digest]
    done = subprocess.run(  # noqa: S603 - a module of this package
        [*command, str(body), str(SECONDS)],
        env=environment() | {"OMP_NUM_THREADS": "1"},
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def _median(loads: list[Load]) -> Load:
    return Load(
        *(
            statistics.median(getattr(load, name) for load in loads)
            for name in ("per_second", "p50_ms", "p99_ms")
        )
    )


def _ratios(samples: Samples, console: Console) -> dict[str, float]:
    """Return, and print, the median over the rounds of requests a second, now to before."""
    ratios = {}
    for work in WORKS:
        pairs = zip(samples[RATCHET, work.name], samples[BEFORE, work.name], strict=True)
        each = [now.per_second / before.per_second for now, before in pairs]
        ratios[work.name] = round(statistics.median(each), 3)
        console.print(f"{work.name}: {', '.join(f'{one:.2f}' for one in sorted(each))}")
    return ratios


def _summary(figures: dict[tuple[str, str], Load]) -> dict[str, Any]:
    by_work: dict[str, dict[str, Any]] = {}
    for (name, work), load in figures.items():
        by_work.setdefault(work, {})[name] = {
            key: round(value, 3) for key, value in asdict(load).items()
        }
    return {"benchmark": "serving", "quick": QUICK, "rounds": ROUNDS, "figures": by_work}


if __name__ == "__main__":
    main()
