"""Packs records as plain JSON, which people can read in the Airflow UI, and unpacks them.

Records hold counts, digests, versions and scores: references to data and models, never a frame or a
model.
"""

import inspect
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from include.text.showable import showable_values


def pack(result: Any) -> Any:
    """Return a record, or a list of records, as plain JSON values: no tuple, no enum.

    Every text is made safe for any database, whoever wrote it.
    """
    fields = [asdict(record) for record in result] if isinstance(result, list) else asdict(result)
    return showable_values(json.loads(json.dumps(fields)))


def unpack_arguments(step: Callable[..., Any], values: Iterable[Any]) -> list[Any]:
    """Return JSON values as the records that a step's annotations name, behind its context.

    Raises pydantic's ValidationError for a value that is no such record.
    """
    annotated = get_type_hints(step)
    _context, *parameters = inspect.signature(step).parameters
    return [
        TypeAdapter(annotated[parameter]).validate_python(value)
        for parameter, value in zip(parameters, values, strict=False)
    ]
