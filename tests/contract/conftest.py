"""Contexts of steps on a real folder, a real Delta table and MLflow's own store.

The store is asked in this process. A file that needs MLflow's server, because it is about what goes
over HTTP or about other processes, has a fixture `registry_url` of its own.
One about rows alone is marked `models_in_memory` and asks no MLflow at all.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import pytest

from include.adapters.landing import claims
from include.context.step_context import StepContext, step_context
from include.settings import read_settings
from include.spec.model_spec import Spec
from tests.contract.lost_rows import PARTS
from tests.contract.mlflow_store import MlflowStore
from tests.contract.pipeline import drop, take_in
from tests.ledger_in_memory import Ledger
from tests.registry_in_memory import registry_in_memory

NAMES = (f"pulsars-{number}" for number in count())


@pytest.fixture(scope="module", autouse=True)
def _looks_often() -> Iterator[None]:
    """Settle files fast: how long a poll takes is no matter of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "POLL_SECONDS", 0.02)
        yield


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> MlflowStore:
    """Return MLflow itself, without a server in between."""
    return MlflowStore(tmp_path_factory.mktemp("mlflow-store"))


@pytest.fixture(scope="module")
def registry_url(mlflow_store: MlflowStore) -> str:
    """Return where contexts keep their runs and models."""
    return mlflow_store.url


@pytest.fixture(scope="module")
def new_context(
    spec: Spec, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], StepContext]:
    """Return a function that opens a context of a spec that was never trained."""
    in_memory = request.node.get_closest_marker("models_in_memory") is not None
    url = "http://nobody.invalid" if in_memory else request.getfixturevalue("registry_url")

    def opened() -> StepContext:
        name = next(NAMES)
        home = str(tmp_path_factory.mktemp("home"))
        settings = read_settings({"RATCHET_HOME": home, "RATCHET_MLFLOW_URL": url})
        context = step_context(spec.model_copy(update={"name": name, "model": name}), settings)
        if not in_memory:
            return context
        return replace(context, registry=registry_in_memory(Ledger(name), name))

    return opened


@pytest.fixture
def context(new_context: Callable[[], StepContext]) -> StepContext:
    """Return a context that no other test has seen."""
    return new_context()


@pytest.fixture
def filled(context: StepContext) -> StepContext:
    """Return a context into which three deliveries were taken one after the other."""
    for number, part in enumerate(PARTS):
        drop(context, part, f"{number}.csv")
        take_in(context)
    return context
