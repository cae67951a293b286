"""What a backup is held to before a stack is given over to it."""

import io
import json
import stat
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.backup_files import (
    ARCHIVE,
    FILES,
    MANIFEST,
    complete,
    key_print,
    new_folder,
    verified,
)
from deploy.restore import restore
from deploy.secret_files import draw
from deploy.stack_commands import Stack, StackError

OBJECTS = {"landing/pulsars/one.csv": b"a,b\n1,2\n", "lake/one": b"1234", "lake/two": b""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the files of a backup, and no manifest yet."""
    folder = tmp_path / "backup"
    new_folder(folder)
    for name in FILES:
        (folder / name).write_bytes(name.encode())
    with tarfile.open(folder / ARCHIVE, "w") as archive:
        for name, content in OBJECTS.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return folder


def test_a_whole_backup_tells_what_it_holds(folder: Path) -> None:
    """What was written down comes back, with the objects of each bucket as the archive has them."""
    written = complete(folder, {"at": "2026-11-25T17:00:00+00:00", "images": []})
    assert verified(folder) == written
    assert written["at"] == "2026-11-25T17:00:00+00:00"
    assert written["buckets"] == {
        "landing": {"objects": 1, "bytes": 8},
        "lake": {"objects": 2, "bytes": 4},
    }


def test_a_half_made_backup_is_none(folder: Path) -> None:
    """Every file may be there: without the manifest, which comes last, it is refused."""
    with pytest.raises(StackError, match="no backup, or one half made"):
        verified(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_refused(folder: Path, name: str) -> None:
    """One changed byte of the same length is found, and named."""
    complete(folder, {})
    content = bytearray((folder / name).read_bytes())
    content[0] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(StackError, match=f"{name} is not what was written"):
        verified(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    """What the manifest promises has to be there."""
    complete(folder, {})
    (folder / name).unlink()
    with pytest.raises(StackError, match=f"{name}: No such file"):
        verified(folder)


@pytest.mark.parametrize(
    "manifest", ["", "{", "[]", "{}", '{"form": 1}', '{"form": 2, "files": {}}', '{"files": {}}']
)
def test_another_manifest_is_refused(folder: Path, manifest: str) -> None:
    """Neither a truncated manifest nor one of another form is taken for a backup."""
    complete(folder, {})
    (folder / MANIFEST).write_text(manifest)
    with pytest.raises(StackError, match=r"cannot be read|reads form 1"):
        verified(folder)


def test_an_archive_that_is_cut_short_is_no_backup(folder: Path) -> None:
    """A stream that ended early is found before a manifest calls it whole."""
    (folder / ARCHIVE).write_bytes((folder / ARCHIVE).read_bytes()[:700])
    with pytest.raises(StackError, match="cannot be read"):
        complete(folder, {})
    assert not (folder / MANIFEST).exists()


def test_nothing_is_written_over(folder: Path) -> None:
    """A folder that holds something is refused, a new one is for its owner alone."""
    with pytest.raises(StackError, match="not empty"):
        new_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_said(folder: Path) -> None:
    """A path through a file is refused with a sentence."""
    with pytest.raises(StackError, match="cannot hold a backup"):
        new_folder(folder / ARCHIVE / "below")


def test_a_restore_looks_before_it_touches(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged backup is refused although forced, and no engine has been asked anything."""
    called = fake_docker(tmp_path, monkeypatch, {})
    complete(folder, {"at": "now"})
    (folder / ARCHIVE).write_bytes(b"")
    with pytest.raises(StackError, match="is not what was written"):
        restore(Stack(tmp_path), folder, force=True)
    assert called() == []


def test_a_restore_keeps_what_is_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a database has tables or a bucket objects it stops before anything is stopped."""
    counted = {
        "information_schema": "3",
        "--no-deps buckets": json.dumps({"landing": 0, "lake": 7}),
    }
    called = fake_docker(tmp_path, monkeypatch, counted)
    complete(folder, {"at": "now"})
    with pytest.raises(StackError, match=r"database airflow: 3 tables.* bucket lake: 7 objects"):
        restore(Stack(tmp_path), folder, force=False)
    assert called()
    assert not [one for one in called() if "stop" in one or "DROP" in " ".join(one)]


def test_a_restore_asks_for_the_secrets_of_the_backup(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another key than Airflow's data are encrypted with, nothing is touched."""
    called = fake_docker(tmp_path, monkeypatch, {})
    draw(tmp_path / ".secrets")
    key = key_print(tmp_path / ".secrets")
    assert key is not None
    assert key_print(tmp_path / ".secrets") == key
    complete(folder, {"at": "now", "key": key})
    (tmp_path / ".secrets" / "drawn.json").unlink()
    draw(tmp_path / ".secrets")
    with pytest.raises(StackError, match="was made with other secrets"):
        restore(Stack(tmp_path), folder, force=True)
    assert called() == []


def test_a_start_keeps_the_number_of_replicas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many containers as there were come back, those that answer callers last."""
    listed = [{"Service": "serving"}, {"Service": "redis"}, {"Service": "serving"}]
    lines = "\n".join(json.dumps(one) for one in listed)
    for told in (json.dumps(listed), lines):
        called = fake_docker(tmp_path, monkeypatch, {"ps": told, "config": "redis serving"})
        Stack(tmp_path).start()
        first, last = (one[2:] for one in called()[-2:])
        assert first == ["up", "--wait", "--detach", "redis"]
        assert last[:3] == first[:3]
        assert last[3:] == ["--no-deps", "--scale=serving=2", "serving", "endpoint"]


def test_a_command_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence has the command and its exit code; without Docker it says so."""
    fake_docker(tmp_path, monkeypatch, {}, code=7)
    with pytest.raises(StackError, match=r"`docker compose up --wait .*` ended with 7"):
        Stack(tmp_path).start_stores()
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(StackError, match="this needs Docker"):
        Stack(tmp_path).start_stores()


FAKE = """#!{python}
import json, sys
with open({calls!r}, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
answers = {answers!r}
asked = " ".join(sys.argv[1:])
print(next((answer for part, answer in answers.items() if part in asked), ""))
sys.exit({code})
"""


def fake_docker(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], code: int = 0
) -> Callable[[], list[list[str]]]:
    """Put a `docker` on the path that answers by a part of what it is asked; return its calls."""
    programs, calls = folder / "programs", folder / "calls"
    programs.mkdir(exist_ok=True)
    calls.write_text("")
    text = FAKE.format(python=sys.executable, calls=str(calls), answers=answers, code=code)
    (programs / "docker").write_text(text)
    (programs / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    return lambda: [json.loads(line) for line in calls.read_text().splitlines()]
