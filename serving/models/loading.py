"""Loads a downloaded bundle and tries it on its example rows."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from serving.bundle import (
    Bundle,
    BundleRefusedError,
    encode,
    load,
    single_thread,
    stand_in,
)
from serving.bundle.probing import TOLERANCE
from serving.models.quick import QuickBundle, with_quickest_ways
from serving.models.scoring import score


def load_and_warm(folder: Path, digest: str, name: str) -> QuickBundle:
    """Verify, open and try a bundle; raises when it cannot serve under this name.

    Takes as long as unpickling does, so call it in a thread. Opening a model that was saved with
    other library versions can raise any Exception.
    """
    bundle = load(folder, digest)
    if bundle.manifest.name != name:
        raise BundleRefusedError(
            f"the bundle is of model '{bundle.manifest.name}' but is registered as '{name}'"
        )
    single_thread(bundle.model)
    _warm(bundle)
    return with_quickest_ways(bundle, folder)


def _listed(numbers: Iterable[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def _warm(bundle: Bundle) -> None:
    """Predict the example rows; refuse a model whose answers differ from those after the fit."""
    layout = bundle.manifest.layout
    try:
        matrix = encode(layout, bundle.manifest.example or (stand_in(layout),))
    except (ValueError, TypeError) as error:
        raise BundleRefusedError(f"the example rows cannot be laid out: {error}") from error
    # Twice: one row takes another path through some libraries than a batch does.
    for batch in (matrix[:1], matrix):
        given = score(bundle, batch)
    golden = bundle.manifest.answers
    if golden and not np.allclose(given, golden, rtol=0, atol=TOLERANCE):
        libraries = " ".join(f"{one} {it}" for one, it in bundle.manifest.libraries.items())
        raise BundleRefusedError(
            f"it says {_listed(given)} of its example rows where it said {_listed(golden)} when it "
            f"was saved, with {libraries}: the libraries here differ"
        )
