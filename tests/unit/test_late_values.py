"""A column whose first value stands far behind the start of a first file."""

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from include.spec.spec_files import read_spec
from include.stages.ingest import ingest

ROWS = 120_000
SPEC = """
title = "Late"
model = "late-model"
[data]
target = "target"
exclude = ["name"]
[[families]]
name = "naive_bayes"
pipeline = ["sklearn.naive_bayes.GaussianNB"]
"""


@pytest.mark.parametrize(("name", "pack"), [("a.csv", bytes), ("a.csv.gz", gzip.compress)])
def test_no_row_is_lost_of_a_file_that_is_looked_through_for_a_first_value(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    """The search reads the file to its end, beside those who read its rows."""
    (tmp_path / "late.toml").write_text(SPEC)
    spec = read_spec(tmp_path / "late.toml")
    lines = (
        f"n{row},{row % 2},{row / 7:.9f},{row if row > ROWS - 9 else ''}" for row in range(ROWS)
    )
    content = "name,target,width,late\n" + "\n".join(lines) + "\n"
    file = io.BytesIO(pack(content.encode()))
    ingested = ingest(file, name, spec, None, 1 << 18)
    assert ingested.contract.features == ("width", "late")
    assert sum(part.frame.height + len(part.refused) for part in ingested.parts) == ROWS
