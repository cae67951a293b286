# ruff: noqa: INP001 - a script beside the documents it checks, not a package
"""The examples of the documents, given to the program that they are for.

Specs are read as Ratchet reads them, commands are parsed by the parser of `./ratchet` and of
`serving/request.py`, shells look at the rest; JSON and Python are parsed, and Python that needs
nothing but its standard library is run. What needs a stack is not run here.
"""

import ast
import contextlib
import io
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

from include.cli.command_line import parse_arguments
from include.cli.main import command_parser
from include.errors import SpecError
from include.spec.spec_files import read_spec
from serving import request

SMALLEST = """
title = "x"
model = "x"

[data]
target = "x"

[[families]]
name = "x"
pipeline = ["sklearn.naive_bayes.GaussianNB"]
"""
"""What a part of a spec is put behind, so that it can be read."""
PATIENCE_SECONDS = 60
_BLOCK = re.compile(r"^( *)```([a-z]+)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
_IN_A_LINE = re.compile(r"(?<!`)`(\./ratchet [a-z-]+ [^-`\n][^`\n]*)`(?!`)")
"""A command with what it is given; one by its name alone is spoken of, not run."""
_PATTERN = re.compile(r"[\[\]]|\.\.\.")
_PROMPT = "$ "
_COMMENT = re.compile(r"(?:^|\s)#\s.*$", re.MULTILINE)
_TO_FILL_IN = {"VERSION": "3", "STEPS": "2", "SHARE": "0.5"}
"""Words of examples where a number goes."""


@dataclass(frozen=True)
class Example:
    """A block of code in a document."""

    language: str
    text: str
    page: str
    """The whole document, which may show what its example is answered with."""


def example_problems(page: str) -> Iterator[str]:
    """Yield a sentence for each example of a document that its program does not take."""
    for _, language, text in _BLOCK.findall(page):
        look = _LOOKS.get(language)
        if look:
            yield from look(Example(language, dedent(text), page))
    for text in _IN_A_LINE.findall(_BLOCK.sub("", page)):
        if not _PATTERN.search(text):
            yield from _shell(Example("sh", text, page))


def _json(example: Example) -> Iterator[str]:
    try:
        json.loads(example.text)
    except ValueError as error:
        yield f"an example is no JSON: {error}"


def _spec(example: Example) -> Iterator[str]:
    """Yield why a spec is broken, unless the page shows that: then it is broken on purpose."""
    try:
        is_whole = "model" in tomllib.loads(example.text)
    except tomllib.TOMLDecodeError as error:
        yield f"an example is no TOML: {error}"
        return
    with TemporaryDirectory() as folder:
        file = Path(folder, "example.toml")
        file.write_text(example.text if is_whole else SMALLEST + example.text)
        try:
            read_spec(file)
        except SpecError as error:
            reason = str(error).removeprefix(f"{file.name}: ")
            if reason not in example.page:
                yield f"an example is no spec: {reason}"


def _python(example: Example) -> Iterator[str]:
    try:
        tree = ast.parse(example.text)
    except SyntaxError as error:
        yield f"an example is no Python: {error}"
        return
    imported = {
        name.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
    }
    if imported <= sys.stdlib_module_names:
        with TemporaryDirectory() as folder:
            ran = _run([sys.executable, "-I", "-c", example.text], folder)
        if ran.returncode:
            yield f"an example ends with {ran.stderr.strip().splitlines()[-1]}"


def _shell(example: Example) -> Iterator[str]:
    checked = _run(["bash", "-n", "-c", example.text])
    if checked.returncode:
        yield f"an example is no command: {checked.stderr.strip()}"
        return
    for words in commands(example.text):
        yield from _refused(words)


def _console(example: Example) -> Iterator[str]:
    lines = example.text.splitlines()
    typed = [line.removeprefix(_PROMPT) for line in lines if line.startswith(_PROMPT)]
    yield from _shell(Example("sh", "\n".join(typed), example.page))


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command in a text for a shell."""
    lexer = shlex.shlex(
        _COMMENT.sub("", text.replace("\\\n", " ")), posix=True, punctuation_chars="();<>|&\n"
    )
    lexer.whitespace, lexer.commenters, lexer.whitespace_split = " \t\r", "", True
    words: list[str] = []
    for word in lexer:
        if word.strip("();<>|&\n"):
            words.append(word)
        elif words:
            yield words
            words = []
    if words:
        yield words


def _refused(words: Sequence[str]) -> Iterator[str]:
    """Yield what the parser of one of our commands, or of JSON, has against its words."""
    given = [_TO_FILL_IN.get(word, word) for word in words]
    for program, parse in _PARSERS.items():
        if program in given:
            said = io.StringIO()
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
                try:
                    parse(given[given.index(program) + 1 :])
                except SystemExit as error:
                    if error.code:
                        reason = " ".join(said.getvalue().split())
                        yield f"an example is refused: {' '.join(words)}: {reason}"
    for option, value in pairwise(given):
        if given[0] == "curl" and option == "-d" and value.startswith("{"):
            yield from _json(Example("json", value, ""))


def _run(words: Sequence[str], folder: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - examples of our own documents
        words, cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )


_PARSERS: Mapping[str, Callable[[list[str]], object]] = {
    "./ratchet": lambda words: parse_arguments(command_parser(), words),
    "serving/request.py": request.options,
}
_LOOKS: Mapping[str, Callable[[Example], Iterator[str]]] = {
    "json": _json,
    "toml": _spec,
    "python": _python,
    "sh": _shell,
    "console": _console,
}
