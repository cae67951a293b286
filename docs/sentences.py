# ruff: noqa: INP001 - a script beside the documents it checks, not a package
"""Which sentences a person may meet, read from the source, and which documents lack one.

A sentence is a text of four words or more: what is raised, logged as a warning or an error, or put
together to be. What is left aside is named here with the reason. It is searched for by the first
words of it that are not filled in.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("include", "stack", "plugins", "dags", "serving", "deploy")
PAGES: Mapping[str, tuple[str, ...]] = {
    "include/spec/": ("runbook.md", "specs.md"),
    "include/store/": ("runbook.md", "specs.md"),
    "include/text/": ("runbook.md", "specs.md"),
    "serving/": ("runbook.md", "answers.md"),
    "serving/values/": ("runbook.md", "answers.md", "specs.md"),
}
"""On which pages the sentences of a folder may stand; all others stand in the runbook."""
LEFT_ASIDE: Mapping[str, str] = {
    "include/cli/command_line.py": "examples of commands, and what is said beside their help",
    "include/cli/completion.py": "a script for a shell",
    "include/cli/trusted_names.py": "run by whoever changes the list of estimators",
    "include/monitoring/prometheus_page.py": "what a metric means; docs/monitoring.md lists them",
    "include/reports/decision_page.py": "headings of a page",
    "include/reports/pictures.py": "labels of a picture",
    "serving/bundle/arrays.py": "the detail of a model file that is refused",
    "serving/bundle/chance.py": "the same",
    "serving/bundle/learners/scikit_learn/compiled.py": "the same",
    "serving/bundle/learners/scikit_learn/parts.py": "the same",
    "serving/bundle/learners/xgboost/__init__.py": "the same",
    "serving/bundle/learners/xgboost/boosters.py": "the same",
    "serving/bundle/part_checks.py": "the same",
    "serving/bundle/probing.py": "values that models are asked about",
    "serving/bundle/rebuilding.py": "the detail of a model file that is refused",
    "serving/grpc/connection.py": "what the library of a caller does with a broken connection",
    "serving/grpc/frame_handlers.py": "the same",
    "serving/grpc/fields.py": "the same",
    "serving/grpc/frames.py": "the same",
    "serving/grpc/streams.py": "the same",
    "serving/observing/metrics.py": "what a metric means",
    "serving/protocol/openapi.py": "the document of the protocol",
    "serving/image/slim.py": "said when an image is built",
    "deploy/mlflow_server.py": "a file that MLflow reads",
    "deploy/secret_files.py": "files that it writes, and what it calls them",
    "dags/dag_page.py": "the page of a Dag",
}
"""Files, and what their texts are."""
TEXTS_LEFT_ASIDE: Mapping[str, str] = {
    "Every move of the champion": "the description of a run in MLflow",
    "The champion scored on the rows": "the same",
    "Promote the challenger of": "what a person is asked where the spec wants an approval",
    "the name of a spec": "help of commands",
    "\nimport urllib": "a program that a container is asked to run",
    "a value that cannot be shown": "stands in the place of a value",
    "\0end of the file": "a mark in a text that is read",
    "\\n- 999,999 more sentences": "measures how long the sentence may be",
    "module": "Python's own sentence",
    "a graph of": "why a quicker way is not taken: nobody is told",
    "Object": "how the library that reads JSON begins its sentence",
    "Expected `array`": "the same",
    "a model and a version have a name": "a registry that names none is refused before",
}
"""How a text begins, and what it is."""
_KEYWORDS = {"help", "description", "epilog", "metavar", "title", "doc_md"}
_NOT_FOR_PEOPLE = {"info", "debug", "compile"}
_LEAST_WORDS, _LEAST, _MOST = 4, 12, 40
"""Words of a sentence; characters of what is searched for."""
_PLACE = re.compile(r"%(?:\.\d)?[sdrfi]|\{\w*\}")
_FILLED_IN = "\x00"
_WORD = re.compile(r"[A-Za-z]{2,}")
_CODE = re.compile(r"</|\(\?|%\(|!= '|='|\w\[\w|DESC$|\{\{|^(?:SELECT|DROP DATABASE|REVOKE) ")
"""A text for a program: a page, an expression, a query, a type."""


@dataclass(frozen=True, order=True)
class Sentence:
    """A text of the source, with `...` for what is filled in, and the words to search for."""

    file: str
    words: str
    text: str


def sentences(root: Path) -> Iterator[Sentence]:
    """Yield every sentence of the source that a person may meet."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            file = str(path.relative_to(root))
            if file not in LEFT_ASIDE and "_pb2" not in file:
                tree = ast.parse(path.read_text())
                for text in _texts(tree, _docstrings(tree)):
                    words = "" if text.startswith(tuple(TEXTS_LEFT_ASIDE)) else _searched_for(text)
                    if words:
                        yield Sentence(file, words, text.replace(_FILLED_IN, "..."))


def unexplained(root: Path) -> Iterator[Sentence]:
    """Yield the sentences that no page of theirs has."""
    documents = root / "docs"
    said = {page.name: said_in(page.read_text()) for page in documents.glob("*.md")}
    for sentence in sentences(root):
        if not any(sentence.words in said.get(page, "") for page in pages_for(sentence.file)):
            yield sentence


def pages_for(file: str) -> tuple[str, ...]:
    """Return the pages on which the sentences of a file may stand."""
    folders = [folder for folder in PAGES if file.startswith(folder)]
    return PAGES[max(folders, key=len)] if folders else ("runbook.md",)


def said_in(page: str) -> str:
    """Return a document as it is searched: with single spaces, as a reader sees it."""
    return re.sub(r"\s+", " ", page.replace("\\|", "|"))


def _searched_for(text: str) -> str:
    """Return the first words that are not filled in; empty where the text is no sentence."""
    if len(_WORD.findall(text.replace(_FILLED_IN, " "))) < _LEAST_WORDS or _CODE.search(text):
        return ""
    parts = (re.sub(r"\s+", " ", part).strip(" :;,.()`'\"") for part in text.split(_FILLED_IN))
    first = next((part for part in parts if len(part) >= _LEAST and " " in part), "")
    return first[:_MOST].strip()


def _text(node: ast.AST) -> str | None:
    """Return a text as it stands in the source, with a mark for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _PLACE.sub(_FILLED_IN, node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or _FILLED_IN for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left), _text(node.right)
        if left is not None or right is not None:
            return (left or _FILLED_IN) + (right or _FILLED_IN)
    return None


def _texts(node: ast.AST, docstrings: set[ast.AST]) -> Iterator[str]:
    if node in docstrings or _is_for_programs(node):
        return
    text = _text(node)
    if text is not None:
        yield text
    for child in ast.iter_child_nodes(node):
        if text is None or isinstance(child, ast.FormattedValue):
            yield from _texts(child, docstrings)


def _is_for_programs(node: ast.AST) -> bool:
    if isinstance(node, ast.keyword):
        return node.arg in _KEYWORDS
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Attribute) and called.attr in _NOT_FOR_PEOPLE


def _docstrings(tree: ast.AST) -> set[ast.AST]:
    expressions = (node for node in ast.walk(tree) if isinstance(node, ast.Expr))
    return {node.value for node in expressions if isinstance(node.value, ast.Constant)}
