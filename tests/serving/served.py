"""A real server process that serves small models of a registry whose aliases a test can move."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.serving_contenders import ratchet_contender
from benchmarks.serving_defects import Target, target
from benchmarks.serving_model import NAME
from benchmarks.serving_process import PROJECT, Ratchet, await_version, ratchet
from benchmarks.serving_registry import Registry, registry
from serving.bundle import Layout, Manifest, libraries, save, with_own_answers

WIDTH = 8
Rows = NDArray[np.float64]


def rows(count: int, seed: int = 0) -> Rows:
    """Return rows with four decimals, shape (count, WIDTH)."""
    return np.random.default_rng(seed).normal(size=(count, WIDTH)).round(4)


def linear(seed: int, width: int = WIDTH) -> Any:
    """Return a fitted model; two seeds give two models that agree on hardly any row."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(200, width)).astype(np.float32)
    return LogisticRegression().fit(X, (X @ rng.normal(size=width) > 0).astype(int))


def small_bundle(folder: Path) -> tuple[Path, str]:
    """Save a model "boxes" of three features below a folder and return its place and digest."""
    names = ("height", "width", "depth")
    manifest = Manifest(
        name="boxes",
        family="tried",
        layout=Layout(names),
        threshold=0.5,
        labels=("0", "1"),
        data_version=1,
        example=((1.5, 2.5, 3.5), (-1.0, 0.0, 1.0)),
    )
    bundle = folder / "bundle"
    bundle.mkdir()
    return bundle, save(bundle, linear(0, len(names)), manifest)


@dataclass(frozen=True)
class Served:
    """A server, its registry, and the models behind each version."""

    server: Ratchet
    registry: Registry
    models: dict[str, Any]

    def asked(self, model: Any, data: Rows) -> Target:
        """Return what a scenario needs to ask about these rows, with this model's answers."""
        return target(ratchet_contender(self.server), data, expected(model, data))

    def crown(self, version: str) -> None:
        """Move the champion alias and return once the server answers with that version."""
        self.registry.point(version)
        await_version(self.server, NAME, version)


def expected(model: Any, data: Rows) -> NDArray[np.float64]:
    """Return the probabilities that the model itself gives."""
    probability: NDArray[np.float64] = model.predict_proba(data.astype(np.float32))[:, 1]
    return probability.astype(np.float64)


@contextmanager
def served(folder: Path, *models: Any, **variables: str) -> Iterator[Served]:
    """Serve these models as versions 1, 2, ...; the first is the champion."""
    with registry(NAME) as kept:
        versions = {_publish(kept, folder, model): model for model in models}
        kept.point("1")
        with ratchet(
            kept.url, folder, model=NAME, poll_seconds=0.05, checkout=PROJECT, **variables
        ) as server:
            yield Served(server, kept, versions)


def _publish(registry: Registry, folder: Path, model: Any) -> str:
    width = int(model.n_features_in_)
    manifest = Manifest(
        name=NAME,
        family="tried",
        layout=Layout(tuple(f"feature_{number}" for number in range(width))),
        threshold=0.5,
        labels=("0", "1"),
        data_version=1,
        example=((0.5,) * width, (-1.0,) * width),
        libraries=libraries(),
    )
    bundle = folder / f"bundle-{id(model)}"
    bundle.mkdir()
    return registry.publish(bundle, save(bundle, model, with_own_answers(manifest, model)))
