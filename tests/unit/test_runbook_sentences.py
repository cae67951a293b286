"""What the registry says to a person stands in the runbook, where it is searched for."""

import ast
import re
from collections.abc import Iterator

import pytest

from include.settings import PROJECT

RUNBOOK = re.sub(r"\s+", " ", (PROJECT / "docs" / "runbook.md").read_text())
SOURCES = [
    *sorted((PROJECT / "include" / "adapters" / "registry").glob("*.py")),
    *(PROJECT / "include" / "steps" / f"{verb}.py" for verb in ("decide", "promote", "roll_back")),
]
_LEAST, _MOST = 12, 40
"""Characters: what is shorter is said of many things; a person searches for no more."""
_PLACE = re.compile(r"%[sdr]")
_FILLED_IN = "\x00"


def _text(node: ast.expr) -> str | None:
    """Return a message as it stands in the source, with a mark for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _PLACE.sub(_FILLED_IN, node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or _FILLED_IN for part in node.values)
    return None


def _messages(tree: ast.AST) -> Iterator[str]:
    """Yield what is logged as a warning and what is raised as an error of ours."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        is_warning = isinstance(node.func, ast.Attribute) and node.func.attr == "warning"
        is_error = isinstance(node.func, ast.Name) and node.func.id.endswith("Error")
        message = _text(node.args[0]) if is_warning or is_error else None
        if message:
            yield message


def _sentences() -> Iterator[tuple[str, str]]:
    for path in SOURCES:
        for message in _messages(ast.parse(path.read_text())):
            parts = (part.strip(" :,.()") for part in message.split(_FILLED_IN))
            first = next((part for part in parts if len(part) >= _LEAST), "")
            if first:
                yield path.name, first[:_MOST].strip()


SENTENCES = sorted(set(_sentences()))


def test_there_are_sentences() -> None:
    """They are read from the source, so that a new one cannot be forgotten."""
    assert len(SENTENCES) > 20


@pytest.mark.parametrize(("source", "sentence"), SENTENCES)
def test_what_the_registry_says_is_in_the_runbook(source: str, sentence: str) -> None:
    """By the first words of it that are not filled in."""
    assert sentence in RUNBOOK, f"{source} says it, docs/runbook.md does not"
