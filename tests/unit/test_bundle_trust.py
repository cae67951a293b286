"""What a model file may name when it is opened, whatever its digest says."""

import collections
import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import fetch_openml
from sklearn.preprocessing import FunctionTransformer

from serving.bundle import BundleRefusedError, Layout, Manifest, load, save
from serving.bundle.trust import open_model


class _Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


FORBIDDEN = {
    "a shell": _Calls(os.system, "true"),
    "a process": _Calls(subprocess.Popen, "true"),
    "code": _Calls(eval, "1 + 1"),
    "an attribute of anything": _Calls(getattr, "text", "upper"),
    "a download": _Calls(fetch_openml, "iris"),
    "a foreign class": collections.Counter("abc"),
}


@pytest.mark.parametrize("forged", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_what_no_model_is_made_of_is_not_run(tmp_path: Path, forged: Any) -> None:
    """A digest that matches does not help a file that names something else."""
    manifest = Manifest("boxes", "forged", Layout(("height",)), 0.5, ("0", "1"), data_version=1)
    digest = save(tmp_path, forged, manifest)
    with pytest.raises(BundleRefusedError, match="not on the list of what a model may"):
        load(tmp_path, digest)


def test_what_a_trusted_module_imported_is_not_trusted(tmp_path: Path) -> None:
    """What belongs to another library is refused also under the name of a scikit-learn module."""
    path = tmp_path / "model.joblib"
    path.write_bytes(b"csklearn.utils._testing\nCalledProcessError\n.")
    with pytest.raises(BundleRefusedError, match="CalledProcessError"):
        open_model(path)


def test_a_function_of_numpy_may_stand_in_a_model(tmp_path: Path) -> None:
    """A transformer with a logarithm opens and works."""
    path = tmp_path / "model.joblib"
    path.write_bytes(pickle.dumps(FunctionTransformer(np.log1p)))
    assert open_model(path).transform(np.zeros((1, 1))).tolist() == [[0.0]]
