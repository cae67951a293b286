"""The landing folder on a real disk."""

import hashlib
import os
from pathlib import Path

import pytest

from include.adapters import landing as door
from include.adapters.landing import Delivery, Landing, lines, look, raw_lines, settled


@pytest.fixture
def landing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Landing:
    """Return an empty landing folder that is looked at every twentieth of a second."""
    monkeypatch.setattr(door, "POLL_SECONDS", 0.05)
    (tmp_path / "landing").mkdir()
    return Landing(tmp_path / "landing", tmp_path / "lake")


def drop(landing: Landing, name: str, text: str = "a,y\n1,0\n", age: int = 0) -> Path:
    """Write a file into the folder, `age` seconds ago."""
    path = landing.folder / name
    path.write_text(text)
    stamp = 1_700_000_000 - age
    os.utime(path, (stamp, stamp))
    return path


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    """It may appear later."""
    assert look(tmp_path / "later") == {}
    assert Landing(tmp_path / "later", tmp_path / "lake").claim() == []


def test_hidden_and_temporary_names_are_no_deliveries(landing: Landing) -> None:
    """Writers may hide what they are writing; folders are not deliveries either."""
    for name in (".hidden.csv", "a.csv.part", "a.csv.tmp", "a.csv~", "b.csv.done", "c.csv"):
        drop(landing, name)
    (landing.folder / "folder").mkdir()
    assert list(look(landing.folder)) == ["c.csv"]


def test_a_file_is_settled_when_two_looks_see_the_same(landing: Landing) -> None:
    """A new file and a growing one have to wait for the next look."""
    drop(landing, "same.csv")
    growing = drop(landing, "growing.csv")
    before = look(landing.folder)
    growing.write_text("a,y\n1,0\n2,1\n")
    drop(landing, "new.csv")
    assert settled(landing.folder, before, look(landing.folder)) == ["same.csv"]


def test_a_marker_settles_a_file_at_once(landing: Landing) -> None:
    """A writer that says it is done is believed, and the marker goes with the file."""
    drop(landing, "a.csv")
    drop(landing, "a.csv.done")
    assert settled(landing.folder, {}, look(landing.folder)) == ["a.csv"]
    assert len(landing.claim()) == 1
    assert look(landing.folder) == {}
    assert not (landing.folder / "a.csv.done").exists()


def test_claimed_files_come_oldest_first_and_keep_their_bytes(landing: Landing) -> None:
    """The digest is of the bytes; nothing is left for the next run to take."""
    drop(landing, "young.csv", "a,y\n2,1\n")
    drop(landing, "old.csv", age=60)
    claimed = landing.claim()
    assert [one.path.name.partition("-")[2] for one in claimed] == ["old.csv", "young.csv"]
    assert claimed[1].path.read_text() == "a,y\n2,1\n"
    assert claimed[1].digest == hashlib.sha256(b"a,y\n2,1\n").hexdigest()
    assert look(landing.folder) == {}


def test_what_a_dead_run_had_claimed_is_claimed_again(landing: Landing) -> None:
    """A claim is not lost with its run, and a new file of the same name does not replace it."""
    drop(landing, "a.csv", age=60)
    first = landing.claim()
    drop(landing, "a.csv", "a,y\n2,1\n")
    again = landing.claim()
    assert again[0] == first[0]
    assert len(again) == 2


def test_an_archived_delivery_is_known_by_its_bytes(landing: Landing) -> None:
    """The archive keeps the given name under the digest; the same bytes are recognised later."""
    drop(landing, "a.csv")
    (delivery,) = landing.claim()
    assert not landing.archived(delivery.digest)
    assert landing.delivery(delivery.digest) == delivery
    kept = landing.archive(delivery)
    assert (kept.name, kept.parent.name) == ("a.csv", delivery.digest)
    assert landing.archived(delivery.digest)
    assert landing.delivery(delivery.digest) is None
    drop(landing, "other-name.csv")
    assert landing.archived(landing.claim()[0].digest)


def test_a_refused_delivery_is_kept_with_its_reason(landing: Landing) -> None:
    """File and sentence lie side by side in quarantine, and the folder is free again."""
    drop(landing, "bad.csv", "nonsense")
    (delivery,) = landing.claim()
    kept = landing.refuse(delivery, "no target column")
    assert kept.read_text() == "nonsense"
    assert (kept.parent / "reason.txt").read_text() == "no target column\n"
    assert kept.parent == landing.quarantine / delivery.digest
    assert landing.claim() == []
    assert not landing.archived(delivery.digest)


def test_a_table_of_refused_rows_replaces_the_one_before(landing: Landing) -> None:
    """A repeated step leaves one whole table, and nothing half-written beside it."""
    landing.write_quarantine("d1", "line\n1\n2\n")
    path = landing.write_quarantine("d1", "line\n1\n")
    assert path.read_text() == "line\n1\n"
    assert [one.name for one in path.parent.iterdir()] == ["rows.csv"]


def test_lines_are_found_by_their_numbers(landing: Landing) -> None:
    """Numbers count from one, line ends are cut, a byte-order mark is no text."""
    path = landing.folder / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfa,y\r\n1,\xff\r\n2,1\r\n")
    delivery = Delivery(path, "")
    assert raw_lines(delivery, [1, 3]) == {1: "a,y", 3: "2,1"}
    with lines(delivery) as file:
        assert file.read().splitlines()[1] == "1,\udcff"
