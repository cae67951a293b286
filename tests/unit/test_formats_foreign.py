"""What holds no table is refused in plain words, by its bytes and under any name."""

import io
import pickle
import sqlite3
import zipfile
from collections.abc import Iterable
from pathlib import Path

import polars as pl
import pytest

from include.errors import FileRefusedError
from include.spec.model_spec import Spec
from include.stages.ingest import ingest
from tests.faults.bombs import SPEC

ROWS = pl.DataFrame({"a": [1.5, 2.0], "y": [1, 0]})
CSV = ROWS.write_csv().encode()


def archive(names: Iterable[str]) -> bytes:
    """Return a zip archive with these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name in names:
            made.writestr(name, CSV)
    return out.getvalue()


def written(method: str) -> bytes:
    """Return the rows as a method of polars writes them."""
    out = io.BytesIO()
    getattr(ROWS, method)(out)
    return out.getvalue()


def database(folder: Path) -> bytes:
    """Return an SQLite database."""
    path = folder / "a.db"
    made = sqlite3.connect(path)
    made.execute("CREATE TABLE a (b)")
    made.commit()
    made.close()
    return path.read_bytes()


WORKBOOK = archive(["[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"])
KINDS: dict[str, bytes] = {
    "an Excel workbook: save its sheet as CSV": WORKBOOK,
    "an Excel workbook or another zip archive": b"PK\x03\x04" + bytes(range(200)),
    "a Word document": archive(["word/document.xml"]),
    "an OpenDocument file": archive(["mimetype", "content.xml"]),
    "an old Excel workbook": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "an Excel workbook saved as XML": b'<?xml version="1.0"?>\n<?mso-application '
    b'progid="Excel.Sheet"?>\n<Workbook/>',
    "a PDF document": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "a picture": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "an HTML page": b"\n<!DOCTYPE html>\n<html><body>log in</body></html>",
    "an HTML page, perhaps": b"<meta charset=utf-8><table><tr><td>a</table>",
    "an XML document": b"<?xml version='1.0'?><rows><row/></rows>",
    "a JSON array": b'[{"a": 1.5, "y": 1},\n {"a": 2.0, "y": 0}]\n',
    "UTF-16": CSV.decode().encode("utf-16"),
    "UTF-16-LE, not UTF-8": "名字,y\n".encode("utf-16-le") + CSV.decode().encode("utf-16-le"),
    "UTF-16, not UTF-8": CSV.decode().encode("utf-16-le"),
    "UTF-16-BE": CSV.decode().encode("utf-16-be"),
    "UTF-32": CSV.decode().encode("utf-32"),
    "an Arrow or Feather file": written("write_ipc"),
    "an Avro file": written("write_avro"),
    "a Python pickle": pickle.dumps(ROWS.to_dicts()),
    "an ORC file": b"ORC\x0a\x0b\x00\x12",
    "a DuckDB database": bytes(range(8)) + b"DUCK@\0\0\0\0\0\0\0",
    "an HDF5 file": b"\x89HDF\r\n\x1a\n\0\0\0",
    "a tar archive": b"a.csv".ljust(257, b"\0") + b"ustar\x0000",
    "xz data": b"\xfd7zXZ\0\0\x04",
    "a 7z archive": b"7z\xbc\xaf\x27\x1c\0\x04",
    "neither text nor data of a kind": bytes(5000),
}


def refusal(content: bytes, name: str, spec: Spec = SPEC) -> str:
    """Return why a file is refused."""
    with pytest.raises(FileRefusedError) as refused:
        list(ingest(io.BytesIO(content), name, spec, None).parts)
    return str(refused.value)


@pytest.mark.parametrize("name", ["x.csv", "x.xlsx", "x.dat", "X", "x.jsonl", "x.parquet"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_table_is_named(kind: str, name: str) -> None:
    """Under whatever name, and none of its bytes are shown."""
    reason = refusal(KINDS[kind], name)
    if name == "x.parquet":
        assert "no Parquet file" in reason
    elif not kind.startswith("an Excel workbook:") and "document" not in kind.lower():
        assert kind.partition(",")[0] in reason
    assert reason.isprintable()
    assert "PK" not in reason


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("an Excel workbook: save its sheet as CSV", "x.zip"),
        ("an Excel workbook: save its sheet as CSV", "x.xlsx"),
        ("an Excel workbook: save its sheet as CSV", "x.csv"),
        ("a Word document", "x.docx"),
        ("an OpenDocument file", "x.ods"),
    ],
)
def test_a_document_in_a_zip_is_named(kind: str, name: str) -> None:
    """By the files in it."""
    assert kind in refusal(KINDS[kind], name)


def test_a_database_is_named(tmp_path: Path) -> None:
    """SQLite is what people have most."""
    assert "an SQLite database" in refusal(database(tmp_path), "x.csv")


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (written("write_parquet"), "x.csv", "Parquet data under another name: name the file"),
        (written("write_parquet"), "x.jsonl", "Parquet data under another name"),
        (CSV, "x.parquet", "no Parquet file, or a damaged one"),
        (CSV, "x.pq", "no Parquet file, or a damaged one"),
        (CSV, "x.jsonl", "no line at the start of the file is a JSON object"),
        (written("write_ndjson"), "x.csv", "JSON lines under another name: name the file .jsonl"),
        (b'{\n "a": 1,\n "y": 1\n}\n', "x.json", "write each object in a line of its own"),
        (b"", "x.csv", "the file is empty"),
        (b"", "x.parquet", "the file is empty"),
        (b"", "x.csv.gz", "the file is empty"),
        (b"", "x.zip", "the file is empty"),
        (archive(["a.csv", "b.csv"]), "x.zip", "a zip archive with 2 files in it"),
        (archive([]), "x.zip", "a zip archive with 0 files in it"),
        (archive(["a.parquet"]), "x.zip", "a packed Parquet file"),
        (archive(["a.csv"])[:-30], "x.zip", "the zip file ends too soon"),
        (b"a,y\n1,1\nGIF89a\n", "x.csv.bz2", "no bz2 file, or a damaged one"),
    ],
)
def test_a_name_that_is_not_what_the_file_holds(content: bytes, name: str, reason: str) -> None:
    """The sentence says what to call it, or what is missing."""
    assert reason in refusal(content, name)


@pytest.mark.parametrize("name", ["PAR1", "ORCID", "BZh9", "GIF8", "RDX2", "PAR1,BM"])
def test_a_header_that_looks_like_the_start_of_something_else_is_read(name: str) -> None:
    """Letters that other formats begin with are letters of a column, too."""
    content = f"{name},y\n".encode() + b"1.5,2,1\n" * name.count(",") + b"1.5,1\n"
    parts = ingest(io.BytesIO(content), "x.csv", SPEC, None).parts
    assert sum(part.frame.height for part in parts) >= (0 if "," in name else 1)


@pytest.mark.parametrize("header", ["y,ORC\u00c9", "ORC\u00c9,y", "y,price,DUCK"])
def test_a_header_whose_end_looks_like_something_else_is_read(header: str) -> None:
    """A line end and a letter beyond ASCII are no bytes of a binary file."""
    content = f"{header}\n{','.join('1' * (header.count(',') + 1))}\n".encode()
    parts = ingest(io.BytesIO(content), "x.csv", SPEC, None).parts
    assert sum(part.frame.height for part in parts) == 1
