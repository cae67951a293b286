import gzip
import io
import tracemalloc

import pytest
import zstandard

from include.errors import FileRefusedError
from include.formats import parsed_table
from include.formats.delimited import DelimitedTable
from include.formats.jsonlines import JsonLinesTable
from include.formats.opening import open_table
from include.formats.parsed_table import Chunk, StatedFormat

ROWS = b"a,y\n" + b"".join(b"%d,1\n" % number for number in range(5000))


def chunks(content: bytes, name: str, size: int = 1 << 20) -> list[Chunk]:
    """Read a whole file's columns `a` and `y`."""
    found = open_table(io.BytesIO(content), name, StatedFormat("y"), size)
    return list(iter(lambda: found.read(["a", "y"], {"a"}), None))


@pytest.mark.parametrize("name", ["x.csv.gz", "x.jsonl.gz", "x.csv.zst", "x.zst"])
def test_a_packed_file_that_was_cut_off_says_so(name: str) -> None:
    """Half a file is never read as a whole one."""
    packed = gzip.compress(ROWS) if name.endswith("gz") else zstandard.compress(ROWS)
    with pytest.raises(FileRefusedError, match="ends too soon: it was cut off"):
        chunks(packed[: len(packed) // 2], name)


@pytest.mark.parametrize("name", ["x.csv.gz", "x.csv.zst"])
def test_a_file_that_is_not_packed_as_its_name_says_is_refused(name: str) -> None:
    """The sentence names the packing."""
    with pytest.raises(FileRefusedError, match=f"no {name[6:]} file, or a damaged one"):
        chunks(ROWS, name)


def test_a_small_file_that_unpacks_to_a_huge_row_is_refused_in_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is given up at the longest row that is allowed, however much is still packed."""
    monkeypatch.setattr("include.formats.delimited.LONGEST_ROW_BYTES", 1 << 20)
    for pack, name in ((gzip.compress, "x.gz"), (zstandard.compress, "x.zst")):
        packed = pack(b"a,y\n" + b"1" * (100 << 20))
        tracemalloc.start()
        with pytest.raises(FileRefusedError, match="line 2: a row is longer than 8 MB"):
            chunks(packed, name, size=1 << 18)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 80 << 20
    assert parsed_table.LONGEST_ROW_BYTES == 8 << 20


def test_columns_that_are_all_numbers_come_as_numbers_block_by_block() -> None:
    """One doubtful value makes text of its block, not of the file."""
    content = ROWS + b"x,1\n" + ROWS[4:]
    dtypes = [str(chunk.frame["a"].dtype) for chunk in chunks(content, "x.csv", 4000)]
    assert dtypes.count("String") == 1
    assert dtypes.count("Float64") > 5


def test_the_separator_is_the_one_that_makes_the_target_appear() -> None:
    """However many of another one the header holds."""
    found = DelimitedTable(iter([b"a,b,c,d;y\n"]), StatedFormat("y"), 100)
    assert found.columns == ("a,b,c,d", "y")


def test_json_values_are_read_as_the_text_that_they_are_written_with() -> None:
    """Numbers keep their digits, truths are words, and what is missing is null."""
    content = b'{"a": 1.50, "y": true}\n{"y": "x", "b": 2}\n{"a": null, "y": NaN}\n'
    found = JsonLinesTable(iter([content]), StatedFormat("y"), 1 << 20)
    assert found.columns == ("a", "y", "b")
    chunk = found.read(["a", "y"], ())
    assert chunk is not None
    assert chunk.frame.rows() == [("1.50", "true"), (None, "x"), (None, "NaN")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1', "not JSON"),
        (b"[1, 2]", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": {"b": 1}}', "a nested value"),
        (b'{"a": "\xff"}', "bytes that are not UTF-8"),
        (b'{"a": "\\ud800"}', "bytes that are not UTF-8"),
    ],
)
def test_a_line_that_is_no_row_is_kept_with_its_reason(line: bytes, reason: str) -> None:
    """Its neighbours are not harmed."""
    (chunk,) = chunks(b'{"a":1,"y":1}\n' + line + b'\n{"a":2,"y":1}\n', "x.jsonl")
    (broken,) = chunk.broken
    assert (broken.line, broken.reason) == (2, reason)
    assert chunk.lines.to_list() == [1, 3]
    assert chunk.raw([1]) == ['{"a":2,"y":1}']


@pytest.mark.parametrize("content", [b"", b"\n\n", b"1\n"])
def test_a_file_without_an_object_is_refused(content: bytes) -> None:
    """There is no column to look at."""
    with pytest.raises(FileRefusedError, match="JSON object"):
        chunks(content, "x.jsonl")


def test_packed_parquet_is_refused() -> None:
    """It would have to be unpacked whole before its first row."""
    with pytest.raises(FileRefusedError, match="a packed Parquet file: send it as it is"):
        chunks(gzip.compress(b""), "x.parquet.gz")


def test_objects_with_hardly_any_of_the_keys_are_refused_in_bounded_memory() -> None:
    """A key that an object leaves out is a value in memory, which a few bytes could make many."""
    lines = [b'{"k%d": 1, "k%d": 1, "y": 1}\n' % (2 * i, 2 * i + 1) for i in range(4000)]
    found = open_table(io.BytesIO(b"".join(lines)), "x.jsonl", StatedFormat("y"))
    tracemalloc.start()
    with pytest.raises(FileRefusedError, match="hardly any of the 8001 keys that are read"):
        found.read(found.columns, ())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20


def test_wide_objects_come_in_few_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row once and in its order, also those that told the columns."""
    monkeypatch.setattr("include.formats.jsonlines.MOST_CELLS", 20)
    lines = b"".join(b'{"a": %d, "y": 1}\n' % number for number in range(95))
    found = chunks(lines, "x.jsonl")
    assert {chunk.frame.height for chunk in found} == {10, 5}
    assert [text for chunk in found for text in chunk.frame["a"]] == [str(i) for i in range(95)]
    assert [line for chunk in found for line in chunk.lines] == list(range(1, 96))
