"""How pydantic reads a record that is stored in another form than that of its fields."""

from collections.abc import Callable
from typing import Any


def read_after(
    change: Callable[[dict[str, Any]], dict[str, Any]], source: Any, handler: Any
) -> Any:
    """Return the schema of a record whose stored fields are changed before they are read."""
    from pydantic_core import core_schema

    def changed(stored: Any) -> Any:
        return change(stored) if isinstance(stored, dict) else stored

    return core_schema.no_info_before_validator_function(changed, handler(source))
