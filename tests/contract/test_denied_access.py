"""A place that this user may not use is named in one sentence, and all goes on once it may.

Root may use everything, so that the steps run in a process without that privilege.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

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
import json, sys
from pathlib import Path
from include.context.denied_access import access_required
from include.context.step_context import step_context
from include.errors import RatchetError
from include.settings import read_settings
from include.spec.spec_files import read_spec
from tests.contract.pipeline import take_in


def sentence(home, spec):
    settings = read_settings({"RATCHET_HOME": str(home), "RATCHET_MLFLOW_PORT": "1"})
    try:
        with access_required(spec, settings):
            context = step_context(spec, settings)
            take_in(context)
            return f"rows {context.lake.dataset().rows}"
    except RatchetError as error:
        return str(error)


def said(home, place, mode):
    (path,) = Path(home).glob(place)
    spec, usual, sentences = read_spec(Path(home) / "pulsar.toml"), path.stat().st_mode, []
    for now in (mode, usual):
        if path.exists():  # a checkpoint may have been set aside
            path.chmod(now)
        sentences.append(sentence(home, spec))
    return [str(path), *sentences]


print(json.dumps([said(*case) for case in json.loads(sys.argv[1])]))
"""


class Case(NamedTuple):
    """A place of a home that has a mode for a while, and what it may then not be used for."""

    place: str
    mode: int
    use: str


class Said(NamedTuple):
    """What is said while a path has the mode of a case, and once it has its usual one again."""

    path: str
    denied: str
    allowed: str


USUAL = Case("landing", 0o755, "")
CHECKPOINT = Case("lake/**/*.checkpoint.parquet", 0o000, "")
DENIED = [
    Case("landing/pulsar", 0o000, "read"),
    Case("landing/pulsar", 0o555, "write to"),
    Case("lake/pulsar/rows/side=train", 0o555, "write to"),
    Case("lake/pulsar/rows/_delta_log", 0o555, "write to"),
    Case("lake/pulsar/rows/_delta_log", 0o000, "read"),
    Case("lake/pulsar/rows/_delta_log/00000000000000000000.json", 0o000, "read"),
    Case("lake/pulsar/rows/side=train/*.parquet", 0o000, "read"),
]


def take_in(homes: dict[Case, Path]) -> dict[Case, Said]:
    """Take in what waits in each home, without root's privilege, twice."""
    cases = json.dumps([(str(home), case.place, case.mode) for case, home in homes.items()])
    done = subprocess.run(
        [sys.executable, "-c", AS_ANYBODY, "-c", TAKE_IN, cases],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(homes, (Said(*each) for each in json.loads(done.stdout)), strict=True))


def deliver(home: Path, seed: int) -> None:
    """Drop a file."""
    path = home / "landing" / "pulsar" / f"{seed}.csv"
    path.write_text(pulsar_rows(ROWS, seed=seed).write_csv())


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[Case, Path]:
    """Return a home for each case: one delivery in its table, a second that waits."""
    first = tmp_path_factory.mktemp("denied") / "first"
    (first / "landing" / "pulsar").mkdir(parents=True)
    (first / "pulsar.toml").write_text(PULSARS)
    deliver(first, 1)
    assert take_in({USUAL: first})[USUAL].denied.startswith("rows")
    copies = {case: first.with_name(f"{n}") for n, case in enumerate([*DENIED, CHECKPOINT])}
    for copy in copies.values():
        shutil.copytree(first, copy)
        deliver(copy, 2)
    DeltaTable(str(copies[CHECKPOINT] / "lake" / "pulsar" / "rows")).create_checkpoint()
    return copies


@pytest.fixture(scope="module")
def said(homes: dict[Case, Path]) -> dict[Case, Said]:
    """Return what is said in each of them, by one process: to start it takes seconds."""
    return take_in(homes)


@pytest.mark.parametrize("case", DENIED, ids=lambda case: f"{case.place} {case.mode:o}")
def test_a_step_names_what_it_may_not_use(said: dict[Case, Said], case: Case) -> None:
    """With the user, the spec and what to do; once that is done the delivery is taken in whole."""
    path, sentence, rows = said[case]
    assert f"may not {case.use} {path}, which the spec pulsar needs: nothing is half" in sentence
    assert int(rows.removeprefix("rows ")) > ROWS * 1.9


def test_a_checkpoint_that_may_not_be_read_is_set_aside(
    homes: dict[Case, Path], said: dict[Case, Said]
) -> None:
    """As one that is damaged: the log's own entries say the same."""
    assert int(said[CHECKPOINT].denied.removeprefix("rows ")) > ROWS * 1.9
    lake = homes[CHECKPOINT] / "lake" / "pulsar"
    assert list(lake.glob("set-aside/*/_delta_log/*.checkpoint.parquet"))


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
