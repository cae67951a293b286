"""Small files that hold far too much, read one after another.

Run by a test: `python -m tests.faults.bombs`. Prints as JSON, by name, why each was refused and how
many seconds of processor time that took, and under `peak_mib` the memory of all beyond the imports.
"""

import bz2
import gzip
import io
import json
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from include.errors import FileRefusedError
from include.spec.model_spec import Spec
from include.stages.ingest import ingest

MIB = 1 << 20
HEADER = b"a,y\n1,0\n"
SPEC = Spec.model_validate(
    {
        "name": "s",
        "model": "m",
        "title": "",
        "data": {"target": "y"},
        "families": [{"name": "tree", "pipeline": ["sklearn.tree.DecisionTreeClassifier"]}],
    }
)


TEXTS = {
    "quotes": b'"',
    "line feeds": b"\n",
    "carriage returns": b"\r",
    "zeros": b"\0",
    "digits": b"1",
    "separators": b",",
    "quoted separators": b'",\n',
    "rows that are too short": b"x\n",
    "quoted line ends": b'"\n",',
    "good rows": b"1,1\n",
}


def packed(unit: bytes, start: bytes = HEADER) -> bytes:
    """Return some 200 MiB of the same as a gzip of a few hundred kB."""
    return gzip.compress(start) + gzip.compress(unit * (8 * MIB // len(unit))) * 25


def zip_of(content: bytes, name: str = "rows.csv") -> bytes:
    """Return an archive with one file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def crowd(files: int) -> bytes:
    """Return an archive with many empty files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(files):
            archive.writestr(zipfile.ZipInfo(f"{number:040}.csv"), b"")
    return out.getvalue()


def parquet_of(columns: dict[str, pa.Array]) -> bytes:
    """Return a Parquet file that packs its columns well."""
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, compression="zstd")
    return out.getvalue()


def same_rows(rows: int) -> bytes:
    """Return a Parquet file with the same row again and again, a column of it a million times."""
    once = {"a": pa.array([1.0]), "y": pa.array([1])}
    return parquet_of({name: pa.repeat(values[0], rows) for name, values in once.items()})


def long_text(length: int, rows: int) -> bytes:
    """Return a Parquet file that holds a text once and shows it in every row."""
    text = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows), ["x" * length])
    return parquet_of({"a": text, "y": pa.repeat(1, rows)})


def files() -> Iterator[tuple[str, str, bytes]]:
    """Yield title, name and content of each bomb."""
    for title, unit in TEXTS.items():
        yield title, "x.csv.gz", packed(unit)
    for title in ("line feeds", "digits", "rows that are too short"):
        yield f"{title} as JSON", "x.jsonl.gz", packed(TEXTS[title], b'{"a": 1, "y": 1}\n')
    yield "empty lines in a quote", "x.csv.gz", packed(b"\n", HEADER + b'1,"')
    for title in ("quotes", "quoted line ends", "quoted separators", "rows that are too short"):
        yield f"{title}, plain", "x.csv", HEADER + TEXTS[title] * (20 * MIB // len(TEXTS[title]))
    yield "empty lines in a quote, plain", "x.csv", HEADER + b'1,"' + b"\n" * (20 * MIB)
    yield "behind an odd quote", "x.csv.gz", packed(b"1,1\n", HEADER + b'x"y,1\n')
    feeds = HEADER + b"\n" * (150 * MIB)
    yield "bzip2", "x.csv.bz2", bz2.compress(feeds)
    yield "zstd", "x.csv.zst", zstandard.compress(feeds)
    yield "zip", "x.csv.zip", zip_of(feeds)
    yield "a crowd in a zip", "x.zip", crowd(12_000)
    yield "zip in zip", "x.zip", zip_of(zip_of(HEADER), "inner.zip")
    yield "columns", "x.csv", b",".join(b"%d" % n for n in range(100_000)) + b",y\n1\n"
    yield "equal columns", "x.csv", b"a," * 400_000 + b"y\n1\n"
    yield "an endless header", "x.csv.gz", packed(b"abc,", b"")
    nested = b'{"a":' * 200_000 + b"1" + b"}" * 200_000
    yield "nested JSON", "x.jsonl", b'{"a": 1, "y": 1}\n' + nested + b"\n"
    yield "a huge number", "x.jsonl", b'{"a": 1, "y": 1}\n{"a": ' + b"9" * (20 * MIB) + b"}\n"
    yield "equal rows of Parquet", "x.parquet", same_rows(300_000_000)
    yield "a long text of Parquet", "x.parquet", long_text(50 * MIB, 1_000_000)


def reason(name: str, content: bytes) -> str:
    """Return why a file is refused, and how many rows it has when it is not."""
    rows = 0
    try:
        for part in ingest(io.BytesIO(content), name, SPEC, None).parts:
            rows += part.frame.height + len(part.refused)
    except FileRefusedError as error:
        return str(error)
    return f"{rows} rows"


def main() -> None:
    """Read them all."""
    told: dict[str, object] = {}
    reason("x.csv", HEADER)
    for title, name, content in files():
        reset_peak()
        before, start = status_mib("VmRSS"), time.process_time()
        why = reason(name, content)
        seconds = time.process_time() - start
        told[title] = [why, seconds, status_mib("VmHWM") - before]
    sys.stdout.write(json.dumps(told))


def reset_peak() -> None:
    """Let the peak of memory begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


def status_mib(field: str) -> float:
    """Return a figure of this process's memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
