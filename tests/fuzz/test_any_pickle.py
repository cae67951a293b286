"""Thousands of model files that no pipeline wrote: refused, or an object of listed classes."""

import json
import os
import subprocess
import sys
from pathlib import Path

from include.settings import PROJECT
from tests.suite_profile import PROFILE

PICKLES = PROFILE.bodies
SEED = 20260202


def test_any_pickle_is_refused_or_made_of_what_is_listed(tmp_path: Path) -> None:
    """Nothing is run, imported, written or asked on the way, no memory taken, nothing hangs."""
    command = [sys.executable, "-m", "tests.fuzz.opened", str(PICKLES), str(SEED)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=3000,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes = json.loads(done.stdout)
    sys.stdout.write(f"\n{PICKLES:,} pickles: {outcomes}\n")
    assert sum(outcomes.values()) == PICKLES
    assert min(outcomes["refused"], outcomes["opened"]) > PICKLES / 50
