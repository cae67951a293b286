"""Whether the endpoint holds the champion and answers as the pipeline does."""

import logging

import numpy as np

from include.bundle import encode
from include.errors import EndpointError, NothingToDoError
from include.records import Served
from include.stages.split import HOLDOUT
from include.workplace import Workplace

log = logging.getLogger("ratchet")
SERVING_PATIENCE_SECONDS = 60.0
_EXAMPLE_ROWS = 5


def await_champion(at: Workplace, data_version: int) -> Served:
    """Wait for the endpoint, then compare its answers on some holdout rows, to 1e-6.

    Raises EndpointError when it does not come to hold the champion, or answers otherwise.
    """
    champion = at.registry.champion()
    if champion is None:
        raise NothingToDoError(f"{at.spec.model} has no champion yet, so there is none to serve")
    waited = at.endpoint.wait_for(champion.version, SERVING_PATIENCE_SECONDS)
    bundle = at.registry.bundle(champion)
    layout = bundle.manifest.layout
    rows = at.lake.sample(data_version, HOLDOUT, layout, _EXAMPLE_ROWS)
    version, answered = at.endpoint.infer(layout, rows)
    expected = bundle.probability(encode(layout, rows))
    if version != champion.version or not np.allclose(answered, expected, atol=1e-6, rtol=0):
        raise EndpointError(
            f"{at.spec.model} version {version} answered {answered.tolist()} where champion "
            f"{champion.version} gives {expected.tolist()}: look at the serving log"
        )
    log.info("%s version %s answers after %.1f s", at.spec.model, version, waited)
    return Served(at.spec.model, version, len(rows), waited)
