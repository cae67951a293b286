"""Packs records as plain JSON, which people can read in the Airflow UI, and unpacks them.

Records hold counts, digests, versions and scores: references to data and models, never a frame or a
model.
"""

import inspect
import json
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from include.records.judging import Scorecard, Scores
from include.text.showable import showable_values


def pack(result: Any) -> Any:
    """Return a record, or a list of records, as plain JSON values: no tuple, no enum.

    Every text is made safe for any database, whoever wrote it.
    """
    return showable_values(json.loads(json.dumps(fields_of(result))))


def fields_of(value: Any) -> Any:
    """Return a record, or a collection of records, as plain values in the form that is stored."""
    if isinstance(value, Scores | Scorecard):
        return {name: fields_of(held) for name, held in value.stored().items()}
    if is_dataclass(value):
        return {field.name: fields_of(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: fields_of(held) for key, held in value.items()}
    return [fields_of(held) for held in value] if isinstance(value, list | tuple) else value


def unpack_arguments(step: Callable[..., Any], values: Iterable[Any]) -> list[Any]:
    """Return JSON values as the records that a step's annotations name, behind its context.

    Raises pydantic's ValidationError for a value that is no such record.
    """
    annotated = get_type_hints(step)
    _context, *parameters = inspect.signature(step).parameters
    return [
        unpack(annotated[parameter], value)
        for parameter, value in zip(parameters, values, strict=False)
    ]


def unpack(kind: Any, value: Any) -> Any:
    """Return JSON values as a record of `kind`, or a collection of them; raises as above."""
    return TypeAdapter(kind).validate_python(value)
