"""Reads `rows.csv`: the refused rows of a batch, from quarantine or as a person has mended them."""

import csv
import io
import sys

from include.adapters.landing import Landing
from include.errors import NothingToDoError
from include.text.spreadsheet_cells import restored_cell


def rows_of(landing: Landing, digest: str) -> list[dict[str, str]]:
    """Return the refused rows of a batch, as `read_rows` does; empty when there are none."""
    return read_rows(landing.read_quarantine(digest).rows or b"")


def read_rows(table: bytes) -> list[dict[str, str]]:
    """Return each row of a `rows.csv` as a dict with the keys line, column, reason and raw.

    Raises NothingToDoError when the bytes are not UTF-8 CSV with the columns raw and reason.
    """
    # The csv module refuses fields of more than 128 KiB, and a raw row may be longer.
    limit = csv.field_size_limit(sys.maxsize)
    try:
        text = io.StringIO(table.decode("utf-8-sig"), newline="")
        rows = [
            {
                name: restored_cell(cell) if isinstance(cell, str) else ""
                for name, cell in row.items()
            }
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
