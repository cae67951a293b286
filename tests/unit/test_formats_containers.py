"""How files may be packed, encoded, separated and headed, and what is refused of it."""

import bz2
import gzip
import io
import zipfile
import zlib
from typing import Any

import polars as pl
import pytest
import zstandard

from include.errors import FileRefusedError, SpecError
from include.formats import packed
from include.spec.model_spec import Spec
from include.spec.spec_files import read_spec
from include.stages.ingest import TypedPart, ingest

CSV = b"a,c,y\n1,x,1\n2,z,0\n"
ROWS = [(1.0, "x", 1), (2.0, "z", 0)]


def a_spec(**data: Any) -> Spec:
    """Return a spec with these fields of its data part."""
    family = {"name": "tree", "pipeline": ("sklearn.tree.DecisionTreeClassifier",)}
    fields = {"name": "s", "model": "m", "title": "", "families": (family,)}
    return Spec.model_validate(fields | {"data": {"target": "y"} | data})


def parts(content: bytes, name: str = "x.csv", **data: Any) -> list[TypedPart]:
    """Read a file."""
    return list(ingest(io.BytesIO(content), name, a_spec(**data), None).parts)


def rows(content: bytes, name: str = "x.csv", **data: Any) -> list[tuple[Any, ...]]:
    """Return the good rows of a file without their lines."""
    return pl.concat(part.frame for part in parts(content, name, **data)).drop("line").rows()


def archive(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return out.getvalue()


def lying(content: bytes, packed_size: int, says: int) -> bytes:
    """Return an archive that names another size of what is packed in it."""
    real, other = (number.to_bytes(4, "little") for number in (packed_size, says))
    return content.replace(real, other)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.tsv", CSV.replace(b",", b"\t")),
        ("x.txt", CSV.replace(b",", b"|")),
        ("DATA.CSV.GZ", gzip.compress(CSV)),
        ("x.tsv.bz2", bz2.compress(CSV.replace(b",", b"\t"))),
        ("x.bz2", bz2.compress(CSV[:9]) + bz2.compress(CSV[9:])),
        ("x.gz", gzip.compress(CSV[:9]) + gzip.compress(CSV[9:]) + bytes(512)),
        ("x.zst", zstandard.compress(CSV[:9]) + zstandard.compress(CSV[9:])),
        ("x.csv.zip", archive({"deep/a.csv": CSV, "__MACOSX/deep/._a.csv": b"\0", "deep/": b""})),
        ("x.zip", archive({"a.csv": CSV}, zipfile.ZIP_STORED)),
        ("x.zip", archive({"a.jsonl": b'{"a":1,"c":"x","y":1}\n{"a":2,"c":"z","y":0}\n'})),
        ("x.json", b'{"a":1,"c":"x","y":1}\n{"a":2,"c":"z","y":0}\n'),
        ("x.csv", b"sep=;\r\n" + CSV.replace(b",", b";")),
        ("x.csv", b'\xef\xbb\xbf"sep=^"\n' + CSV.replace(b",", b"^")),
        ("x.csv", b"\n\n\r\n" + CSV + b"\n\n"),
    ],
)
def test_what_is_read(name: str, content: bytes) -> None:
    """Each of these is the same two rows."""
    assert rows(content, name) == ROWS


def test_parquet_has_two_suffixes() -> None:
    """The short one, too, in capitals as well."""
    out = io.BytesIO()
    pl.DataFrame({"a": [1.0, 2.0], "c": ["x", "z"], "y": [1, 0]}).write_parquet(out)
    assert rows(out.getvalue(), "X.PQ") == rows(out.getvalue(), "x.parquet") == ROWS


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.gz", gzip.compress(CSV) + b"garbage", "the file goes on with something else"),
        ("x.bz2", bz2.compress(CSV) + b"garbage", "the file goes on with something else"),
        ("x.zst", zstandard.compress(CSV) + b"garbage", "the file goes on with something else"),
        ("x.bz2", bz2.compress(CSV)[:-4], "the bz2 file ends too soon"),
        ("x.zip", archive({"a.csv": CSV})[:-9], "the zip file ends too soon"),
        (
            "x.zip",
            archive({"a.csv": CSV}, zipfile.ZIP_STORED).replace(b"1,x,1", b"2,x,1"),
            "no zip file",
        ),
        ("x.zip", archive({"a.csv": CSV}, zipfile.ZIP_LZMA), "another method than deflate"),
        ("x.zip", archive({"a.csv.gz": gzip.compress(CSV)}), "a gz file within a zip archive"),
        ("x.gz", gzip.compress(gzip.compress(CSV)), "gzip data under another name, or packed"),
    ],
)
def test_what_is_damaged_or_packed_otherwise(name: str, content: bytes, reason: str) -> None:
    """Each has its sentence."""
    with pytest.raises(FileRefusedError, match=reason):
        rows(content, name)


@pytest.mark.parametrize("says", [3, 10**6])
def test_an_archive_that_lies_about_sizes(says: int) -> None:
    """Neither a part of a file nor more than the file is taken for it."""
    content = lying(archive({"a.csv": CSV * 40}), len(CSV * 40), says)
    with pytest.raises(FileRefusedError, match="no zip file, or a damaged one"):
        rows(content, "x.zip")


def test_a_locked_archive_says_so() -> None:
    """Nobody is asked for the password."""
    content = bytearray(archive({"a.csv": CSV}))
    for start in (b"PK\x03\x04", b"PK\x01\x02"):
        content[content.index(start) + (6 if start[2] == 3 else 8)] |= 1
    with pytest.raises(FileRefusedError, match="locked with a password"):
        rows(bytes(content), "x.zip")


def test_a_window_beyond_memory_is_refused() -> None:
    """A frame of zstd says how much memory unpacking it takes."""
    compressor = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=28)
    )
    packer = compressor.compressobj()
    with pytest.raises(FileRefusedError, match="takes a window of more than 128 MB"):
        rows(packer.compress(CSV) + packer.flush(), "x.zst")


def test_an_honest_file_that_packs_well_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Constant columns make a hundred bytes of each one, of as many bytes as there are."""
    monkeypatch.setattr(packed, "FREE_BYTES", 1 << 20)
    width = 60
    header = ",".join(f"c{n}" for n in range(width)).encode() + b",a,y\n"
    row = b"0," * width
    packer, made = zlib.compressobj(wbits=31), [b""]
    made.append(packer.compress(header))
    several = packed.FREE_BYTES // (len(row) * 20_000) + 2
    for block in range(several):
        lines = (b"%b%d,%d\n" % (row, block * 20_000 + n, n % 2) for n in range(20_000))
        made.append(packer.compress(b"".join(lines)))
    content = b"".join([*made, packer.flush()])
    read = ingest(io.BytesIO(content), "x.csv.gz", a_spec(), None).parts
    assert sum(part.frame.height for part in read) == several * 20_000


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252", "utf-16", "utf-16-le", "utf-32"])
def test_an_encoding_that_is_stated(encoding: str) -> None:
    """Rows and lines are those of the text; a file with a mark of UTF-8 is read as that."""
    text = "a,c,y\n1,zw\u00f6lf,1\n\nx,b,0\n"
    for content in (text.encode(encoding), text.encode("utf-8-sig")):
        (part,) = parts(content, encoding=encoding, missing=["c"], categorical=["c"])
        assert part.frame.rows() == [(2, 1.0, "zw\u00f6lf", 1)]
        assert [(row.line, row.raw) for row in part.refused] == [(4, "x,b,0")]


@pytest.mark.parametrize(
    ("content", "encoding", "reason"),
    [
        (CSV.decode().encode("utf-16"), "utf-8", 'state encoding = "utf-16" under'),
        (CSV.decode().encode("utf-16-be"), "utf-8", 'state encoding = "utf-16-be" under'),
        (CSV.decode().encode("utf-16"), "latin-1", "the text is UTF-16, not ISO8859-1"),
        (CSV, "utf-16", "the text is not UTF-16 as the spec states"),
        (b"a,\xe9,y\n1,1,1\n", "utf-8", 'such as encoding = "windows-1252"'),
        ("a,c,y\n1,\u00e9,1\n".encode(), "windows-1252", "the text is UTF-8, not CP1252"),
    ],
)
def test_another_encoding_than_stated(content: bytes, encoding: str, reason: str) -> None:
    """The sentence says what to state."""
    with pytest.raises(FileRefusedError, match=reason):
        rows(content, encoding=encoding)


def test_bytes_that_are_no_letter_refuse_their_row_only() -> None:
    """Half a letter of UTF-16 as well as a byte without a meaning."""
    for content, encoding in (
        (b"a,c,y\n1,\x81,1\n2,z,0\n", "windows-1252"),
        ("a,c,y\n1,\ud800,1\n2,z,0\n".encode("utf-16-le", "surrogatepass"), "utf-16-le"),
    ):
        (part,) = parts(content, encoding=encoding)
        assert part.frame.rows() == [(3, 2.0, "z", 0)]
        assert [(row.line, row.raw) for row in part.refused] == [(2, r"1,\xff,1")]


COLUMNS = ("a", "c", "y")


@pytest.mark.parametrize("start", [b"", b"sep=,\n", b"a,c,y\n", b"\n"])
def test_columns_that_the_spec_names(start: bytes) -> None:
    """With or without a header line, which may be there all the same."""
    (part,) = parts(start + b"1,x,1\n2,z,0\n", columns=COLUMNS)
    before = len(start.splitlines())
    assert part.frame.drop("line").rows() == ROWS
    assert part.frame["line"].to_list() == [before + 1, before + 2]


def test_a_header_in_another_order_than_the_spec_names_holds() -> None:
    """The file knows better where its columns are."""
    assert rows(b"y;c;a\n1;x;1\n0;z;2\n", columns=COLUMNS) == [("x", 1.0, 1), ("z", 2.0, 0)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"1,x\n2,z\n", "the first row has 2 fields, `data.columns` of the spec names 3"),
        (b"a,b,y\n1,x,1\n", "the first line is a header that names other columns"),
        (b"1,2;3,4;5\n1,2;3,4;5\n", "whether , or ; separates the columns cannot be told"),
    ],
)
def test_rows_that_do_not_fit_the_names(content: bytes, reason: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(FileRefusedError, match=reason):
        rows(content, columns=COLUMNS)


def test_what_separates_rows_without_a_header_shows_in_many_of_them() -> None:
    """A first row that could be cut otherwise does not decide."""
    content = b"1,2;3,4;1\n" + b"1;2,5;0\n" * 5
    (part,) = parts(content, columns=COLUMNS, categorical=["a", "c"])
    assert part.frame["c"].to_list() == ["3,4", *["2,5"] * 5]


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        (b"a;b,c;y", ("a", "b,c")),
        (b'"a;1","b;|2",y', ("a;1", "b;|2")),
        (b"a,b,y,", ("a", "b", "")),
    ],
)
def test_the_separator_is_no_matter_of_chance(header: bytes, columns: tuple[str, ...]) -> None:
    """It is the one that makes the target appear, whatever others stand within names."""
    spec = a_spec(exclude=[""])
    found = ingest(io.BytesIO(header + b"\n1;1,1\n"), "x.csv", spec, None)
    assert found.contract.features == tuple(one for one in columns if one)


@pytest.mark.parametrize("line", [b"sep=;;;", b"SEP=; ", b'"sep=;";;'])
def test_a_said_separator_may_be_filled_up(line: bytes) -> None:
    """Programs write the line as wide as the table, and people write spaces behind it."""
    assert rows(line + b"\n" + CSV.replace(b",", b";")) == ROWS


def test_a_file_of_one_column_has_no_feature() -> None:
    """No separator is guessed for it."""
    with pytest.raises(FileRefusedError, match="no column matches the feature patterns"):
        rows(b"y\n1\n0\n")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('encoding = "klingon"', "'klingon' is no encoding such as windows-1252"),
        ('encoding = "rot13"', "'rot13' is no encoding of plain text"),
        ('encoding = "idna"', "'idna' is no encoding of plain text"),
        ('columns = ["a", "b"]', "columns does not name the target 'y'"),
        ('columns = ["a", "a", "y"]', "columns names a more than once"),
        ('columns = ["y"]', "data.columns"),
    ],
)
def test_a_spec_that_states_what_cannot_be(tmp_path: Any, line: str, reason: str) -> None:
    """It is broken when it is read, and says where."""
    path = tmp_path / "s.toml"
    path.write_text(
        f'title = ""\nmodel = "m"\n[data]\ntarget = "y"\n{line}\n'
        '[[families]]\nname = "t"\npipeline = ["sklearn.tree.DecisionTreeClassifier"]\n'
    )
    with pytest.raises(SpecError, match=reason):
        read_spec(path)
