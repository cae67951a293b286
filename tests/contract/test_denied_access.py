"""A place that this user may not use is named in one sentence, and all goes on once it may.

Root may use everything, so that the steps run in a process without that privilege.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable

from demo.data import pulsar_rows
from include.context.denied_access import access_required
from include.errors import DeniedError
from include.settings import PROJECT, read_settings
from include.spec.model_spec import Spec
from tests.conftest import PULSARS

ROWS = 200
AS_ANYBODY = """
import ctypes, os, sys

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
for privilege in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, privilege, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Root without these is held to the mode of its own files, as everybody else is."""
TAKE_IN = """
import sys
from pathlib import Path
from include.context.denied_access import access_required
from include.context.step_context import step_context
from include.errors import RatchetError
from include.settings import read_settings
from include.spec.spec_files import read_spec
from tests.contract.pipeline import take_in

home, mode, place = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
settings = read_settings({"RATCHET_HOME": str(home), "RATCHET_MLFLOW_PORT": "1"})
spec = read_spec(home / "pulsar.toml")
path = next(home.glob(place))
usual = path.stat().st_mode
for now in (mode, usual):
    path.chmod(now)
    try:
        with access_required(spec, settings):
            context = step_context(spec, settings)
            take_in(context)
            print("rows", context.lake.dataset().rows)
    except RatchetError as error:
        print(error)
"""


def take_in(home: Path, place: str = "landing", mode: int = 0o755) -> str:
    """Take in what waits, without root's privilege; return what is printed.

    First while a place has a mode, and then again while it has its usual one.
    """
    done = subprocess.run(
        [sys.executable, "-c", AS_ANYBODY, "-c", TAKE_IN, str(home), str(mode), place],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.stdout or done.stderr


def deliver(home: Path, seed: int) -> None:
    """Drop a file."""
    path = home / "landing" / "pulsar" / f"{seed}.csv"
    path.write_text(pulsar_rows(ROWS, seed=seed).write_csv())


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with one delivery in its table."""
    home = tmp_path_factory.mktemp("denied")
    (home / "landing" / "pulsar").mkdir(parents=True)
    (home / "pulsar.toml").write_text(PULSARS)
    deliver(home, 1)
    assert take_in(home).startswith("rows")
    return home


@pytest.fixture
def home(first: Path, tmp_path: Path) -> Path:
    """Return a copy of it, with a second delivery that waits."""
    copy = tmp_path / "home"
    shutil.copytree(first, copy)
    deliver(copy, 2)
    return copy


@pytest.mark.parametrize(
    ("place", "mode", "use"),
    [
        ("landing/pulsar", 0o000, "read"),
        ("landing/pulsar", 0o555, "write to"),
        ("lake/pulsar/rows/side=train/label=0", 0o555, "write to"),
        ("lake/pulsar/rows/_delta_log", 0o555, "write to"),
        ("lake/pulsar/rows/_delta_log", 0o000, "read"),
        ("lake/pulsar/rows/_delta_log/00000000000000000000.json", 0o000, "read"),
        ("lake/pulsar/rows/side=train/label=0/*.parquet", 0o000, "read"),
    ],
)
def test_a_step_names_what_it_may_not_use(home: Path, place: str, mode: int, use: str) -> None:
    """With the user, the spec and what to do; once that is done the delivery is taken in whole."""
    (path,) = home.glob(place)
    said, rows = take_in(home, place, mode).rstrip().rsplit("\n", 1)
    assert f"may not {use} {path}, which the spec pulsar needs: nothing is half there" in said
    assert int(rows.removeprefix("rows ")) > ROWS * 1.9


def test_a_checkpoint_that_may_not_be_read_is_set_aside(home: Path) -> None:
    """As one that is damaged: the log's own entries say the same."""
    table = home / "lake" / "pulsar" / "rows"
    DeltaTable(str(table)).create_checkpoint()
    assert int(take_in(home, "lake/**/*.checkpoint.parquet", 0).removeprefix("rows ")) > ROWS * 1.9
    assert list((home / "lake" / "pulsar").glob("set-aside/*/_delta_log/*.checkpoint.parquet"))


def test_another_failure_keeps_its_own_words(spec: Spec, tmp_path: Path) -> None:
    """A library's error, and one without a permission behind it."""
    settings = read_settings({"RATCHET_HOME": str(tmp_path)})
    for error in (FileNotFoundError(2, "No such file"), OSError("Generic error"), KeyError("x")):
        with pytest.raises(type(error)), access_required(spec, settings):
            raise error


def test_a_disk_that_is_mounted_read_only_is_said_so(spec: Spec, tmp_path: Path) -> None:
    """By the system's own number; the file is the one that it names."""
    settings = read_settings({"RATCHET_HOME": str(tmp_path)})
    with (
        pytest.raises(DeniedError, match=r"/x/rows.* mounted read-only: .*, then do this again"),
        access_required(spec, settings),
    ):
        raise OSError(30, "Read-only file system", "/x/rows")
