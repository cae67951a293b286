# ruff: noqa: INP001 - a script beside the documents it checks, not a package
"""Which paths of the source tree a document names, and which of them are not there.

A path is looked for in code: from a top folder (`include/steps/race.py`, `tests/unit/`), or by its
last parts where it is a Python file (`steps/race.py`). What is written large is for the reader to
fill in (`include/specs/NAME.toml`). A room ends with a slash (`stages/ingest/`), and counts only in
a document that is a map: elsewhere `rows/` is a folder of data.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

TOPS = (
    *("include", "serving", "stack", "deploy", "dags", "plugins"),
    *("tests", "docs", "demo", "benchmarks", ".ci", ".github"),
)
MADE_BY_READERS = "include/specs/"
"""Specs that examples speak of are files that a reader writes."""
_CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_FROM_TOP = re.compile(rf"(?<![\w./-])(?:{'|'.join(map(re.escape, TOPS))})/[\w./*-]*")
_PYTHON = re.compile(r"(?<![\w./*-])(?:[\w-]+/)*\w+\.py(?![\w/])")
_ROOM = re.compile(r"^`([\w/]+)/`$")
_CHOICE = re.compile(r"pytest (tests/\S+\.py) -k (\w+)")
_TO_FILL_IN = re.compile(r"[A-Z]{2}|[*]|\.\.\.")


@dataclass(frozen=True)
class Tree:
    """A source tree."""

    root: Path

    def has(self, path: str) -> bool:
        """Say whether a file or a folder is there."""
        return (self.root / path).exists()

    def has_python(self, path: str) -> bool:
        """Say whether the path of a Python file ends so."""
        name = path.rpartition("/")[2]
        found = (file for top in TOPS for file in (self.root / top).rglob(name))
        return any(f"/{file.as_posix()}".endswith(f"/{path}") for file in found)

    def has_test(self, file: str, word: str) -> bool:
        """Say whether a file has a test with this word in its name."""
        named = rf"def test_\w*{word}"
        return self.has(file) and bool(re.search(named, (self.root / file).read_text()))


def path_problems(text: str, tree: Tree, rooms: Sequence[str] = ()) -> Iterator[str]:
    """Yield a sentence for each path of a document that is not there.

    `rooms` are the folders whose own folders the document is a map of.
    """
    spans = _CODE.findall(text)
    for span in spans:
        for path in _FROM_TOP.findall(span):
            if not tree.has(_known_part(path)) and not path.startswith(MADE_BY_READERS):
                yield f"{path} is not there"
        for path in _PYTHON.findall(span):
            if not path.startswith(TOPS) and not tree.has_python(path):
                yield f"{path} is the end of no path"
        for file, word in _CHOICE.findall(span):
            if not tree.has_test(file, word):
                yield f"{file} has no test with {word} in its name"
    for room in _rooms(spans) if rooms else ():
        if not any(tree.has(f"{above}/{room}") for above in (*rooms, ".")):
            yield f"there is no room {room}/"


def _known_part(path: str) -> str:
    """Return a path as far as the reader has nothing to fill in."""
    parts = path.rstrip(".").split("/")
    filled = next((n for n, part in enumerate(parts) if _TO_FILL_IN.search(part)), len(parts))
    return "/".join(parts[:filled])


def _rooms(spans: Sequence[str]) -> Iterator[str]:
    return (match.group(1) for span in spans if (match := _ROOM.match(span)))
