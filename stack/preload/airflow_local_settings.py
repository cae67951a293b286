# ruff: noqa: INP001 - Airflow imports it from this folder by its bare name
"""Import what tasks need before the scheduler forks its workers.

Airflow imports a module of this name from the path; only the scheduler's path has this folder.
Tasks are forks of its workers, so their imports fall from seconds to nothing. Each learner says
what is imported of its library. Importing starts the
threads of allocators, which know forks, but no pool that computes: polars, pyarrow, deltalake and
(with OMP_NUM_THREADS=1) OpenBLAS start theirs on first use, after the fork, so no task inherits a
lock that nobody will release.
"""

import importlib
import warnings

from include import learners

__all__: list[str] = []
# Airflow takes every public name of this module for a policy, hence the empty list above.

_LIBRARIES = (
    "numpy",
    "pandas",
    "pyarrow.csv",
    "pyarrow.parquet",
    "polars",
    "deltalake",
    "xxhash",
    "scipy.stats",
    "matplotlib.pyplot",
    "mlflow",
    "mlflow.sklearn",
    "skops.io",
)

# Inside Airflow a first import of skops writes a thousand deprecation warnings to the log.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for _library in _LIBRARIES:
        importlib.import_module(_library)
    learners.import_ahead()
