"""The rows of a `rows.csv`, as quarantine holds it or as a person has mended it."""

import csv
import io
import sys

from include.adapters.landing import Landing
from include.errors import NothingToDoError
from include.text.spreadsheet_cells import restored


def rows_of(landing: Landing, digest: str) -> list[dict[str, str]]:
    """Return the refused rows that quarantine holds of a batch."""
    return read_rows(landing.read_quarantine(digest).rows or b"")


def read_rows(table: bytes) -> list[dict[str, str]]:
    """Read a rows.csv; NothingToDoError for what is no copy of one."""
    # A row of a file may be longer than the module takes a field for.
    limit = csv.field_size_limit(sys.maxsize)
    try:
        text = io.StringIO(table.decode("utf-8-sig"), newline="")
        rows = [
            {name: restored(cell) if isinstance(cell, str) else "" for name, cell in row.items()}
            for row in csv.DictReader(text)
        ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise NothingToDoError(
            f"this is no copy of a rows.csv ({error}): save it as comma-separated UTF-8"
        ) from error
    finally:
        csv.field_size_limit(limit)
    if rows and not {"raw", "reason"} <= rows[0].keys():
        raise NothingToDoError(
            f"this is no copy of a rows.csv: its columns are {', '.join(map(str, rows[0]))}. "
            "Save it as comma-separated UTF-8 with the columns line,column,reason,raw"
        )
    return rows
