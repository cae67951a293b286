"""Files that nobody would take are told by `make status`."""

from dataclasses import replace
from pathlib import Path

from include.settings import Settings, read_settings
from stack.strays import strays


def placed(home: Path, *files: str) -> Settings:
    """Return settings of a home with a spec `loans`, and these files in its landing place."""
    specs = home / "specs"
    specs.mkdir()
    (specs / "loans.toml").write_text('title = "Loans"\n')
    for name in ("loans/", *files):
        path = home / "landing" / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.touch()
    return replace(read_settings({"RATCHET_HOME": str(home)}), specs=specs)


def test_files_in_the_folder_of_a_spec_are_no_strays(tmp_path: Path) -> None:
    """Nor is what is hidden, an empty folder, or the notes for senders of a spec that is gone."""
    settings = placed(tmp_path, "loans/a.csv", ".hidden", "old/refused/a.csv.txt", "empty/")
    assert list(strays(settings)) == []


def test_a_file_beside_the_folders_is_told(tmp_path: Path) -> None:
    """It lies one folder too high."""
    (said,) = strays(placed(tmp_path, "a.csv"))
    assert said.startswith(f"{tmp_path}/landing itself holds a.csv, and nothing is taken")


def test_a_folder_of_no_spec_is_told_with_the_spec_that_was_meant(tmp_path: Path) -> None:
    """A few of its files are named, the others counted."""
    (said,) = strays(placed(tmp_path, *(f"laons/{name}.csv" for name in "abcde")))
    assert said == (
        f"{tmp_path}/landing/laons holds a.csv, b.csv, c.csv and 2 more, and there is no spec "
        "laons; did you mean loans?"
    )


def test_a_place_that_a_spec_names_is_its_own(tmp_path: Path) -> None:
    """Whatever the folder is called."""
    settings = placed(tmp_path, "inbox/a.csv")
    (settings.specs / "loans.toml").write_text(f'landing = "{tmp_path}/landing/inbox"\n')
    assert list(strays(settings)) == []


def test_a_spec_that_cannot_be_read_is_told_elsewhere(tmp_path: Path) -> None:
    """Its folder is its own all the same."""
    settings = placed(tmp_path, "loans/a.csv")
    (settings.specs / "loans.toml").write_text("landing = [")
    assert list(strays(settings)) == []


def test_where_there_is_no_landing_place_nothing_is_told(tmp_path: Path) -> None:
    """So is a bucket, which is not looked through."""
    settings = placed(tmp_path)
    assert list(strays(replace(settings, landing=str(tmp_path / "none")))) == []
    assert list(strays(replace(settings, landing="s3://data/landing"))) == []
