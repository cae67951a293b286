"""Tasks are forks of a scheduler that has imported their libraries."""

import os
import subprocess
import sys

from include.settings import PROJECT

_FORK = """
import os, sys
import airflow_local_settings
from include.learners import learners
assert {learner.package for learner in learners()} <= set(sys.modules)
import numpy as np, polars as pl, pyarrow as pa, pyarrow.compute as pc, xgboost
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
frame = pl.DataFrame({"a": np.arange(200_000) % 7, "b": np.arange(200_000)})
assert frame.lazy().group_by("a").agg(pl.col("b").sum()).collect().height == 7
assert pc.sum(pa.array(np.arange(200_000))).as_py() == 19_999_900_000
xgboost.XGBClassifier(n_estimators=2).fit(np.eye(20), np.arange(20) % 2)
(np.ones((400, 400)) @ np.ones((400, 400))).sum()
os._exit(0)
"""


def test_a_fork_of_the_preloaded_scheduler_computes() -> None:
    """No library that was imported before the fork hangs or fails after it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORK],
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join((str(PROJECT / "stack" / "preload"), str(PROJECT))),
            "OMP_NUM_THREADS": "1",
            "MPLBACKEND": "Agg",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
        timeout=60,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
