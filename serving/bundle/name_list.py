"""The names that a model file may hold, by what is done with each: `trusted_names.json`."""

import json
from enum import StrEnum
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from serving.bundle.refused_bundle import require

NAMES_FILE = Path(__file__).with_name("trusted_names.json")


class NameKind(StrEnum):
    """What is done with a name."""

    VALUES = "values"
    """Types that are values themselves."""
    IGNORED = "ignored"
    """Read as None."""
    KEPT = "kept"
    """Functions that an estimator holds and calls."""
    CLASSES = "classes"
    """Made empty, and given attributes."""
    REBUILT = "rebuilt"
    """Called by `rebuilding`, which looks at the arguments."""
    ARGUMENTS = "arguments"
    """Good as an argument of such a call."""


class TrustedName:
    """What the list has a name for, before it is called."""

    def __init__(self, module: str, name: str) -> None:
        """Take both as the file has them."""
        self.module, self.name = module, name


@cache
def trusted_names() -> dict[NameKind, frozenset[tuple[str, str]]]:
    """Return the names by what is done with them, as `include.cli.trusted_names` sorts them."""
    listed = json.loads(NAMES_FILE.read_text())
    return {
        NameKind(kind): frozenset(
            (module, name) for module, names in modules.items() for name in names
        )
        for kind, modules in listed.items()
    }


@cache
def trusted_class(module: str, name: str) -> Any:
    """Return a class of the list; refused where it is none with the libraries that are here."""
    found = getattr(import_module(module), name)
    require(isinstance(found, type), f"{module}.{name} is no class here")
    return found
