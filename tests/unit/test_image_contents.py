"""The image of the pipeline holds every part of the server that the product imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

from include.settings import PROJECT

ROOMS = ("dags", "deploy", "include", "plugins")


def imported(path: Path) -> Iterator[str]:
    """Yield the first two names of every module of the server that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        yield from (".".join(name.split(".")[:2]) for name in names if name.startswith("serving."))


def test_what_the_product_imports_of_the_server_is_in_its_image() -> None:
    """`.dockerignore` lets nothing in but what it names."""
    kept = {
        line.removeprefix("!").replace("/", ".")
        for line in (PROJECT / ".dockerignore").read_text().splitlines()
        if line.startswith("!serving/")
    }
    files = [path for room in ROOMS for path in (PROJECT / room).rglob("*.py")]
    wanted = {name for path in files for name in imported(path)}
    assert wanted
    assert wanted <= kept
