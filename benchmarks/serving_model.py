"""The one model that every server of the benchmark serves, and the requests that ask it.

XGBoost, 500 trees of depth 6 on 200 features, fitted once on synthetic rows and kept under the
temporary folder. Each server opens the same trees: Ratchet from a bundle, as the pipeline saves it,
the others from XGBoost's own file.
"""

import json
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo.data import santander_rows
from serving.bundle import Layout, Manifest, libraries, save

NAME = "santander-model"
FEATURES = 200
THRESHOLD = 0.25
_FITTED_ROWS = 20_000
_TREES, _DEPTH = 500, 6
_CONTINUED = 0x80
"""Of a protobuf integer: the bit that says that it goes on, and the base that it is written in."""
Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """Where the fitted model is, and rows with the answers that it gives them."""

    xgboost_file: Path
    bundle: Path
    digest: str
    rows: Rows
    """Shape (1000, 200), four decimals as in the real data."""
    expected: NDArray[np.float64]
    """The probability of the positive class for each row."""


def model(work: Path) -> Model:
    """Return the model, fitted the first time that this machine is asked for it.

    The bundle is written below `work`.
    """
    folder = Path(tempfile.gettempdir()) / f"ratchet-bench-{_TREES}-{_DEPTH}-{_FITTED_ROWS}"
    folder.mkdir(exist_ok=True)
    file = folder / "model.json"
    if not file.exists():
        _fit(file)
    from xgboost import XGBClassifier

    fitted = XGBClassifier(n_jobs=1)
    fitted.load_model(file)
    rows = _features(1000, seed=1)
    expected = fitted.predict_proba(rows.astype(np.float32))[:, 1].astype(np.float64)
    bundle = work / "bundle"
    bundle.mkdir()
    return Model(
        file, bundle, save(bundle, _as_registered(fitted), _manifest(rows)), rows, expected
    )


def v2_body(rows: Rows, output: str | None = None) -> bytes:
    """Return a V2 JSON request for these rows, asking for one output or for all."""
    tensor = {"name": "features", "shape": list(rows.shape), "datatype": "FP32"}
    question: dict[str, Any] = {"inputs": [tensor | {"data": rows.ravel().tolist()}]}
    return json.dumps(question | _asked(output)).encode()


def v2_binary(rows: Rows, output: str | None = None) -> tuple[bytes, int]:
    """Return a V2 request with a binary tensor, and the length of its JSON part."""
    data = rows.astype("<f4").tobytes()
    tensor = {"name": "features", "shape": list(rows.shape), "datatype": "FP32"}
    sized = tensor | {"parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [sized], **_asked(output)}).encode()
    return head + data, len(head)


def v2_grpc(rows: Rows, name: str, output: str | None = None) -> bytes:
    """Return a serialised `inference.ModelInferRequest` with the values in `fp32_contents`.

    Written by hand, so that a client measures a server and not its own protobuf library; field
    numbers as in open_inference_grpc.proto of the Open Inference Protocol.
    """
    shape = b"".join(_varint(side) for side in rows.shape)
    contents = _field(6, rows.astype("<f4").tobytes())
    tensor = _field(1, b"features") + _field(2, b"FP32") + _field(3, shape) + _field(5, contents)
    asked = b"" if output is None else _field(6, _field(1, output.encode()))
    return _field(1, name.encode()) + _field(5, tensor) + asked


def _asked(output: str | None) -> dict[str, Any]:
    return {} if output is None else {"outputs": [{"name": output}]}


def _field(number: int, value: bytes) -> bytes:
    """Return a length-delimited field in protobuf's wire format."""
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    digits = []
    while value >= _CONTINUED:
        digits.append(value % _CONTINUED | _CONTINUED)
        value //= _CONTINUED
    return struct.pack(f"{len(digits) + 1}B", *digits, value)


def _fit(file: Path) -> None:
    from xgboost import XGBClassifier

    rows = santander_rows(_FITTED_ROWS, seed=0)
    classifier = XGBClassifier(n_estimators=_TREES, max_depth=_DEPTH, n_jobs=2)
    classifier.fit(
        rows.drop("ID_code", "target").to_numpy().astype(np.float32), rows["target"].to_numpy()
    )
    draft = file.with_suffix(".draft.json")
    classifier.save_model(draft)
    draft.replace(file)


def _features(count: int, seed: int) -> Rows:
    return santander_rows(count, seed).drop("ID_code", "target").to_numpy()


def _as_registered(fitted: Any) -> Any:
    """Wrap the classifier as the pipeline registers it: a pipeline with its threshold built in."""
    from sklearn.frozen import FrozenEstimator
    from sklearn.model_selection import FixedThresholdClassifier
    from sklearn.pipeline import make_pipeline

    wrapped = FixedThresholdClassifier(
        FrozenEstimator(make_pipeline(fitted)),
        threshold=THRESHOLD,
        pos_label=1,
        response_method="predict_proba",
    )
    return wrapped.fit(np.zeros((2, FEATURES), dtype=np.float32), np.array([0, 1]))


def _manifest(rows: Rows) -> Manifest:
    return Manifest(
        name=NAME,
        family="xgboost",
        layout=Layout(tuple(f"var_{number}" for number in range(FEATURES))),
        threshold=THRESHOLD,
        labels=("0", "1"),
        data_version=1,
        example=tuple(map(tuple, rows[:5].tolist())),
        libraries=libraries(),
    )
