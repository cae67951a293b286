"""Two classes: an answer is the probability of the positive one, and a label by a threshold."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.bundle.files import Manifest
from serving.bundle.probing import TOLERANCE
from serving.bundle.problems import AnswerColumns, OutputColumn, Problem
from serving.values.datatypes import TEXT

Numbers = NDArray[np.float64]
Label = int | str


class _Columns(AnswerColumns):
    """The probability of the positive label, and the label."""

    def __init__(self, manifest: Manifest) -> None:
        datatype, self._labels = label_values(manifest.labels)
        self._threshold = manifest.threshold
        probability = {"type": "number", "minimum": 0, "maximum": 1}
        kind = "string" if datatype == TEXT else "integer"
        self.outputs = (
            OutputColumn("probability", "FP64", probability),
            OutputColumn("label", datatype, {"type": kind, "enum": list(self._labels)}),
        )
        self.parameters = {"threshold": manifest.threshold}

    def values(self, scores: Numbers) -> dict[str, list[Any]]:
        negative, positive = self._labels
        reached = (scores >= self._threshold).tolist()
        labels = [positive if one else negative for one in reached]
        return {"probability": scores.tolist(), "label": labels}


class Binary(Problem):
    """Scores are probabilities of the positive class, float64 of shape (rows,)."""

    name, score_name = "binary", "probability"

    def fits(self, manifest: Manifest) -> bool:
        """Say whether there are two labels and a threshold."""
        return (
            len(manifest.labels) == 2  # noqa: PLR2004 - one a class
            and type(manifest.threshold) in {int, float}
            and not math.isnan(manifest.threshold)
        )

    def scores(self, model: Any, X: NDArray[np.float32]) -> Numbers:
        """Return the probability of the positive class."""
        return np.asarray(model.predict_proba(X)[:, 1], dtype=np.float64)

    def usable(self, scores: Numbers) -> Numbers:
        """Return probabilities from 0 to 1, NaN where one is farther off than rounding explains.

        A sum of shares in 32 bits may come to a hair more than 1.
        """
        between = np.clip(scores, 0.0, 1.0)
        return np.where(np.abs(between - scores) <= TOLERANCE, between, np.nan)

    def are_usable(self, scores: Numbers) -> bool:
        """Say whether all of them are from 0 to 1; a NaN is not."""
        return bool(scores.min() >= 0 and scores.max() <= 1)

    def columns(self, manifest: Manifest) -> _Columns:
        """Return the probability and the label."""
        return _Columns(manifest)

    def metadata(self, manifest: Manifest) -> Mapping[str, Any]:
        """Return the threshold and both labels."""
        return {"threshold": manifest.threshold, "labels": manifest.labels}

    def log_columns(self, manifest: Manifest, scores: Numbers) -> Mapping[str, NDArray[Any]]:
        """Return the probability and the label as it stands in the data."""
        labels = np.array(manifest.labels, dtype=object)
        return {"probability": scores, "label": labels[self.calls(manifest, scores)]}

    def calls(self, manifest: Manifest, scores: Numbers) -> NDArray[np.int64]:
        """Return 1 where the probability reaches the model's own threshold, else 0."""
        return (scores >= manifest.threshold).astype(np.int64)


def label_values(labels: tuple[str, ...]) -> tuple[str, tuple[Label, ...]]:
    """Return the V2 datatype of the label output and the labels as they go over the wire.

    INT64 when all labels are whole numbers written the plain way, so that "01" stays text.
    """
    if all(map(_is_whole, labels)):
        return "INT64", tuple(map(int, labels))
    return TEXT, labels


def _is_whole(label: str) -> bool:
    digits = label.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < len(str(2**63))):
        return False
    return str(int(label)) == label


PROBLEM = Binary()
