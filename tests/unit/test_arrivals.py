import bz2
import gzip
import io
import json
import os
import time
from pathlib import Path
from typing import BinaryIO

import pytest
import zstandard

from include.formats.completeness import PATIENCE_SECONDS, CompletenessWatch, is_complete
from include.store import Folder
from tests.faults.bombs import packed, zip_of

ROWS = b"a,b,y\n1,2,0\n3,4,1\n"


def complete_at(path: Path) -> bool:
    """Ask of the file at a path."""
    with path.open("rb") as file:
        return is_complete(path.name, file)


def settled(lookout: CompletenessWatch) -> list[str]:
    """Return the names that a look finds settled."""
    return [entry.name for entry in lookout.look()]


@pytest.mark.parametrize(
    ("name", "data", "complete"),
    [
        ("a.csv", ROWS, True),
        ("a.csv", ROWS.removesuffix(b"\n"), True),
        ("a.csv", ROWS + b"5,6", False),
        ("a.csv", b"", False),
        ("a.csv", b"a,b,y", False),
        ("a.csv", b"\xef\xbb\xbfa;y\r\n1;0", True),
        ("a.csv", b"a;y\r\n1,5", False),
        ("a.tsv", b"a\ty\n1\t0", True),
        ("a.csv", b'a,y\n"1,5",0', True),
        ("a.csv", b'a,y\n"1,5', False),
        ("A.CSV", ROWS, True),
        ("no-ending", ROWS + b"5", False),
        ("a.jsonl", b'{"a": 1}\n{"a": 2}', True),
        ("a.jsonl", b'{"a": 1}\n{"a": ', False),
        ("a.parquet", b"PAR1...PAR1", True),
        ("a.parquet", b"PAR1.......", False),
        ("a.parquet", b"PAR1", False),
        ("a.csv.gz", gzip.compress(ROWS), True),
        ("a.csv.gz", gzip.compress(ROWS) + gzip.compress(b"5,6,0\n"), True),
        ("a.csv.gz", gzip.compress(ROWS)[:-1], False),
        ("a.csv.gz", gzip.compress(ROWS + b"5,6"), False),
        ("a.csv.gz", ROWS, False),
        ("a.csv.gz", b"", False),
        ("a.csv.zst", zstandard.compress(ROWS), True),
        ("a.csv.zst", zstandard.compress(ROWS)[:-1], False),
        ("a.csv.zst", ROWS, False),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}'), True),
        ("a.csv.bz2", bz2.compress(ROWS), True),
        ("a.csv.bz2", bz2.compress(ROWS)[:-1], False),
        ("a.csv.bz2", ROWS, False),
        ("a.csv.zip", zip_of(ROWS), True),
        ("a.csv.zip", zip_of(ROWS)[:-1], False),
        ("a.csv", ROWS.decode().encode("utf-16"), True),
        ("a.csv", ROWS.decode().encode("utf-16")[:-9], False),
        ("a.xlsx", zip_of(ROWS), True),
        ("a.csv", b"%PDF-1.7", True),
        ("a.json", b'[{"a": 1}]', True),
        ("a.csv.gz", packed(b"1,1\n"), True),
        ("a.pq", b"PAR1...PAR1", True),
    ],
)
def test_a_file_says_whether_its_data_reach_their_end(
    tmp_path: Path, name: str, data: bytes, *, complete: bool
) -> None:
    """Each kind has its own sign, and what is packed has two."""
    path = tmp_path / name
    path.write_bytes(data)
    assert complete_at(path) is complete


def test_a_file_larger_than_what_is_looked_at(tmp_path: Path) -> None:
    """Header and last record are found at the two ends, packed or not."""
    rows = b"a,y\n" + b"1.5,0\n" * 600_000
    for name, data in (("a.csv", rows), ("a.csv.gz", gzip.compress(rows, 1))):
        (tmp_path / name).write_bytes(data)
        assert complete_at(tmp_path / name)
    (tmp_path / "a.csv").write_bytes(rows + b"2")
    assert not complete_at(tmp_path / "a.csv")


def test_two_looks_have_to_see_the_same(tmp_path: Path) -> None:
    """A new file and a growing one wait for the next look."""
    lookout = CompletenessWatch(Folder(tmp_path))
    for name in ("same.csv", "growing.csv"):
        (tmp_path / name).write_bytes(ROWS)
    assert settled(lookout) == []
    assert lookout.number_seen() == 2
    (tmp_path / "growing.csv").write_bytes(ROWS * 2)
    (tmp_path / "new.csv").write_bytes(ROWS)
    assert settled(lookout) == ["same.csv"]
    assert settled(lookout) == ["same.csv", "growing.csv", "new.csv"]


def test_a_file_that_is_open_for_writing_waits(tmp_path: Path) -> None:
    """Its writer may pause after a whole line; reading it is no obstacle."""
    lookout = CompletenessWatch(Folder(tmp_path))
    with (tmp_path / "a.csv").open("wb") as file:
        file.write(ROWS)
        file.flush()
        assert [settled(lookout) for _ in range(3)] == [[], [], []]
    with (tmp_path / "a.csv").open("rb"):
        assert settled(lookout) == ["a.csv"]


@pytest.mark.parametrize("seconds", [-PATIENCE_SECONDS - 5, PATIENCE_SECONDS + 5])
def test_an_incomplete_file_is_taken_after_a_minute(tmp_path: Path, seconds: float) -> None:
    """Nobody will finish it; a clock that was set back does not hold it."""
    lookout = CompletenessWatch(Folder(tmp_path))
    path = tmp_path / "a.csv"
    path.write_bytes(ROWS + b"5,6")
    assert [settled(lookout) for _ in range(3)] == [[], [], []]
    os.utime(path, (time.time() + seconds,) * 2)
    assert [settled(lookout) for _ in range(2)] == [[], ["a.csv"]]


def test_a_marker_is_believed_at_once(tmp_path: Path) -> None:
    """It speaks for its own file only, and is no delivery."""
    for name, data in (("a.csv", b"a"), ("b.csv", b"a"), ("a.csv.done", b"")):
        (tmp_path / name).write_bytes(data)
    assert settled(CompletenessWatch(Folder(tmp_path))) == ["a.csv"]


def test_an_unchanged_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Polling does not unpack gigabytes every second."""
    read: list[str] = []

    def unfinished(name: str, _: BinaryIO) -> bool:
        read.append(name)
        return False

    monkeypatch.setattr("include.formats.completeness.is_complete", unfinished)
    lookout = CompletenessWatch(Folder(tmp_path))
    (tmp_path / "a.csv").write_bytes(json.dumps({}).encode())
    for _ in range(5):
        assert settled(lookout) == []
    assert len(read) == 1


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv.gz", gzip.compress(b'"' * 2**29, 1)),
        ("a.csv.zst", zstandard.compress(b"\n" * 2**29)),
    ],
)
def test_a_bomb_is_not_unpacked_to_its_end(name: str, data: bytes) -> None:
    """Little that becomes much is given to who reads files with bounds: watching costs no time."""
    file = io.BytesIO(data + b"the end that is never looked at")
    assert is_complete(name, file)
    assert file.tell() < len(data)


@pytest.mark.parametrize(
    ("name", "data", "complete"),
    [
        ("a.csv.bz2", bz2.compress(ROWS), True),
        ("a.csv.bz2", bz2.compress(ROWS)[:-1], False),
        ("a.csv.bz2", ROWS, False),
        ("a.xlsx", b"PK\x03\x04 ...", True),  # whole or not, it is refused
    ],
)
def test_packed_files_and_archives_have_their_ends(
    name: str, data: bytes, *, complete: bool
) -> None:
    """What is read or refused later is at least whole."""
    assert is_complete(name, io.BytesIO(data)) is complete
