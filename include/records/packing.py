"""Records as plain JSON, so that a person reads them in the Airflow UI.

Records carry counts, digests, versions and scores: references to data and models, never a frame or
a model. pydantic turns the JSON back into the record at the next step.
"""

import json
from dataclasses import asdict
from typing import Any

from include.text.showable import showable_values


def pack(result: Any) -> Any:
    """Return a record, or a sequence of records, as plain JSON values: no tuple, no enum.

    Every text is one that any database takes, whoever wrote it.
    """
    fields = [asdict(one) for one in result] if isinstance(result, list) else asdict(result)
    return showable_values(json.loads(json.dumps(fields)))
