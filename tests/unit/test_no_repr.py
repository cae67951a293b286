"""Nothing that a person reads is written as Python writes its values."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from include.settings import PROJECT

ROOMS = ("include", "stack", "dags", "plugins", "deploy", "serving")
GENERATED = {"serving/grpc/inference_pb2.py"}
EXCEPTIONS: dict[str, str] = {
    "include/stages/select/shared_fits.py:transformed_by": "a key, read by nobody",
    "include/formats/packed.py:_bzip2_pieces": "Python's bz2 gives its own words and no number",
    "include/spec/spec_files.py:spec_text": "it tells the system's words apart itself",
    "include/adapters/registry/artifacts.py:_checked": "the error carries the name alone",
    "serving/registry/registry.py:_shown": "what cannot be shown is escaped, in quotes",
    "serving/protocol/in_binary.py:numbers": "a shape, as the protocol writes it",
    "serving/protocol/in_json.py:_items": "a shape, as the protocol writes it",
}
"""Why a place may have one all the same, by file and function."""

_REPR = ord("r")
_PERCENT_R = re.compile(r"%(?:\(\w+\))?[-#0 +]*\d*(?:\.\d+)?[ra]\b")
_CONTAINERS = (
    *(ast.List, ast.Tuple, ast.Set, ast.Dict),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)
_MAKERS = {"sorted", "list", "tuple", "set", "dict", "frozenset", "vars", "asdict", "locals"}
_WRITTEN_BY_PYTHON = {"OSError", "KeyError", "PermissionError", "FileNotFoundError"}
_KINDS = {
    *("list", "tuple", "set", "dict", "frozenset", "Sequence", "Mapping", "Collection"),
    *("Iterable", "Iterator", "Set", "MutableMapping", "Counts"),
}


@dataclass(frozen=True)
class Known:
    """What is known of the classes of all files: which write themselves as Python does."""

    records: frozenset[str] = frozenset()
    """Names of data classes that do not say how they are shown."""
    fields: frozenset[str] = frozenset()
    """Names of fields that always hold a container or such a record."""
    calls: frozenset[str] = frozenset()
    """Names of functions that always return one."""


def known_of(sources: Iterable[str]) -> Known:
    """Read the classes of these files."""
    trees = [ast.parse(text) for text in sources]
    classes = [one for tree in trees for one in ast.walk(tree) if isinstance(one, ast.ClassDef)]
    records = _always((one.name, _is_record(one)) for one in classes)
    fields = [
        (field.target.id, _is_kind(field.annotation, records))
        for one in classes
        for field in one.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    ]
    calls = [
        (one.name, one.returns is not None and _is_kind(one.returns, records))
        for tree in trees
        for one in ast.walk(tree)
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return Known(records, _always(fields), _always(calls))


def _always(outcomes: Iterable[tuple[str, bool]]) -> frozenset[str]:
    """Return the names of which it holds wherever they stand."""
    by_name: dict[str, set[bool]] = {}
    for name, holds in outcomes:
        by_name.setdefault(name, set()).add(holds)
    return frozenset(name for name, holds in by_name.items() if holds == {True})


def _is_record(definition: ast.ClassDef) -> bool:
    shown = any(
        isinstance(part, ast.FunctionDef) and part.name == "__str__" for part in definition.body
    )
    return not shown and any("dataclass" in ast.unparse(mark) for mark in definition.decorator_list)


def found_in(source: str, known: Known = Known()) -> Iterator[tuple[int, str, str]]:
    """Yield line, function and reason of every place that writes a value as Python does."""
    tree = ast.parse(source)
    for function in _scopes(tree):
        name = getattr(function, "name", "module")
        containers = _containers(function, known)
        for node in _own(function):
            for reason in _reasons(node, containers):
                yield getattr(node, "lineno", 0), name, reason


def _reasons(node: ast.AST, containers: set[str]) -> Iterator[str]:
    if isinstance(node, ast.FormattedValue):
        yield from _of_value(node, containers)
    elif isinstance(node, ast.Call):
        yield from _of_call(node, containers)
    elif isinstance(node, ast.Name) and node.id in {"repr", "ascii"}:
        yield "a use of repr"
    elif isinstance(node, ast.ExceptHandler) and (told := _told_whole(node)):
        yield f"{told} told by Python and not by its own words"
    elif isinstance(node, ast.Constant) and _PERCENT_R.search(str(node.value)):
        yield "%r in a text"


def _of_value(node: ast.FormattedValue, containers: set[str]) -> Iterator[str]:
    if node.conversion in {_REPR, ord("a")}:
        yield "!r in an f-string"
    elif _is_container(node.value, containers) and node.format_spec is None:
        yield "a container in an f-string"


def _of_call(node: ast.Call, containers: set[str]) -> Iterator[str]:
    if _is_named(node.func, "str") and node.args and _is_container(node.args[0], containers):
        yield "str of a container"
    if _is_log(node) and any(_is_container(one, containers) for one in node.args[1:]):
        yield "a container in a log"


def _told_whole(handler: ast.ExceptHandler) -> str:
    """Return the kind of a caught error that is told as `str` has it: with a number or in quotes.

    `[Errno 2] No such file or directory: 'x'` and `'x'` are what OSError and KeyError come to.
    """
    if handler.type is None:
        return ""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    named = {one.id for one in kinds if isinstance(one, ast.Name)} & _WRITTEN_BY_PYTHON
    nodes = [node for part in handler.body for node in ast.walk(part)]
    values = [one.value for one in nodes if isinstance(one, ast.FormattedValue)]
    calls = [one for one in nodes if isinstance(one, ast.Call)]
    values += [one.args[0] for one in calls if _is_named(one.func, "str") and one.args]
    values += [value for one in calls if _is_log(one) for value in one.args[1:]]
    told = any(_is_named(value, handler.name) for value in values)
    return ", ".join(sorted(named)) if told else ""


def _is_named(node: ast.AST, name: str | None) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_log(node: ast.AST) -> bool:
    levels = {"debug", "info", "warning", "error", "critical", "exception"}
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in levels
    )


def _is_container(node: ast.AST, containers: set[str]) -> bool:
    if isinstance(node, _CONTAINERS):
        return True
    if isinstance(node, ast.Name):
        return node.id in containers
    if isinstance(node, ast.BoolOp):
        return any(_is_container(one, containers) for one in node.values)
    if isinstance(node, ast.Call):
        called = getattr(node.func, "id", getattr(node.func, "attr", ""))
        return f"{called}()" in containers or (
            isinstance(node.func, ast.Name) and called in _MAKERS
        )
    return isinstance(node, ast.Attribute) and f".{node.attr}" in {".args", *containers}


def _scopes(tree: ast.Module) -> Iterator[ast.AST]:
    yield tree
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    yield from (one for one in ast.walk(tree) if isinstance(one, functions))


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a scope without those of the functions in it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _own(child)


def _containers(scope: ast.AST, known: Known) -> set[str]:
    """Return the names that hold containers, by their annotation or what is put into them."""
    names = {f".{name}" for name in known.fields} | {f"{name}()" for name in known.calls}
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
        every = [*scope.args.posonlyargs, *scope.args.args, *scope.args.kwonlyargs]
        held = {one.arg: one.annotation for one in every if one.annotation}
        names |= {name for name, kind in held.items() if _is_kind(kind, known.records)}
    for node in _own(scope):
        if isinstance(node, ast.Assign) and _is_container(node.value, names):
            names |= {one.id for one in node.targets if isinstance(one, ast.Name)}
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names |= {node.target.id} if _is_kind(node.annotation, known.records) else set()
    return names


def _is_kind(annotation: ast.AST, records: frozenset[str]) -> bool:
    outer = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    if isinstance(outer, ast.BinOp):  # `Mapping[str, int] | None`
        return any(_is_kind(side, records) for side in (outer.left, outer.right))
    return isinstance(outer, ast.Name) and outer.id in {*_KINDS, *records}


def files() -> list[Path]:
    """Return the files whose words a person may read."""
    paths = (path for room in ROOMS for path in sorted((PROJECT / room).rglob("*.py")))
    return [path for path in paths if str(path.relative_to(PROJECT)) not in GENERATED]


@pytest.fixture(scope="module")
def places() -> list[tuple[str, str, str]]:
    """Return every place of the product as FILE:LINE, with FILE:FUNCTION and the reason."""
    texts = {path: path.read_text() for path in files()}
    known = known_of(texts.values())
    return [
        (f"{path.relative_to(PROJECT)}:{line}", f"{path.relative_to(PROJECT)}:{name}", reason)
        for path, text in texts.items()
        for line, name, reason in found_in(text, known)
    ]


def test_no_message_is_written_as_python_writes_values(places: list[tuple[str, str, str]]) -> None:
    """Quotes, brackets and classes are for programmers; a list is written with commas."""
    wrong = [f"{line} {name}: {reason}" for line, name, reason in places if name not in EXCEPTIONS]
    assert not wrong, "\n".join(wrong)


def test_each_exception_is_still_one(places: list[tuple[str, str, str]]) -> None:
    """A place that was mended leaves the list."""
    assert EXCEPTIONS.keys() <= {name for _, name, _ in places}


@pytest.mark.parametrize(
    "source",
    [
        'f"{name!r} is no name"',
        'raise ValueError("no " + repr(name))',
        'log.info("took %r", name)',
        'log.info("took %s", sorted(names))',
        'names = [1]\nf"there are {names}"',
        'def f(names: list[str]): return f"there are {names}"',
        'f"there are {sorted(names)}"',
        'f"there are {[one for one in names]}"',
        'str({"a": 1})',
        'f"it said {error.args}"',
        'f"{name!a}"',
        '", ".join(map(repr, names))',
        'try: f()\nexcept OSError as error: raise ValueError(f"no: {error}")',
        'try: f()\nexcept (KeyError, TypeError) as error: log.info("no: %s", error)',
        'def f(at: Mapping[str, int] | None) -> str: return f"there are {at}"',
    ],
)
def test_each_way_to_write_one_is_found(source: str) -> None:
    """So that a clean result is no accident."""
    assert list(found_in(source))


@pytest.mark.parametrize(
    "source",
    [
        'f"there are {", ".join(names)}"'.replace('", "', "', '"),
        'f"{name} is no name"',
        'f"{len(names)} names"',
        'log.info("%s of %d", name, len(names))',
        '"100 % right, %s"',
        'try: f()\nexcept OSError as error: raise ValueError(f"no: {error.strerror}")',
    ],
)
def test_plain_words_are_left_alone(source: str) -> None:
    """What a person reads well is no finding."""
    assert not list(found_in(source))


def test_what_a_function_returns_and_a_field_holds_is_known_elsewhere() -> None:
    """A record of one file is found where another one writes it."""
    classes = "@dataclass\nclass Data:\n    rows: Mapping[str, int]\ndef data() -> Data | None: ..."
    known = known_of([classes])
    assert list(found_in('f"there are {one.rows}"', known))
    assert list(found_in('found = at.data()\nf"there is {found}"', known))
    assert list(found_in('def f(x: Data) -> str: return f"there is {x}"', known))
