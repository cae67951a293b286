"""The steps of the pipeline, one file for each verb.

A step reads from disk and network, calls its pure stage of `include.stages`, and writes the result.
It may be killed at any instruction and run again: every file and every record that it writes is
either complete or absent, and the same run finds again what it has already written.

`STEPS` is the table of contents, in the order of a run. A step is imported only when it is called,
because some steps need libraries that cost seconds and memory which the others do not need.
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
        "run_job": "select",
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
"""The module of `include.steps` that holds each step, by the name of the step."""


def step_named(name: str) -> Callable[..., Any]:
    """Import the module of a step and return the step's function; KeyError for an unknown name."""
    step: Callable[..., Any] = getattr(import_module(f"include.steps.{STEPS[name]}"), name)
    return step
