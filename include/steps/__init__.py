"""The pipeline, a file a verb: each reads, calls its pure stage of `include.stages`, and writes.

A step may be killed at any instruction and run again: what it wrote is whole or absent, and what it
recorded is found again by the run that recorded it. `STEPS` is the table of contents, in the order
of a run. A step is imported when it is called, because what one needs costs seconds and memory that
another does not.
"""

from collections.abc import Callable
from importlib import import_module
from types import MappingProxyType
from typing import Any

STEPS = MappingProxyType(
    {
        "ingest": "ingest",
        "dedup": "dedup",
        "split": "split",
        "refusals": "refusals",
        "plan": "plan",
        "screen": "select",
        "shortlist": "select",
        "heat": "select",
        "finalists": "select",
        "fit": "fit",
        "score": "score",
        "decide": "decide",
        "preflight": "preflight",
        "promote": "promote",
        "serve": "serve",
        "report": "report",
        "roll_back": "roll_back",
    }
)
"""The file of each step that a task calls."""


def step_named(name: str) -> Callable[..., Any]:
    """Return a step by its name."""
    step: Callable[..., Any] = getattr(import_module(f"include.steps.{STEPS[name]}"), name)
    return step
