"""What several kinds of test share: how they are dealt out, a small spec, MLflow, a bucket."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from include.spec.model_spec import Spec
from include.spec.spec_files import read_spec
from tests.groups import GroupScheduling, is_quick, largest_first
from tests.seaweed import Bucket, Seaweed, seaweed
from tests.suite_profile import PROFILE

if TYPE_CHECKING:
    from xdist.remote import Producer

    from tests.serving.registries import MlflowServer

# How fast an example is drawn depends on what else the machine does.
settings.register_profile(
    "suite",
    max_examples=PROFILE.examples,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")

# Under `nohup` a command ignores the first of these, in the background of a shell the others, and
# whatever the tests start would inherit that.
_HEARD: dict[signal.Signals, Any] = {
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGQUIT: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}

PULSARS = """
title = "Pulsars"
model = "pulsar-model"

[data]
target = "class"

[selection]
screened_rows = 100

[[families]]
name = "naive_bayes"
pipeline = ["sklearn.naive_bayes.GaussianNB"]
grid = { gaussiannb__var_smoothing = [1e-9, 1e-2] }

[[families]]
name = "logistic_regression"
pipeline = ["sklearn.preprocessing.StandardScaler", "sklearn.linear_model.LogisticRegression"]
grid = { logisticregression__C = [0.01] }
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run leave out what is long or starts a server."""
    parser.addoption("--quick", action="store_true", help="only what is short and starts no server")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the largest groups; leave out what is not quick, where that is wished."""
    largest_first(items)
    if config.getoption("--quick"):
        quick = [item for item in items if isinstance(item, pytest.Function) and is_quick(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(quick)])
        items[:] = quick


def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> GroupScheduling | None:
    """Deal out by groups wherever more than one worker is asked for."""
    return GroupScheduling(config, log) if config.getoption("dist") == "load" else None


@pytest.fixture(scope="session", autouse=True)
def _signals_are_heard() -> Iterator[None]:
    """Let what the tests start hear its signals, however the tests were started."""
    ignored = [one for one in _HEARD if signal.getsignal(one) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, _HEARD[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    """Return a valid spec file of two quick families, for the rows of `demo.data.pulsar_rows`."""
    path = tmp_path / "specs" / "pulsars.toml"
    path.parent.mkdir()
    path.write_text(PULSARS)
    return path


@pytest.fixture(scope="session")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    """Return that spec, read."""
    path = tmp_path_factory.mktemp("specs") / "pulsars.toml"
    path.write_text(PULSARS)
    return read_spec(path)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["MlflowServer"]:
    """Return a real tracking server that lives as long as the tests."""
    from tests.serving.registries import MlflowServer

    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mlflow_url(mlflow_server: "MlflowServer") -> str:
    """Return its address."""
    return mlflow_server.url


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """Return a real S3 server; a test that stops it starts it again."""
    with seaweed(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def bucket(s3_server: Seaweed) -> Bucket:
    """Return an empty place on that server."""
    return s3_server.fresh()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes after their parameter: packed files hold the time, and a name is one for good.

    Workers that deal tests out among themselves have to know each by the same name.
    """
    return argname if isinstance(val, bytes) else None
