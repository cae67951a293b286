"""What stands in a landing place and is no delivery: never opened, named, in no way."""

import hashlib
import json
import os
import socket
from pathlib import Path
from typing import Any

import boto3
import pytest

from include.adapters.landing import Landing, claims
from include.adapters.landing.claims import Claims
from include.context.step_context import StepContext
from include.errors import NothingToDoError
from include.records.packing import pack
from include.steps import ingest as ingest_step
from include.steps import plan as plan_step
from include.store import Folder, open_store
from tests import steps
from tests.contract.bank import bank_at, bank_rows
from tests.contract.pipeline import take_in
from tests.seaweed import Bucket

pytestmark = pytest.mark.models_in_memory

SECRET = "root:x:0:0,do not read this\n"  # noqa: S105 - a line of a file, no password
ROWS = bank_rows(20, seed=1).write_csv().encode()


KINDS = {
    "device.csv": "symbolic link",
    "link.csv": "symbolic link",
    "loop.csv": "symbolic link",
    "march": "folder",
    "nowhere.csv": "symbolic link",
    "pipe.csv": "named pipe",
    "socket.csv": "socket",
}


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    """Return a context whose landing folder is there."""
    context = bank_at(tmp_path / "home")
    Path(context.landing.url).mkdir(parents=True)
    return context


@pytest.fixture
def place(context: StepContext) -> Path:
    """Return its landing folder."""
    return Path(context.landing.url)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Return a file that senders may not read."""
    path = tmp_path / "secret"
    path.write_text(SECRET)
    return path


def files_of(context: StepContext) -> str:
    """Return all that came to stand in the lake's place, as one text."""
    home = Path(context.lake.url)
    return "".join(path.read_text("latin-1") for path in home.rglob("*") if path.is_file())


def test_all_that_is_no_file_is_left_alone_and_named(
    context: StepContext, place: Path, secret: Path
) -> None:
    """Links, loops, pipes, sockets, devices and folders: the file beside them is taken."""
    (place / "link.csv").symlink_to(secret)
    (place / "loop.csv").symlink_to("loop.csv")
    (place / "nowhere.csv").symlink_to("/does/not/exist")
    (place / "device.csv").symlink_to("/dev/zero")
    os.mkfifo(place / "pipe.csv")
    (place / "march").mkdir()
    (place / "march" / "inside.csv").write_bytes(ROWS)
    with socket.socket(socket.AF_UNIX) as here:
        here.bind(str(place / "socket.csv"))
        context.landing.drop("good.csv", ROWS)
        batches = take_in(context).batches
    told = {batch.name: batch.note for batch in batches}
    assert told.pop("good.csv") == ""
    for name, kind in KINDS.items():
        assert told.pop(name).startswith(f"left alone in {place}: a {kind}")
    assert not told
    assert sum(batch.new for batch in batches) == 20
    assert "do not read" not in files_of(context)
    assert (place / "link.csv").is_symlink()
    assert json.loads(json.dumps(pack(list(batches))))
    assert [batch.name for batch in ingest_step.left_alone(context)] == sorted(KINDS)


def test_a_run_of_nothing_else_is_skipped_with_their_names(
    context: StepContext, place: Path
) -> None:
    """Its sender reads there why nothing happens."""
    (place / "march").mkdir()
    with pytest.raises(NothingToDoError, match=r"march: left alone in .*a folder"):
        plan_step.require_trainable(context.spec, take_in(context))


def test_many_of_them_are_counted(context: StepContext, place: Path) -> None:
    """What a run tells has a bound."""
    for number in range(30):
        (place / f"{number:02}").mkdir()
    batches = steps.ingest(context)
    assert len(batches) == 21
    assert batches[-1].name == "10 more"


def test_a_link_put_in_a_files_place_is_not_followed(
    context: StepContext, place: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not between two looks, not between the look and the claim, not after the claim."""
    monkeypatch.setattr(claims, "POLL_SECONDS", 0.01)
    take = Claims._take

    def swapped(of_place: Claims, entry: Any) -> None:
        (place / "a.csv").unlink(missing_ok=True)
        (place / "a.csv").symlink_to(secret)
        take(of_place, entry)

    context.landing.drop("a.csv", ROWS)
    with monkeypatch.context() as patch:
        patch.setattr(Claims, "_take", swapped)
        assert [batch.digest for batch in steps.ingest(context)] == [""]
    assert (place / "a.csv").is_symlink()
    (place / "a.csv").unlink()
    context.landing.drop("b.csv", ROWS)
    (delivery,) = context.landing.claim()
    claimed = place / ".claimed" / delivery.claim / "b.csv"
    claimed.unlink()
    claimed.symlink_to(secret)
    with pytest.raises(FileNotFoundError), context.landing.open(delivery):
        pass
    assert take_in(context).batches == ()
    assert "do not read" not in files_of(context)


def test_folders_below_the_place_are_not_followed(
    context: StepContext, place: Path, secret: Path, tmp_path: Path
) -> None:
    """Where claims go, and the temporary names that files are written under."""
    elsewhere = tmp_path / "elsewhere"
    claim = elsewhere / "00000000000000000001-1"
    claim.mkdir(parents=True)
    (claim / "stolen.csv").write_text(SECRET)
    (place / ".claimed").symlink_to(elsewhere)
    assert context.landing.claim() == []
    for number in range(2):
        context.landing.drop("a.csv", ROWS)
        assert [one.name for one in context.landing.claim()] == ["a.csv"] * (number + 1)
    assert [path.name for path in elsewhere.iterdir()] == [claim.name]
    folder = Folder(tmp_path / "written")
    folder.write("x.csv", b"1")
    for partial in ("x.csv", "y.csv"):
        short = hashlib.sha256(partial.encode()).hexdigest()[:16]
        (tmp_path / "written" / f".{short}.part").symlink_to(secret)
        with pytest.raises(OSError, match="symbolic links"):
            folder.write(partial, b"2")
    assert secret.read_text() == SECRET
    for name in ("../x", "a/../../x", "..", ".", "a\0b"):
        assert folder.entry(name) is None
        with pytest.raises(OSError, match=r"no name for a file|leads out"):
            folder.write(name, b"")


def test_a_file_where_claims_go_is_put_aside(context: StepContext, place: Path) -> None:
    """Whoever drops one stops nobody."""
    (place / ".claimed").write_text("odd")
    context.landing.drop("a.csv", ROWS)
    assert [one.name for one in context.landing.claim()] == ["a.csv"]
    assert [path.read_text() for path in place.glob(".claimed-*")] == ["odd"]


def test_the_place_itself_may_be_a_link(context: StepContext, place: Path, tmp_path: Path) -> None:
    """Operators put it on the disk that they like."""
    place.rmdir()
    disk = tmp_path / "disk"
    disk.mkdir()
    place.symlink_to(disk)
    (disk / "a.csv").write_bytes(ROWS)
    os.utime(disk / "a.csv", (1_700_000_000, 1_700_000_000))
    assert [batch.new for batch in take_in(context).batches] == [20]


def test_what_somebody_wrote_among_the_claims_leads_nowhere(
    context: StepContext, place: Path
) -> None:
    """Neither odd names nor a digest that is a path: the file is known by its bytes."""
    context.landing.drop("a.csv", ROWS)
    (delivery,) = context.landing.claim()
    claims = place / ".claimed"
    (claims / "loose.csv").write_bytes(ROWS)
    (claims / "no-claim").mkdir()
    (claims / "no-claim" / "b.csv").write_bytes(ROWS)
    marker = claims / delivery.claim / ".digest"
    forged = json.loads(marker.read_text()) | {"digest": "../../../x"}
    for text in (json.dumps(forged), "nonsense", "[]", "{}"):
        marker.write_text(text)
        assert context.landing.claim() == [delivery]


def test_a_file_that_nobody_may_read_is_named(
    context: StepContext, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds up no other, in landing and once claimed; it is taken when it can be read."""
    for name in ("a.csv", "b.csv"):
        context.landing.drop(name, ROWS + name.encode() * (name == "b.csv") + b",,,\n")
    open_ = Folder.open

    def refusing(folder: Folder, name: str) -> Any:
        if name.endswith("a.csv"):
            raise PermissionError(13, "Permission denied", name)
        return open_(folder, name)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "open", refusing)
        assert [(one.name, bool(one.digest)) for one in steps.ingest(context)] == [
            ("b.csv", True),
            ("a.csv", False),
        ]
        assert "cannot be read: Permission denied" in ingest_step.left_alone(context)[0].note
        (place / "a.csv.done").touch()
        assert "a.csv" in [one.name for one in steps.ingest(context)]
        assert not (place / "a.csv").exists()
    assert "a.csv" in [one.name for one in steps.ingest(context) if one.digest]


def test_keys_that_no_client_can_name_are_left_alone(bucket: Bucket, tmp_path: Path) -> None:
    """A key with a line end hides no other object of the place; folders are named."""
    landing = Landing(f"{bucket.url}/in", f"{bucket.url}/lake", bucket.options, tmp_path)
    name, _, prefix = f"{bucket.url}/in".removeprefix("s3://").partition("/")
    client = boto3.client(
        "s3",
        endpoint_url=bucket.options["AWS_ENDPOINT_URL"],
        aws_access_key_id=bucket.options["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=bucket.options["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    for key in ("odd\nkey.csv", "march/b.csv", "e\u0301.csv", "good.csv"):
        client.put_object(Bucket=name, Key=f"{prefix}/{key}", Body=ROWS)
    assert sorted(one.name for one in landing.claim()) == ["e\u0301.csv", "good.csv"]
    assert [one.name for one in landing.left_alone()] == ["march", "odd\nkey.csv"]
    assert [entry.name for entry in open_store(bucket.url, bucket.options).walk()]


def test_a_name_that_is_no_text_goes_into_a_bucket_and_back(bucket: Bucket, tmp_path: Path) -> None:
    """From a folder to a lake in a bucket, archived and refused, under the bytes of its name."""
    landing = Landing(str(tmp_path / "in"), f"{bucket.url}/lake", bucket.options, tmp_path / "s")
    name = os.fsdecode(b"caf\xe9 \n\\.csv")
    landing.drop(name, ROWS)
    (delivery,) = landing.claim()
    landing.archive(delivery)
    with landing.open_archived(delivery.digest) as (kept, file):
        assert (kept, file.read()) == (name, ROWS)
    long = os.fsdecode(b"\xff" * 251 + b".csv")
    landing.drop(long, b"other\n")
    (delivery,) = landing.claim()
    landing.refuse(delivery, "why")
    assert (landing.read_quarantine(delivery.digest).name or "").endswith(".csv")
