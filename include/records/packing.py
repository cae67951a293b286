"""Packs records as plain JSON, which people can read in the Airflow UI.

Records hold counts, digests, versions and scores: references to data and models, never a frame or a
model. pydantic turns the JSON back into the record in the next step.
"""

import json
from dataclasses import asdict
from typing import Any

from include.text.showable import showable_values


def pack(result: Any) -> Any:
    """Return a record, or a list of records, as plain JSON values: no tuple, no enum.

    Every text is made safe for any database, whoever wrote it.
    """
    fields = [asdict(record) for record in result] if isinstance(result, list) else asdict(result)
    return showable_values(json.loads(json.dumps(fields)))
