"""Landing in a folder on a real disk and in a bucket of a real S3 server, one suite."""

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from include.adapters.landing import Delivery, Landing, claimed_files, claims
from include.store import Store, open_store
from tests.logs import messages_of
from tests.seaweed import Bucket, Seaweed
from tests.suite_profile import PROFILE

POLL = 0.02
ROWS = b"a,y\n1,0\n"
OTHER = b"a,y\n2,1\n"


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look fifty times a second."""
    monkeypatch.setattr(claims, "POLL_SECONDS", POLL)


@dataclass
class Place:
    """Where a test's deliveries land, and what stands there and in the lake."""

    root: str
    options: Any
    scratch: Path

    def landing(self) -> Landing:
        """Open the place as another run does."""
        urls = (f"{self.root}/landing", f"{self.root}/lake")
        return Landing(*urls, self.options, self.scratch)

    def store(self) -> Store:
        """Return landing and lake as files."""
        return open_store(self.root, self.options)

    def files(self) -> dict[str, bytes]:
        """Return everything that stands in landing and lake."""
        return {entry.name: self.store().read(entry.name) for entry in self.store().walk()}


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return an empty place of each kind."""
    if request.param == "folder":
        return Place(str(tmp_path / "here"), {}, tmp_path / "scratch")
    bucket: Bucket = request.getfixturevalue("bucket")
    return Place(bucket.url, bucket.options, tmp_path / "scratch")


@pytest.fixture
def landing(place: Place) -> Landing:
    """Return its landing."""
    return place.landing()


def content(landing: Landing, delivery: Delivery) -> bytes:
    """Return a delivery's bytes."""
    with landing.open(delivery) as file:
        return file.read()


def digest_of(data: bytes) -> str:
    """Return what a delivery of these bytes is known by."""
    return hashlib.sha256(data).hexdigest()


def test_a_place_that_is_not_there_holds_nothing(landing: Landing) -> None:
    """It may appear later."""
    assert landing.claim() == []
    assert landing.quarantined_digests() == []
    assert landing.delivery("d") is None


def test_a_claimed_file_is_known_by_its_bytes(place: Place, landing: Landing) -> None:
    """It has left the place, can be read and sought in, and a later step finds it by digest."""
    landing.drop("a.csv", ROWS)
    (delivery,) = landing.claim()
    assert (delivery.name, delivery.digest) == ("a.csv", digest_of(ROWS))
    with landing.open(delivery) as file:
        assert file.read() == ROWS
        file.seek(2)
        assert file.read(1) == b"y"
    assert "landing/a.csv" not in place.files()
    assert place.landing().delivery(delivery.digest) == delivery
    assert place.landing().claim() == [delivery]


def test_a_digest_is_computed_once(
    place: Place, landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later step does not read gigabytes again to know what it has."""
    landing.drop("a.csv", ROWS)
    (delivery,) = landing.claim()
    monkeypatch.setattr(claimed_files, "sha256", None)
    assert place.landing().delivery(delivery.digest) == delivery


def test_hidden_and_temporary_names_are_no_deliveries(landing: Landing, place: Place) -> None:
    """Writers may hide what they are writing; folders are not deliveries either."""
    for name in (".hidden.csv", "a.csv.part", "a.csv.tmp", "a.csv~", "b.csv.done", "in/c.csv"):
        landing.drop(name, ROWS)
    before = place.files()
    assert landing.claim() == []
    assert place.files() == before


@pytest.mark.parametrize(
    "name",
    [
        "with space.csv",
        "Größe ü.csv",
        "100%25.csv",
        "a#b+c&d=e?.csv",
        "'\"[x].csv",
        f"{'n' * 251}.csv",
    ],
)
def test_any_name_keeps_its_bytes_and_itself(place: Place, landing: Landing, name: str) -> None:
    """Names come from people: archived and refused under what they were dropped as."""
    landing.drop(name, ROWS)
    (delivery,) = landing.claim()
    assert content(landing, delivery) == ROWS
    landing.archive(delivery)
    landing.drop(name, OTHER)
    landing.refuse(landing.claim()[0], "why")
    assert place.files() == {
        f"lake/archive/{digest_of(ROWS)}/{name}": ROWS,
        f"lake/quarantine/{digest_of(OTHER)}/{name}": OTHER,
        f"lake/quarantine/{digest_of(OTHER)}/reason.txt": b"why\n",
    }


def test_a_marker_goes_with_its_file(place: Place, landing: Landing) -> None:
    """What a writer said of one file must not be believed of the next of that name."""
    landing.drop("a.csv", b"a,y\n1,0\n2")
    landing.drop("a.csv.done", b"")
    assert [one.name for one in landing.claim()] == ["a.csv"]
    assert not [name for name in place.files() if name.endswith(".done")]


def test_the_same_name_twice_is_two_deliveries(landing: Landing) -> None:
    """A new file does not replace the one that a dead run had claimed under its name."""
    landing.drop("a.csv", ROWS)
    first = landing.claim()
    landing.drop("a.csv", OTHER)
    again = landing.claim()
    assert first[0] in again
    assert {content(landing, one) for one in again} == {ROWS, OTHER}


def test_an_archived_delivery_is_known_under_any_name(landing: Landing) -> None:
    """The archive keeps the given name under the digest; the same bytes are recognised later."""
    landing.drop("a.csv", ROWS)
    (delivery,) = landing.claim()
    assert not landing.is_archived(delivery.digest)
    where = landing.archive(delivery)
    assert where.endswith(f"lake/archive/{delivery.digest}/a.csv")
    assert landing.is_archived(delivery.digest)
    assert landing.delivery(delivery.digest) is None
    with landing.open_archived(delivery.digest) as (name, file):
        assert (name, file.read(), file.seek(0)) == ("a.csv", ROWS, 0)
    assert content(landing, delivery) == ROWS
    landing.drop("other-name.csv", ROWS)
    assert landing.is_archived(landing.claim()[0].digest)


def test_archive_and_refuse_may_be_called_again(place: Place, landing: Landing) -> None:
    """A step that is repeated finds its work done, and its spooled copies gone."""
    for data, end in ((ROWS, landing.archive), (OTHER, lambda item: landing.refuse(item, "why"))):
        landing.drop("a.csv", data)
        (delivery,) = landing.claim()
        assert content(landing, delivery) == data
        assert end(delivery) == end(delivery)
    assert [path for path in place.scratch.rglob("*") if path.is_file()] == []


def test_what_was_never_claimed_cannot_be_archived(landing: Landing) -> None:
    """A lost file is told, not passed over."""
    with pytest.raises(FileNotFoundError, match=r"a\.csv is neither claimed nor at"):
        landing.archive(Delivery("a.csv", "d", "1-1"))
    with (
        pytest.raises(FileNotFoundError, match="no delivery of this digest"),
        landing.open_archived("d"),
    ):
        pass


def test_quarantine_tells_what_it_holds(landing: Landing) -> None:
    """Refused rows and files refused whole are found again by digest, and files can be read."""
    landing.drop("reason.txt", b"nonsense\n")
    (delivery,) = landing.claim()
    landing.refuse(delivery, "no target column")
    landing.write_quarantine("0rows", iter([b"line\n", b"1\n", b"2\n"]))
    landing.write_quarantine("0rows", iter([b"line\n", b"1\n"]))
    assert landing.quarantined_digests() == ["0rows", delivery.digest]
    assert landing.read_quarantine("0rows").rows == b"line\n1\n"
    assert landing.read_quarantine("0rows").reason is None
    kept = landing.read_quarantine(delivery.digest)
    assert (kept.rows, kept.reason, kept.name) == (None, "no target column", "delivered-reason.txt")
    with landing.open_refused(delivery.digest) as (name, file):
        assert (name, file.read()) == ("reason.txt", b"nonsense\n")


def test_a_file_that_came_back_stands_in_one_place(place: Place, landing: Landing) -> None:
    """Refused again it is there once, under its new name; taken in it is refused no more."""
    for name in ("a.csv", "rows.csv", "b.csv"):
        landing.drop(name, b"nonsense\n")
        (delivery,) = landing.claim()
        landing.refuse(delivery, f"no target column in {name}")
    here = f"lake/quarantine/{delivery.digest}"
    why = b"no target column in b.csv\n"
    assert place.files() == {f"{here}/b.csv": b"nonsense\n", f"{here}/reason.txt": why}
    landing.write_quarantine(delivery.digest, [b"line\n"])
    landing.drop("c.csv", b"nonsense\n")
    landing.archive(landing.claim()[0])
    archived = f"lake/archive/{delivery.digest}/c.csv"
    assert place.files() == {f"{here}/rows.csv": b"line\n", archived: b"nonsense\n"}


def test_rows_that_stop_coming_leave_no_half_table(place: Place, landing: Landing) -> None:
    """A table of refused rows is whole or absent."""

    def rows() -> Iterator[bytes]:
        yield b"line\n"
        raise InterruptedError

    with pytest.raises(InterruptedError):
        landing.write_quarantine("d", rows())
    assert not landing.quarantined_digests() or landing.read_quarantine("d").rows is None
    landing.write_quarantine("d", [])
    assert place.files() == {"lake/quarantine/d/rows.csv": b""}


def test_two_runs_at_once_take_every_file_once(place: Place) -> None:
    """Whoever is faster takes a file; both may know of it, nobody loses it."""
    data = {f"{number}.csv": b"a,y\n%d,0\n" % number for number in range(5)}
    for name, rows in data.items():
        place.landing().drop(name, rows)
    found: list[Delivery] = []
    runs = [
        threading.Thread(target=lambda: found.extend(place.landing().claim())) for _ in range(3)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert {(one.name, one.digest) for one in found} == {
        (name, digest_of(rows)) for name, rows in data.items()
    }
    assert sorted(content(place.landing(), one) for one in place.landing().claim()) == sorted(
        data.values()
    )


class Dead(BaseException):
    """The process was killed here."""


def life(landing: Landing) -> None:
    """Bring all that waits to its end: nonsense is refused, the rest archived."""
    for delivery in landing.claim():
        if content(landing, delivery).startswith(b"nonsense"):
            landing.refuse(delivery, "nonsense")
        else:
            landing.write_quarantine(delivery.digest, [b"line\n", b"1\n"])
            landing.archive(delivery)


def kill_at(landing: Landing, die_at: int) -> list[str]:
    """Make a landing die before or after one call to its stores; return the calls as they come."""
    calls: list[str] = []
    parts = (landing._claimed, landing._archive, landing._quarantine)
    for store in (landing._place, *(part._store for part in parts)):
        for method in METHODS:
            if hasattr(store, method):
                setattr(store, method, counted(getattr(store, method), calls, die_at))
    return calls


METHODS = ("move", "move_out", "copy_to", "delete", "write", "fetch", "read", "walk", "entry")


def counted(work: Callable[..., Any], calls: list[str], die_at: int) -> Callable[..., Any]:
    """Count a call before and after its work."""

    def call(*arguments: Any) -> Any:
        count()
        result = work(*arguments)
        count()
        return result

    def count() -> None:
        calls.append(work.__name__)
        if len(calls) == die_at:
            raise Dead

    return call


def test_killed_at_any_call_the_end_is_the_same(place: Place, tmp_path: Path) -> None:
    """A run that dies between any two operations costs nothing but another run."""
    stride = PROFILE.landing_bucket_stride if place.options else PROFILE.landing_stride
    die_at, died = 1 - stride, True
    while died:
        die_at += stride
        there = Place(f"{place.root}/{die_at}", place.options, tmp_path / "scratch")
        for name, data in (("a.csv", ROWS), ("b c.csv", b"nonsense\n"), ("d.csv", OTHER)):
            there.landing().drop(name, data)
        there.landing().drop("d.csv.done", b"")
        first = there.landing()
        calls = kill_at(first, die_at)
        with suppress(Dead):
            life(first)
        died = len(calls) == die_at
        life(there.landing())
        assert there.files() == END, f"killed at call {die_at}, {calls[-1]}"
    assert die_at > 30


END = {
    f"lake/archive/{digest_of(ROWS)}/a.csv": ROWS,
    f"lake/archive/{digest_of(OTHER)}/d.csv": OTHER,
    f"lake/quarantine/{digest_of(ROWS)}/rows.csv": b"line\n1\n",
    f"lake/quarantine/{digest_of(OTHER)}/rows.csv": b"line\n1\n",
    f"lake/quarantine/{digest_of(b'nonsense' + bytes([10]))}/b c.csv": b"nonsense\n",
    f"lake/quarantine/{digest_of(b'nonsense' + bytes([10]))}/reason.txt": b"nonsense\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Place:
    """Return a place on the disk."""
    return Place(str(tmp_path / "here"), {}, tmp_path / "scratch")


def in_folder(folder: Place, name: str, data: bytes = ROWS, age: int = 0) -> Path:
    """Write a file into a landing folder, changed `age` seconds before the others."""
    path = Path(folder.root, "landing", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    stamp = time.time() - 30 - age
    os.utime(path, (stamp, stamp))
    return path


def test_oldest_first_then_by_name(folder: Place) -> None:
    """Files arrive in the order in which they were last changed."""
    for name, age in (("young.csv", 0), ("old.csv", 20), ("b.csv", 10), ("a.csv", 10)):
        path = in_folder(folder, name, name.encode() + b"\n")
        os.utime(path, ns=((1_700_000_000 - age) * 10**9,) * 2)
    names = ["old.csv", "a.csv", "b.csv", "young.csv"]
    assert [one.name for one in folder.landing().claim()] == names
    assert [one.name for one in folder.landing().claim()] == names


def test_a_writer_that_pauses_is_never_read_by_half(folder: Place) -> None:
    """However long its pauses, wherever they fall: the file is taken when it is closed."""
    rows = b"".join(b"%d,%d\n" % (number, number % 2) for number in range(200))
    data = b"a,y\n" + rows
    path = in_folder(folder, "slow.csv", b"")

    def write() -> None:
        with path.open("wb") as file:
            for start in range(0, len(data), 200):
                file.write(data[start : start + 200])
                file.flush()
                time.sleep(4 * POLL)

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[Delivery] = []
    while not seen:
        busy = writer.is_alive()
        seen = folder.landing().claim()
        assert not (busy and writer.is_alive() and seen)
    writer.join()
    assert content(folder.landing(), seen[0]) == data


def test_a_file_that_changes_after_its_claim_is_put_back(folder: Place) -> None:
    """A writer whose marker came too early gets its file read when it is done."""
    path = in_folder(folder, "a.csv")
    in_folder(folder, "a.csv.done", b"")
    with path.open("ab") as file:
        first = folder.landing()
        delivery = first.claim()[0]
        file.write(b"2,1\n")
        file.flush()
        assert folder.landing().claim() == []
        assert path.exists()
        assert folder.landing().delivery(delivery.digest) is None
    (delivery,) = folder.landing().claim()
    assert content(folder.landing(), delivery) == ROWS + b"2,1\n"


def test_what_is_put_back_does_not_replace_a_newer_file(folder: Place) -> None:
    """Both are delivered in the end."""
    in_folder(folder, "a.csv")
    folder.landing().claim()
    (claimed,) = Path(folder.root, "landing", ".claimed").glob("*/a.csv")
    claimed.write_bytes(OTHER)
    in_folder(folder, "a.csv", b"a,y\n3,0\n")
    folder.landing().claim()
    taken = [content(folder.landing(), one) for one in folder.landing().claim()]
    assert sorted(taken) == [OTHER, b"a,y\n3,0\n"]


def test_landing_and_lake_on_different_disks(tmp_path: Path) -> None:
    """A file is whole in the archive before it leaves the other disk."""
    disk = Path("/dev/shm")  # noqa: S108 - the one other disk that Linux always has
    if not disk.is_dir() or disk.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second disk here")
    with TemporaryDirectory(dir=disk) as other:
        landing = Landing(other, str(tmp_path / "lake"), {}, tmp_path)
        landing.drop("a.csv", ROWS)
        (delivery,) = landing.claim()
        kept = Path(landing.archive(delivery))
        assert kept.read_bytes() == ROWS
        assert list(kept.parent.iterdir()) == [kept]
        assert [path for path in Path(other).rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("way", ["folder to bucket", "bucket to folder", "bucket to bucket"])
def test_landing_and_lake_of_different_kinds(tmp_path: Path, bucket: Bucket, way: str) -> None:
    """A folder may feed a lake in a bucket, and the other way round."""
    from_bucket, to_bucket = way.startswith("bucket"), way.endswith("bucket")
    landing = Landing(
        f"{bucket.url}/in" if from_bucket else str(tmp_path / "in"),
        f"{bucket.url}/lake" if to_bucket else str(tmp_path / "lake"),
        bucket.options,
        tmp_path / "scratch",
    )
    landing.drop("a b.csv", ROWS)
    (delivery,) = landing.claim()
    landing.archive(delivery)
    assert landing.claim() == []
    with landing.open_archived(delivery.digest) as (name, file):
        assert (name, file.read()) == ("a b.csv", ROWS)


def test_a_server_that_is_away_is_waited_for(
    s3_server: Seaweed, bucket: Bucket, tmp_path: Path
) -> None:
    """A claim that finds the server gone takes as long as the server does, and no error."""
    landing = Landing(f"{bucket.url}/in", f"{bucket.url}/lake", bucket.options, tmp_path)
    landing.drop("a.csv", ROWS)
    s3_server.stop()
    back = threading.Timer(1.0, s3_server.start)
    back.start()
    try:
        (delivery,) = landing.claim()
    finally:
        back.join()
    assert content(landing, delivery) == ROWS


def test_large_objects_go_in_pieces(place: Place, tmp_path: Path) -> None:
    """What is larger than one piece arrives and comes back whole."""
    path = tmp_path / "large.csv"
    path.write_bytes(b"a,y\n" + b"1.5,0\n" * 3_000_000)
    landing = place.landing()
    landing.drop("large.csv", path)
    (delivery,) = landing.claim()
    assert delivery.digest == digest_of(path.read_bytes())
    landing.archive(delivery)
    with landing.open_archived(delivery.digest) as (_, file):
        assert digest_of(file.read()) == delivery.digest


def test_the_file_of_a_run_that_a_person_stopped_waits(
    place: Place, landing: Landing, caplog: pytest.LogCaptureFixture
) -> None:
    """Others are taken; the run itself, and whoever holds no run for stopped, takes it again."""
    landing.drop("a.csv", ROWS)
    (delivery,) = landing.claim("run-1")
    landing.drop("b.csv", ROWS + b"2,0\n")
    with caplog.at_level(logging.WARNING, logger="ratchet"):
        taken = place.landing().claim("run-2", {"run-1"}.__contains__)
    assert [one.name for one in taken] == ["b.csv"]
    (sentence,) = messages_of(caplog, "ratchet")
    assert sentence.startswith("a.csv waits, because the run run-1 that had taken it was stopped")
    assert content(landing, delivery) == ROWS
    names = {one.name for one in place.landing().claim("run-1", {"run-1"}.__contains__)}
    assert names == {"a.csv", "b.csv"}


def test_who_takes_the_file_of_a_stopped_run_owns_it(place: Place, landing: Landing) -> None:
    """A run that is triggered by hand takes it over, and may die without it waiting again."""
    landing.drop("a.csv", ROWS)
    landing.claim("run-1")
    (delivery,) = place.landing().claim("by hand")
    assert place.landing().claim("run-3", {"run-1"}.__contains__) == [delivery]


def test_a_file_that_was_claimed_by_nobody_in_particular_is_taken(
    place: Place, landing: Landing
) -> None:
    """As those of a version that did not write that down."""
    landing.drop("a.csv", ROWS)
    (delivery,) = landing.claim()
    assert place.landing().claim("run-2", {""}.__contains__) == [delivery]


def test_nothing_is_left_beside_a_file_that_has_moved_on(place: Place, landing: Landing) -> None:
    """Archived or refused, what said whose it was is gone."""
    landing.drop("a.csv", ROWS)
    landing.drop("b.csv", ROWS + b"2,0\n")
    one, two = landing.claim("run-1")
    landing.archive(one)
    landing.refuse(two, "because")
    assert not [name for name in place.files() if ".claimed" in name]
