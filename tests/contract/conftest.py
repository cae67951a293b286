"""Workplaces on a real folder, a real Delta table and a real MLflow server."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from include.adapters import landing as door
from include.context.step_context import Workplace, workplace
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
def new_workplace(
    spec: Spec, mlflow_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Workplace]:
    """Return a function that opens a workplace of a spec that was never trained."""

    def opened() -> Workplace:
        name = next(NAMES)
        home, port = tmp_path_factory.mktemp("home"), mlflow_url.rpartition(":")[2]
        settings = read_settings({"RATCHET_HOME": str(home), "RATCHET_MLFLOW_PORT": port})
        return workplace(spec.model_copy(update={"name": name, "model": name}), settings)

    return opened


@pytest.fixture
def at(new_workplace: Callable[[], Workplace]) -> Workplace:
    """Return a workplace that no other test has seen."""
    return new_workplace()


@pytest.fixture
def filled(at: Workplace) -> Workplace:
    """Return a workplace into which three deliveries were taken one after the other."""
    for number, part in enumerate(PARTS):
        drop(at, part, f"{number}.csv")
        take_in(at)
    return at
