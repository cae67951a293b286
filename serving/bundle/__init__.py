"""The model format that training writes and serving reads.

A bundle is a folder of two files. `model.joblib` is a fitted scikit-learn classifier that carries
its own decision threshold; `bundle.json` names how a row is laid out, the labels, and the digest of
the model file. The digest of `bundle.json` itself is what the registry records, so one string pins
both files and nothing is unpickled before it was verified.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.bundle.files import (
        Bundle,
        Manifest,
        libraries,
        load,
        read_manifest,
        save,
        with_own_answers,
    )
    from serving.bundle.frequency import ValueFrequency
    from serving.bundle.layout import (
        Layout,
        Value,
        encode,
        encode_column,
        read_layout,
        read_texts,
        stand_in,
    )
    from serving.bundle.probing import ProbedAnswers, answers, odd_rows
    from serving.bundle.refused_bundle import BundleRefusedError
    from serving.bundle.threads import single_thread

__all__ = [
    "Bundle",
    "BundleRefusedError",
    "Layout",
    "Manifest",
    "ProbedAnswers",
    "Value",
    "ValueFrequency",
    "answers",
    "encode",
    "encode_column",
    "libraries",
    "load",
    "odd_rows",
    "read_layout",
    "read_manifest",
    "read_texts",
    "save",
    "single_thread",
    "stand_in",
    "with_own_answers",
]

_MADE_IN = {
    "Bundle": "files",
    "Manifest": "files",
    "with_own_answers": "files",
    "libraries": "files",
    "load": "files",
    "read_manifest": "files",
    "save": "files",
    "ValueFrequency": "frequency",
    "Layout": "layout",
    "Value": "layout",
    "encode": "layout",
    "encode_column": "layout",
    "read_layout": "layout",
    "read_texts": "layout",
    "stand_in": "layout",
    "ProbedAnswers": "probing",
    "answers": "probing",
    "odd_rows": "probing",
    "BundleRefusedError": "refused_bundle",
    "single_thread": "threads",
}
"""Where each name is. A module is imported when a name of it is first asked for: who only reads
rows needs no learning library, which takes seconds to import."""


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in _MADE_IN:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(f"{__name__}.{_MADE_IN[name]}"), name)
