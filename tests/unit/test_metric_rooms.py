"""Which metric decides is known to its own module and to nobody else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from include import metrics
from include.metrics import metric_named, objective, objectives
from include.settings import PROJECT

ROOMS = ("include/metrics/", "include/problems/")
"""A problem names the metrics that apply."""
FOLDERS = ("include", "serving", "dags", "plugins", "stack", "demo")
KIND = re.compile(
    r"metric(\.name)? (==|!=|is) |metric(\.name)? in [({\[]|"
    r"isinstance\([^)]*(FractionOfCounts|Objective|Agreement|CallCounts)"
)
"""How code would ask which metric it has, or how that is resampled."""


def names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield every name and every text of code, docstrings aside, and its line."""
    told = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name, node.lineno
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.keyword(arg=str(name)):
                yield name, node.value.lineno
            case ast.Constant(value=str(text)) if id(node) not in told:
                yield text, node.lineno


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_metric_that_decides_is_named_in_its_own_file(folder: str) -> None:
    """In no function, field, check, series or sentence elsewhere."""
    own = re.compile(rf"(?<![A-Za-z0-9])({'|'.join(objectives())})(?![A-Za-z0-9])", re.IGNORECASE)
    files = (path for path in (PROJECT / folder).rglob("*.py") if "_pb2" not in path.name)
    assert not [
        f"{path.relative_to(PROJECT)}:{line} {name[:60]}"
        for path in files
        if not path.relative_to(PROJECT).as_posix().startswith(ROOMS)
        for name, line in names(ast.parse(path.read_text()))
        if own.search(name)
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_nobody_asks_which_metric_it_is(folder: str) -> None:
    """What differs between two metrics is a method of both."""
    files = (path for path in (PROJECT / folder).rglob("*.py") if "_pb2" not in path.name)
    assert not [
        str(path.relative_to(PROJECT))
        for path in files
        if not path.relative_to(PROJECT).as_posix().startswith(ROOMS)
        and KIND.search(path.read_text())
    ]


def test_the_registry_names_every_module() -> None:
    """A metric has the name of its module, and those that decide are known by theirs."""
    modules = {
        path.stem
        for path in Path(metrics.__file__).parent.glob("*.py")
        if re.search(r"^METRIC = ", path.read_text(), re.MULTILINE)
    }
    assert sorted(metrics.METRICS) == sorted(modules)
    assert {metric_named(name).name for name in metrics.METRICS} == modules
    assert metrics.FIRST_OBJECTIVE in objectives()
    with pytest.raises(KeyError, match="roc_auc"):
        objective("roc_auc")


def test_every_metric_has_a_row() -> None:
    """A person finds what it is, and whether a gate may decide by it."""
    page = (PROJECT / "docs" / "gate.md").read_text()
    section = page.partition("## Metrics")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (yes|no) \|$", section, re.MULTILINE))
    assert {name for name, decides in rows.items() if decides == "yes"} == {*objectives()}
    assert rows.keys() == {*metrics.METRICS}
