"""What a person may meet stands in the documents, where it is searched for."""

import re
from pathlib import Path

import pytest

from docs.sentences import FOLDERS, LEFT_ASIDE, TEXTS_LEFT_ASIDE, sentences, unexplained
from include.settings import PROJECT

RUNBOOK = re.sub(r"\s+", " ", (PROJECT / "docs" / "runbook.md").read_text())
SHORT = ("judging again", "not given back")
"""Sentences of two or three words, of which most others say nothing."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return the root of a tree in which nothing is said, with an empty runbook."""
    for folder in (*FOLDERS, "docs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "docs" / "runbook.md").write_text("# Runbook\n")
    return tmp_path


def say(tree: Path, source: str) -> list[str]:
    """Return the words that are searched for, of a source file."""
    (tree / "include" / "said.py").write_text(source)
    return [sentence.words for sentence in sentences(tree)]


def test_every_sentence_of_the_product_is_explained() -> None:
    """By the first words of it that are not filled in, on a page where its reader looks."""
    lacking = [f"{sentence.file}: {sentence.text}" for sentence in unexplained(PROJECT)]
    assert not lacking, "no page of docs/ has these: see PAGES in docs/sentences.py"


@pytest.mark.parametrize("folder", FOLDERS)
def test_there_are_sentences_in_every_folder(folder: str) -> None:
    """They are read from the source, so that a new one cannot be forgotten."""
    assert any(sentence.file.startswith(f"{folder}/") for sentence in sentences(PROJECT))


@pytest.mark.parametrize("words", SHORT)
def test_what_is_said_in_few_words_is_explained_too(words: str) -> None:
    """These are told beside the champion's moves."""
    assert words in RUNBOOK


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('raise AwayError("the disk is away: mount it")', "the disk is away: mount it"),
        ('raise AwayError(f"{disk} is away for good, mount it")', "is away for good, mount it"),
        ('log.warning("%s does not answer any more: %s", url, why)', "does not answer any more"),
        ('REASON = "a picture: send rows in its place"', "a picture: send rows in its place"),
        ('return f"{rows} rows of it " + f"wait until {day}"', "rows of it wait until"),
        ("x = f\"{f'{n} rows have no label'} here\"", "rows have no label"),
    ],
)
def test_a_sentence_is_found_however_it_is_made(tree: Path, source: str, words: str) -> None:
    """Raised, logged, returned, kept, put together from parts, or within another."""
    assert words in say(tree, source)


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring is no sentence that is said."""',
        'log.info("the table was read in a second")',
        'parser.add_argument("--yes", help="do it without a question")',
        'raise KeyError("two words")',
        'PAGE = "<p>this is a part of a page</p>"',
    ],
)
def test_other_texts_are_none(tree: Path, source: str) -> None:
    """Docstrings, what is noted for information, help, and texts for programs."""
    assert say(tree, source) == []


def test_what_no_page_has_is_said_with_its_file(tree: Path) -> None:
    """Until the runbook names it."""
    say(tree, 'raise AwayError("the disk is away: mount it")')
    assert [sentence.file for sentence in unexplained(tree)] == ["include/said.py"]
    (tree / "docs" / "runbook.md").write_text("**`the disk is\naway: mount it`** Do that.")
    assert not list(unexplained(tree))


def test_what_is_left_aside_is_there() -> None:
    """A file that is gone, or a text, is taken out of the list."""
    assert not [file for file in LEFT_ASIDE if not (PROJECT / file).is_file()]
    source = "".join(
        path.read_text() for folder in FOLDERS for path in (PROJECT / folder).rglob("*.py")
    )
    begins = [text.removeprefix("\\n").removeprefix("\0") for text in TEXTS_LEFT_ASIDE]
    assert not [text for text in begins if text not in source]
