"""No bytes, under whatever name, do more to ingest than have the file refused."""

import gzip
import io
from dataclasses import dataclass, field

import polars as pl
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from include.errors import FileRefusedError
from include.spec.model_spec import Spec
from include.stages.ingest import (
    ingest,
    outside_ranges,
    raw_texts,
    stated_format,
    summary_of,
    with_ranges_seen,
)

# Random bytes rarely get past a file's first lines, so flips of good files come beside them. The
# long profile makes 20,000 examples of the two together.
MANY = settings(max_examples=settings().max_examples * 6)
PACKINGS = ["", ".gz", ".zst"]
NAMES = [f"x{kind}{packing}" for kind in (".csv", ".jsonl", ".parquet") for packing in PACKINGS]


def a_spec() -> Spec:
    """Return a spec that takes any columns."""
    family = {"name": "tree", "pipeline": ("sklearn.tree.DecisionTreeClassifier",)}
    data = {"target": "y", "missing": ("c",), "max_refused_share": 1.0}
    fields = {"name": "s", "model": "m", "title": "", "data": data, "families": (family,)}
    return Spec.model_validate(fields)


SPEC = a_spec()
ROWS = pl.DataFrame(
    {"a": [1.5, -2.0, 0.0] * 5, "c": ["x", None, "zw\u00f6lf"] * 5, "y": [1, 0, 1] * 5}
)


def written(name: str) -> bytes:
    """Return a good file of that name."""
    out = io.BytesIO()
    if ".parquet" in name:
        ROWS.write_parquet(out, compression="uncompressed", row_group_size=6)
    elif ".jsonl" in name:
        ROWS.write_ndjson(out)
    else:
        ROWS.write_csv(out)
    if name.endswith(".gz"):
        return gzip.compress(out.getvalue())
    return zstandard.compress(out.getvalue()) if name.endswith(".zst") else out.getvalue()


GOOD = {name: written(name) for name in NAMES}


@dataclass
class Taken:
    """What became of a file's rows, as far as it could be read."""

    good: int = 0
    lines: set[int] = field(default_factory=set)
    """Where its rows start, the refused ones too."""
    outside: dict[str, int] = field(default_factory=dict)
    """Rows beyond what they themselves have shown."""
    found: set[int] = field(default_factory=set)
    """Of `lines`, those whose text can be found again."""


def take(content: bytes, name: str) -> Taken:
    """Take a file in; one that is refused, at once or on the way, has no rows."""
    taken = Taken()
    try:
        ingested = ingest(io.BytesIO(content), name, SPEC, None, size=64)
        for part in ingested.parts:
            taken.good += part.frame.height
            taken.lines |= {*part.frame["line"], *(row.line for row in part.refused)}
            contract = with_ranges_seen(
                ingested.contract, summary_of(part.frame, ingested.contract)
            )
            taken.outside |= outside_ranges(part.frame, contract)
        taken.found = set(
            raw_texts(io.BytesIO(content), name, taken.lines, stated_format(SPEC.data))
        )
    except FileRefusedError:
        return Taken()
    return taken


@MANY
@given(st.sampled_from(NAMES), st.binary(max_size=200), st.sampled_from([b"", b"a,c,y\n"]))
def test_any_bytes_are_rows_or_a_refusal(name: str, content: bytes, start: bytes) -> None:
    """Under every name that a format goes by; every row is found again by its line."""
    taken = take(start + content, name)
    assert taken.found == taken.lines
    assert taken.outside == {}
    assert taken.good <= len(taken.lines)


@MANY
@given(
    st.sampled_from(NAMES),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
    st.integers(0, 10_000) | st.none(),
)
def test_a_damaged_file_is_rows_or_a_refusal(
    name: str, changes: list[tuple[int, int]], end: int | None
) -> None:
    """Bytes changed and the end cut off, in every format; every row is found again by its line."""
    content = bytearray(GOOD[name])
    for place, value in changes:
        content[place % len(content)] = value
    taken = take(bytes(content if end is None else content[: end % len(content)]), name)
    assert taken.found == taken.lines
    assert taken.outside == {}
    assert taken.good <= len(taken.lines)


def test_the_good_files_are_good() -> None:
    """What the other tests damage is read whole but for packed Parquet."""
    assert {name: take(content, name).good for name, content in GOOD.items()} == {
        name: 0 if name.startswith("x.parquet.") else 15 for name in NAMES
    }
