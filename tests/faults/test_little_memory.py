"""A train side that is larger than the memory its fit takes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import in_little_memory


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home whose lake holds a million rows."""
    home = tmp_path_factory.mktemp("large")
    in_little_memory.lay_out(in_little_memory.opened(home))
    return home


def fitting(home: Path, way: str) -> subprocess.Popen[str]:
    """Start a fit in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.in_little_memory", home, way],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What an allocator keeps at hand for each thread is no matter of the fit.
        env=os.environ | {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"},
    )


def test_a_fit_in_less_memory_than_its_matrix_is_as_good(home: Path) -> None:
    """Block by block the peak stays below the matrix, in memory it does not; AUC is the same."""
    started = {way: fitting(home, way) for way in ("blocks", "memory")}
    told = {way: process.communicate() for way, process in started.items()}
    for way, process in started.items():
        assert process.returncode == 0, told[way][1]
    blocks, memory = (json.loads(told[way][0].splitlines()[-1]) for way in started)
    assert blocks["peak_mib"] < in_little_memory.MATRIX_MIB < memory["peak_mib"]
    assert blocks["auc"] == pytest.approx(memory["auc"], abs=0.005)
    assert not list((home / "scratch" / "fit").iterdir())
