"""Which learning library a model is of is asked in the rooms of the learners and nowhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from include import learners as include_half
from include.settings import PROJECT
from serving.bundle import learners as serving_half

ROOMS = ("serving/bundle/learners/", "include/learners/")
PACKAGES = ("serving", "include", "plugins", "dags")
FITS_ALL = "include/cli/trusted_names.py"
"""Names a class of each kind, to fit all others with it: it asks nothing of them."""
OF_ONE_LEARNER = {"xgboost", "skl2onnx", "onnxmltools"}
LIBRARIES = OF_ONE_LEARNER | {"sklearn"}
PATHS = tuple(f"{library}." for library in LIBRARIES)
BY_CLASS = {"singledispatch", "singledispatchmethod"}


def files_outside(package: str) -> list[Path]:
    """Return the files of a package that are in no room of the learners."""
    paths = sorted((PROJECT / package).rglob("*.py"))
    return [path for path in paths if not str(path.relative_to(PROJECT)).startswith(ROOMS)]


def imports(tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    """Yield the package, the name and the line of each import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((one.name.partition(".")[0], one.name, node.lineno) for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            package = node.module.partition(".")[0]
            yield from ((package, one.asname or one.name, node.lineno) for one in node.names)


def questions(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that ask which class an estimator is of, or of which module its class is."""
    classes = {name for package, name, _ in imports(tree) if package in LIBRARIES}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass")):
                named = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
                is_question = bool(named & classes)
            case ast.Constant(value=str(text)):
                is_question = text.startswith(PATHS) and len(text.split()) == 1
            case ast.Name(id=name):
                is_question = name in BY_CLASS
            case _:
                continue
        if is_question:
            yield node.lineno


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_outside_of_the_rooms_imports_one_library_of_several(package: str) -> None:
    """scikit-learn's interface is what all of them have; the others are for their learner alone."""
    found = {
        f"{path.relative_to(PROJECT)}:{line}": name
        for path in files_outside(package)
        for library, name, line in imports(ast.parse(path.read_text()))
        if library in OF_ONE_LEARNER
    }
    assert not found, "ask the registry of the learners"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_outside_of_the_rooms_asks_which_class_an_estimator_is_of(package: str) -> None:
    """Neither by its type, nor by a function for each type, nor by the path of its class."""
    found = {
        f"{path.relative_to(PROJECT)}:{line}"
        for path in files_outside(package)
        if str(path.relative_to(PROJECT)) != FITS_ALL
        for line in questions(ast.parse(path.read_text()))
    }
    assert not found, "ask the registry of the learners"


def test_both_halves_know_the_same_learners() -> None:
    """By the same names, and from the same packages."""
    served = [(one.name, one.package) for one in serving_half.learners()]
    assert served == [(one.name, one.package) for one in include_half.learners()]


@pytest.mark.parametrize(
    "code",
    [
        "from sklearn.pipeline import Pipeline\nisinstance(model, Pipeline)",
        "from xgboost import XGBClassifier as Boosted\nisinstance(model, int | Boosted)",
        'type(model).__module__.startswith("sklearn.impute.")',
        "@singledispatch\ndef score(model): ...",
    ],
)
def test_each_way_to_ask_is_found(code: str) -> None:
    """The check sees what it forbids."""
    assert list(questions(ast.parse(code)))
