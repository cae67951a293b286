"""Workplaces on a real folder, a real Delta table and a real MLflow server."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from include.adapters import landing as door
from include.context.step_context import StepContext, step_context
from include.settings import read_settings
from include.spec.model_spec import Spec
from tests.contract.lost_rows import PARTS
from tests.contract.pipeline import drop, take_in

NAMES = (f"pulsars-{number}" for number in count())


@pytest.fixture(scope="module", autouse=True)
def _looks_often() -> Iterator[None]:
    """Settle files fast: how long a poll takes is no matter of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door, "POLL_SECONDS", 0.02)
        yield


@pytest.fixture(scope="module")
def new_context(
    spec: Spec, mlflow_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], StepContext]:
    """Return a function that opens a context of a spec that was never trained."""

    def opened() -> StepContext:
        name = next(NAMES)
        home, port = tmp_path_factory.mktemp("home"), mlflow_url.rpartition(":")[2]
        settings = read_settings({"RATCHET_HOME": str(home), "RATCHET_MLFLOW_PORT": port})
        return step_context(spec.model_copy(update={"name": name, "model": name}), settings)

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
