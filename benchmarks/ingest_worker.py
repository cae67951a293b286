"""Takes deliveries in with the Ratchet that PYTHONPATH names, and reports what each cost.

Run as a script by `ingest_forms`, and with code of other revisions: it uses no more of the product
than they have.
"""

import json
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from include.settings import read_settings
from include.stages.ingest import ingest

SPEC = """
title = "Rows in several forms"
model = "forms-model"
[data]
target = "target"
id = "ID_code"
[[families]]
name = "naive_bayes"
pipeline = ["sklearn.naive_bayes.GaussianNB"]
"""


def _first_of(*places: str) -> Any:
    """Return what the first of these places holds that there is: each revision has its own."""
    for place in places:
        module, name = place.split(":")
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise SystemExit(f"this revision has none of {', '.join(places)}")


intake_context = _first_of("include.context.intake_context:intake_context", "include.dock:dock")
ingest_delivery = _first_of(
    "include.steps.ingest:ingest_delivery", "include.intake:ingest_delivery"
)
read_spec = _first_of("include.spec.spec_files:read_spec", "include.spec:read_spec")


def main(home: Path, few: Path, whole: Path, seed: int) -> None:
    """Take the small files in first, so that imports are not timed, then the others."""
    for path in sorted(few.iterdir()):
        _costs(home / f"few-{path.name}", path)
    paths = sorted(whole.iterdir())
    random.Random(seed).shuffle(paths)  # noqa: S311 - an order, not a secret
    print(json.dumps({path.stem: _costs(home / path.name, path) for path in paths}))


def _costs(home: Path, path: Path) -> dict[str, float]:
    """Return the cost of reading a file, and of the whole step, which keys and stages its rows."""
    home.mkdir()
    (home / "forms.toml").write_text(SPEC)
    spec = read_spec(home / "forms.toml")
    costs: dict[str, float] = {}
    with path.open("rb") as file, _timed("read", costs):
        costs["rows"] = sum(part.frame.height for part in ingest(file, path.name, spec, None).parts)
    context: Any = intake_context(spec, read_settings({"RATCHET_HOME": str(home / "home")}))
    landing = home / "home" / "landing" / "forms"
    landing.mkdir(parents=True)
    (landing / path.name).hardlink_to(path)
    (landing / f"{path.name}.done").touch()
    (delivery,) = context.landing.claim()
    with _timed("step", costs):
        batch = ingest_delivery(context, delivery)
    if batch.note:
        raise SystemExit(f"{path.name} was not taken in: {batch.note}")
    return costs


@contextmanager
def _timed(name: str, costs: dict[str, float]) -> Iterator[None]:
    wall, processor = time.perf_counter(), time.process_time()
    yield
    costs[f"{name}_cpu_seconds"] = time.process_time() - processor
    costs[f"{name}_seconds"] = time.perf_counter() - wall


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
