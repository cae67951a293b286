"""The same rows are the same rows however they are written, packed, encoded and cut."""

import bz2
import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from include.spec.model_spec import Spec
from include.stages.ingest import ingest, raw_texts, stated_format


def zipped(content: bytes) -> bytes:
    """Return an archive as macOS makes it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/", b"")
        archive.writestr("folder/rows.txt", content)
        archive.writestr("__MACOSX/folder/._rows.txt", b"\0\1\2")
    return out.getvalue()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
    ".ZIP": zipped,
}
ENCODINGS = ["utf-8", "utf-8-sig", "latin-1", "windows-1252", "cp437", "utf-16", "utf-16-be"]
CELL = st.text("ab,;|\t\"'\n\u00e9\u00fc \u00a31", min_size=1, max_size=6)
ROWS = st.lists(st.tuples(st.floats(-1e6, 1e6), CELL, st.sampled_from([0, 1])), min_size=1)


@dataclass(frozen=True)
class Writing:
    """How a text is written."""

    separator: str
    encoding: str
    packing: str
    first: str
    """`header`, `said` for Excel's line before it, or `none`."""
    end: str

    @property
    def spec(self) -> Spec:
        """The spec that such files go with."""
        data: dict[str, Any] = {"target": "y", "missing": ["c"], "categorical": ["c"]}
        data["encoding"] = "utf-8" if self.encoding == "utf-8-sig" else self.encoding
        if self.first == "none":
            data["columns"] = ["n", "c", "y"]
        family = {"name": "tree", "pipeline": ["sklearn.tree.DecisionTreeClassifier"]}
        fields = {"name": "s", "model": "m", "title": "", "data": data, "families": [family]}
        return Spec.model_validate(fields)

    @property
    def lines_before(self) -> int:
        """How many lines stand before the first row."""
        return {"header": 1, "said": 2, "none": 0}[self.first]

    def write(self, rows: pl.DataFrame) -> bytes:
        """Return the file."""
        text = rows.write_csv(
            separator=self.separator,
            include_header=self.first != "none",
            line_terminator=self.end,
            quote_style="non_numeric",
        )
        said = f"sep={self.separator}{self.end}" if self.first == "said" else ""
        return PACKINGS[self.packing]((said + text).encode(self.encoding))


WRITINGS = st.builds(
    Writing,
    st.sampled_from(",;|\t"),
    st.sampled_from(ENCODINGS),
    st.sampled_from(list(PACKINGS)),
    st.sampled_from(["header", "said", "none"]),
    st.sampled_from(["\n", "\r\n"]),
)


@given(ROWS, WRITINGS, st.integers(1, 60))
def test_rows_are_the_same_in_every_writing(
    rows: list[tuple[float, str, int]], way: Writing, size: int
) -> None:
    """Values, lines and raw texts, in blocks of any size."""
    frame = pl.DataFrame(rows, schema=["n", "c", "y"], orient="row")
    content, name = way.write(frame), f"x.csv{way.packing}"
    read = pl.concat(
        part.frame for part in ingest(io.BytesIO(content), name, way.spec, None, size).parts
    )
    wanted = [(number, text.strip() or None, label) for number, text, label in rows]
    assert read.select("n", "c", "label").rows() == wanted
    line, lines = 1 + way.lines_before, []
    for _, text, _ in rows:
        lines.append(line)
        line += 1 + text.count("\n")
    assert read["line"].to_list() == lines
    texts = raw_texts(io.BytesIO(content), name, lines, stated_format(way.spec.data), size)
    assert all(row[1].replace('"', '""') in texts[at] for row, at in zip(rows, lines, strict=True))
