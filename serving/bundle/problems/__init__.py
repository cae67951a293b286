"""The problems that models solve: the server's half of each.

A module of this folder answers for one problem, as its `PROBLEM`: what a model is asked, what an
answer holds, and what is told of the model. Whoever has a manifest or a bundle asks here and never
which problem it is. The other half, labels, figures and pictures, is `include.problems`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from serving.bundle.refused_bundle import BundleRefusedError, quotable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from serving.bundle.files import Manifest

    Numbers = NDArray[np.float64]

PROBLEMS = ("binary",)
"""The modules of this folder, a problem each."""
FIRST_PROBLEM = "binary"
"""That of a manifest which names none: release 0.1.0 knew no other."""


class OutputColumn(NamedTuple):
    """One column of an answer."""

    name: str
    datatype: str
    """As the protocol has it."""
    schema: Mapping[str, Any]
    """The JSON schema of a value."""


class AnswerColumns(Protocol):
    """What answers of one model hold, worked out once."""

    outputs: tuple[OutputColumn, ...]
    """The columns of an answer, in order."""
    parameters: Mapping[str, float]
    """What each answer states beside them."""

    def values(self, scores: Numbers) -> Mapping[str, list[Any]]:
        """Return the values of each output, as JSON has them."""


class Problem(Protocol):
    """One problem. What a model says of rows are scores: numbers whose first axis is the rows."""

    name: str
    """As a spec and a manifest have it: that of its module."""

    score_name: str
    """What a score is called in a sentence."""

    def fits(self, manifest: Manifest) -> bool:
        """Say whether the fields of a manifest are of the kinds that this problem needs."""

    def scores(self, model: Any, X: NDArray[np.float32]) -> Numbers:
        """Return what a fitted model says of a matrix, as far as answers are made of it."""

    def are_usable(self, scores: Numbers) -> bool:
        """Say quickly whether all scores can be answered as they are."""

    def usable(self, scores: Numbers) -> Numbers:
        """Return scores as they are answered, NaN where one is farther off than rounding goes."""

    def columns(self, manifest: Manifest) -> AnswerColumns:
        """Return what answers of a model hold."""

    def metadata(self, manifest: Manifest) -> Mapping[str, Any]:
        """Return what the metadata of a model tell beside its layout."""

    def log_columns(self, manifest: Manifest, scores: Numbers) -> Mapping[str, NDArray[Any]]:
        """Return what the request log holds of answers: numbers, or texts, in order."""

    def calls(self, manifest: Manifest, scores: Numbers) -> NDArray[Any]:
        """Return what rows are taken for, shape (rows,), to be compared with another model's."""


@cache
def problems() -> Mapping[str, Problem]:
    """Return every problem by its name."""
    modules = (import_module(f"{__name__}.{module}") for module in PROBLEMS)
    return {module.PROBLEM.name: module.PROBLEM for module in modules}


def problem_named(name: str) -> Problem:
    """Return the problem of this name; BundleRefusedError for one that is not known here."""
    known = problems()
    if name not in known:
        raise BundleRefusedError(
            f"its problem is {quotable(name)}, and this server knows {', '.join(known)}: serve it "
            "with the release that trained it, or a later one"
        )
    return known[name]
