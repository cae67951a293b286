"""What the sender of a refused file finds beside the files, and when it is gone again."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from obstore.exceptions import PermissionDeniedError

from include.adapters import sender_notes
from include.adapters.landing import claims
from include.context.step_context import StepContext
from include.records.data import Batch, Fate
from include.steps import ingest as ingest_step
from include.steps import replay as replay_step
from include.store import Store, open_store
from tests import steps
from tests.contract.bank import bank_at, ratchet
from tests.contract.pipeline import take_in
from tests.seaweed import Bucket

pytestmark = pytest.mark.models_in_memory

HEADER = "age,balance,job,y\n"
GOOD = [f"{20 + n},{n}.5,admin,{'yes' if n % 4 == 0 else 'no'}" for n in range(40)]
BAD = [f"old,{n}.5,admin,no" for n in range(3)]
MENDED = [f"77,{n}.5,admin,no" for n in range(3)]
NOTE = "march.csv.txt"


def file_of(*rows: str) -> bytes:
    """Return a delivery of these rows."""
    return (HEADER + "".join(f"{row}\n" for row in rows)).encode()


FIRST = file_of(*(f"{60 + n},{n},blue,{'no' if n else 'yes'}" for n in range(9)))
PARTLY = file_of(*GOOD[:20], *BAD, *GOOD[20:])
WHOLE = file_of(*BAD)


@pytest.fixture(params=["folder", "bucket"])
def context(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StepContext]:
    """Return a context whose files land in a place of each kind; the lake is a folder."""
    environment: dict[str, str] = {}
    if request.param == "bucket":
        bucket: Bucket = request.getfixturevalue("bucket")
        environment = {"RATCHET_LANDING": f"{bucket.url}/in", **bucket.options}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "POLL_SECONDS", 0.02)
        context = bank_at(tmp_path, environment)
        send(context, FIRST, "first.csv")
        yield context


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StepContext:
    """Return a context in folders."""
    monkeypatch.setattr(claims, "POLL_SECONDS", 0.02)
    context = bank_at(tmp_path)
    send(context, FIRST, "first.csv")
    return context


def place(context: StepContext) -> Store:
    """Return the landing place."""
    return open_store(context.landing.url, context.settings.s3)


def notes(context: StepContext) -> dict[str, str]:
    """Return the notes by their names."""
    store = place(context).at("refused")
    return {one.name: store.read(one.name).decode() for one in store.look() if one.size}


def send(context: StepContext, content: bytes, name: str = "march.csv") -> Batch:
    """Drop a file, run, and return what became of it."""
    context.landing.drop(name, content)
    (batch,) = take_in(context).batches
    return batch


def waiting(context: StepContext) -> list[tuple[str, int]]:
    """Return what waits in quarantine, by file."""
    return [(one.name, one.rows) for one in replay_step.list_quarantine(context)]


def test_a_note_says_what_was_refused_and_goes_with_the_mended_file(context: StepContext) -> None:
    """In a folder and in a bucket, for rows and for a whole file; no run takes a note for data."""
    partly = send(context, PARTLY)
    (text,) = notes(context).values()
    assert text.startswith("Ratchet refused 3 of 43 rows of march.csv on ")
    assert "- 3 rows: column age holds a text where a number belongs, first on line 22: old" in text
    assert "line 23, age: old,1.5,admin,no\nline 24, age: old,2.5,admin,no\n" in text
    assert "put the whole file here again" in text
    assert f"./ratchet replay {context.spec.name} {partly.digest[:12]}\n" in text
    assert steps.ingest(context) == []
    assert waiting(context) == [("march.csv", 3)]
    assert send(context, file_of(*GOOD, *MENDED)).new == 3
    assert (notes(context), waiting(context)) == ({}, [])
    assert send(context, WHOLE, "april.csv").fate is Fate.REFUSED
    assert "Ratchet refused the whole of april.csv" in notes(context)["april.csv.txt"]
    assert "first on line 2: old" in notes(context)["april.csv.txt"]
    assert send(context, file_of("88,3,,no", "88,4,,no"), "april.csv").new == 2
    assert (notes(context), waiting(context)) == ({}, [])
    assert [one.settled for one in replay_step.list_quarantine(context, settled=True)] == [
        True,
        True,
    ]


@pytest.mark.parametrize("content", [b"", b"[1, ", b"\xff\xfe"])
def test_a_damaged_record_of_what_was_mended_settles_nothing(
    folder: StepContext, content: bytes
) -> None:
    """Rows are asked for once too often, never too seldom."""
    first = send(folder, PARTLY)
    settled = open_store(f"{folder.lake.url}/refusals/settled", {})
    settled.write(f"{first.digest}/{'0' * 64}", content)
    assert waiting(folder) == [("march.csv", 3)]


MENDS: dict[str, tuple[bytes, bool]] = {
    "the whole file": (file_of(*GOOD, *MENDED), True),
    "without the bad rows": (file_of(*GOOD), True),
    "the mended rows alone": (file_of(*MENDED), True),
    "the file of the next day": (file_of(*(f"50,{n},,no" for n in range(60))), False),
    "another file with a bad row": (
        file_of("old,1,,no", *(f"51,{n},,no" for n in range(60))),
        False,
    ),
}


@pytest.mark.parametrize("kind", MENDS)
def test_the_mended_file_is_told_from_the_next_one(folder: StepContext, kind: str) -> None:
    """Senders use one name every day: only rows that come again settle what was refused."""
    content, settles = MENDS[kind]
    first = send(folder, PARTLY)
    assert send(folder, content).fate is Fate.GOES_ON
    held = [one.digest for one in replay_step.list_quarantine(folder)]
    assert (first.digest not in held) == settles
    assert (NOTE not in notes(folder)) == settles


def test_what_is_mended_in_part_leaves_the_rest(folder: StepContext) -> None:
    """The note of the first file goes; that of the second names what is still wrong."""
    send(folder, PARTLY)
    send(folder, file_of(*GOOD, *MENDED[:2], BAD[2]))
    assert waiting(folder) == [("march.csv", 1)]
    (text,) = notes(folder).values()
    assert "refused 1 of 43 rows" in text


def test_replayed_rows_leave_the_list_one_by_one(folder: StepContext) -> None:
    """And the note with the last; a replay without a mend sends what still waits."""
    batch = send(folder, PARTLY)
    table = folder.landing.read_quarantine(batch.digest).rows or b""
    header, *held = table.splitlines()
    for number, left in enumerate(held, 1):
        mended = left.replace(b"old", b"77")
        replay_step.replay(folder, batch.digest, b"\n".join([header, mended]) + b"\n")
        assert take_in(folder).batches[0].new == 1
        assert waiting(folder) == [("march.csv", 3 - number)] * (number < 3)
        assert bool(notes(folder)) == (number < 3)
    said = ratchet(folder.settings.home, "replay", "bank", batch.digest)
    assert "were mended and taken in before" in said.err


def test_rows_replayed_and_refused_again_wait_under_their_new_batch(folder: StepContext) -> None:
    """Once, with the note of their own; the mended whole file settles both."""
    batch = send(folder, PARTLY)
    table = folder.landing.read_quarantine(batch.digest).rows or b""
    replay_step.replay(folder, batch.digest, table.replace(b"old,0.5", b"78,0.5"))
    (again,) = take_in(folder).batches
    assert (again.fate, again.new, again.refused) == (Fate.REFUSED, 0, 2)
    assert sorted(waiting(folder)) == [("march.csv", 0), ("march.csv", 3)]
    assert len(notes(folder)) == 2
    send(folder, file_of(*GOOD, *MENDED))
    assert (notes(folder), waiting(folder)) == ({}, [])


def test_a_file_replayed_as_it_came_takes_its_note_along(folder: StepContext) -> None:
    """Under a spec that allows more; what is still bad has a note under the file's own name."""
    name = f"{'n' * 100}.csv"
    batch = send(folder, file_of(*GOOD[:2], *BAD), name)
    assert batch.fate is Fate.REFUSED
    lenient = bank_at(folder.settings.home, max_refused_share=1)
    replay_step.replay(lenient, batch.digest)
    (again,) = take_in(lenient).batches
    assert (again.new, again.refused) == (2, 3)
    assert list(notes(folder)) == [f"{name}.txt"]
    assert "refused 3 of 5 rows" in notes(folder)[f"{name}.txt"]
    assert waiting(folder) == [(name, 3)]


OTHERS: dict[str, Callable[[Path], Any]] = {
    "a file of somebody else": lambda path: path.write_text("mine\nBatch: " + "0" * 64),
    "a folder": lambda path: path.mkdir(),
    "a link": lambda path: path.symlink_to("/nowhere"),
    "a pipe": os.mkfifo,
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_note_overwrites_nothing(folder: StepContext, kind: str) -> None:
    """What stands under its name stays, and the note has another; both ends are tried."""
    path = Path(folder.landing.url, "refused", NOTE)
    path.parent.mkdir(parents=True)
    OTHERS[kind](path)
    before = path.lstat()
    same = (before.st_ino, before.st_mode, before.st_size, before.st_mtime_ns)
    batch = send(folder, PARTLY)
    other = path.with_name(f"march.csv.{batch.digest[:12]}.txt")
    assert "refused 3 of 43 rows" in other.read_text()
    send(folder, file_of(*GOOD, *MENDED))
    assert not other.exists()
    now = path.lstat()
    assert (now.st_ino, now.st_mode, now.st_size, now.st_mtime_ns) == same


def test_two_refused_files_of_one_name_have_two_notes(folder: StepContext) -> None:
    """And the same file again still one."""
    for content in (WHOLE, WHOLE, file_of(*BAD, "older,1,,no")):
        send(folder, content)
    assert len(notes(folder)) == 2
    send(folder, file_of(*GOOD, *MENDED))
    assert notes(folder) == {}


def test_where_no_note_can_be_written_the_file_is_taken_in_all_the_same(
    folder: StepContext, caplog: pytest.LogCaptureFixture
) -> None:
    """A link in place of the folder leads nowhere; that is said."""
    place_ = Path(folder.landing.url)
    (place_ / "refused").symlink_to(place_.parent)
    folder.landing.drop("march.csv", PARTLY)
    assert take_in(folder).batches[0].new == 40
    assert "the note for its sender cannot be written" in caplog.text
    assert not (place_.parent / NOTE).exists()


@pytest.mark.parametrize(
    ("number", "stops"), [(errno.EACCES, False), (errno.ENOSPC, True), (errno.EROFS, True)]
)
def test_a_note_that_cannot_be_written_is_told_from_a_disk_that_is_full(
    folder: StepContext, monkeypatch: pytest.MonkeyPatch, number: int, *, stops: bool
) -> None:
    """Of the latter the run fails, as of any write, and the next one writes the note."""

    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    folder.landing.drop("march.csv", PARTLY)
    with monkeypatch.context() as patch:
        patch.setattr(folder.notes._store, "write", fail)
        if stops:
            with pytest.raises(OSError, match=os.strerror(number)):
                take_in(folder)
        else:
            assert take_in(folder).batches[0].new == 40
    take_in(folder)
    assert bool(notes(folder)) == stops


def test_a_bucket_that_forbids_notes_stops_no_file(
    folder: StepContext, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its policy may allow the claims and nothing else."""

    def forbid(*_: Any) -> None:
        raise PermissionDeniedError("403")

    monkeypatch.setattr(folder.notes._store, "write", forbid)
    assert send(folder, PARTLY).new == 40
    assert "cannot be written: the bucket does not allow it" in caplog.text


def test_a_file_dropped_into_the_folder_of_notes_is_named(folder: StepContext) -> None:
    """Who moves a file called `refused` moves it in there."""
    send(folder, PARTLY)
    Path(folder.landing.url, "refused", "april.csv").write_bytes(PARTLY)
    (told,) = ingest_step.left_alone(folder)
    assert told.name == "refused/april.csv"
    assert "in the folder of notes" in told.note


def test_notes_are_bounded(folder: StepContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes; what is no note does not count and stays."""
    monkeypatch.setattr(sender_notes, "MOST_NOTES", 2)
    for number in range(3):
        send(folder, file_of(*BAD, f"older,{number},,no"), f"{number}.csv")
        stamp = 1_700_000_000 + number
        os.utime(Path(folder.landing.url, "refused", f"{number}.csv.txt"), (stamp, stamp))
        Path(folder.landing.url, "refused", "mine.txt").write_text("mine")
    assert sorted(notes(folder)) == ["1.csv.txt", "2.csv.txt", "mine.txt"]


def test_a_note_has_an_end(folder: StepContext) -> None:
    """However many rows are bad, and however long they are."""
    long = [f"old,{n},{'x' * 1000},no" for n in range(300)]
    send(folder, file_of(*long, *(f"50,{n},,no" for n in range(300))))
    (text,) = notes(folder).values()
    assert "and 200 more rows" in text
    assert len(text) < 30_000


@pytest.mark.parametrize("name", [f"{'ü' * 125}.csv", "a b'c%.csv", "100%25 #.csv"])
def test_a_note_stands_under_any_name(context: StepContext, name: str) -> None:
    """Also one that has no room for a suffix."""
    send(context, PARTLY, name)
    assert len(notes(context)) == 1
    send(context, file_of(*GOOD, *MENDED), name)
    assert notes(context) == {}


@pytest.mark.parametrize("die_in", ["settle", "archive", "close", "delete"])
def test_killed_on_the_way_a_file_settles_the_same(
    folder: StepContext, monkeypatch: pytest.MonkeyPatch, die_in: str
) -> None:
    """The next run goes on where the dead one stopped."""
    send(folder, PARTLY)
    owner: Any = {"settle": folder.ledger, "close": folder.ledger}.get(die_in, folder.landing)
    owner = folder.notes if die_in == "delete" else owner

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    folder.landing.drop("march.csv", file_of(*GOOD, *MENDED))
    with monkeypatch.context() as patch:
        patch.setattr(owner, die_in, die)
        with pytest.raises(KeyboardInterrupt):
            take_in(folder)
    take_in(folder)
    assert (notes(folder), waiting(folder)) == ({}, [])


def test_the_list_names_file_and_date_with_the_newest_first(folder: StepContext) -> None:
    """And with --all what is settled, said as such."""
    for month, name in (("01", "january.csv"), ("02", "february.csv")):
        batch = send(folder, file_of(*BAD, f"older,{month},,no"), name)
        for kept in Path(folder.landing.quarantine_url(batch.digest)).iterdir():
            os.utime(kept, (1_700_000_000 + int(month) * 86_400,) * 2)
    home = folder.settings.home
    header, newest, oldest = ratchet(home, "quarantine", "bank").out.splitlines()
    assert header == "batch            rows  since (UTC)       file and reason"
    assert "    all  2023-11-16 22:13  february.csv: 4 of 4 lines are in bad rows" in newest
    assert "    all  2023-11-15 22:13  january.csv: 4 of 4 lines" in oldest
    send(folder, file_of(*GOOD), "january.csv")
    assert "january" not in ratchet(home, "quarantine", "bank").out
    listed = ratchet(home, "quarantine", "bank", "--all").out
    assert listed.rstrip().endswith("(mended and taken in)")


def test_a_batch_that_comes_again_brings_no_old_note_back(
    folder: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table may lose a batch whose bad rows were mended: those stay settled."""
    send(folder, PARTLY)
    send(folder, file_of(*GOOD, *MENDED))
    with monkeypatch.context() as patch:
        patch.setattr(type(folder.lake), "holds", lambda *_: False)
        assert send(folder, PARTLY).refused == 3
    assert (notes(folder), waiting(folder)) == ({}, [])


def test_a_file_refused_whole_is_told_as_often_as_it_comes(folder: StepContext) -> None:
    """Whoever sends the bad file once more after the good one is told once more."""
    for content in (WHOLE, file_of("90,1,,no"), WHOLE):
        send(folder, content)
    assert list(notes(folder)) == [NOTE]
    assert waiting(folder) == [("march.csv", 0)]


def test_a_table_that_a_person_has_broken_stops_nothing(folder: StepContext) -> None:
    """rows.csv edited in place, by a spreadsheet: the next file is taken in."""
    batch = send(folder, PARTLY)
    Path(folder.landing.quarantine_url(batch.digest), "rows.csv").write_text("line;column\n1;2\n")
    assert send(folder, file_of(*GOOD, *MENDED)).new == 3
    assert notes(folder) == {}
