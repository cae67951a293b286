"""The house stays one that a newcomer can read: few loose files, rooms in order, plain names."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import rooms
from include.settings import PROJECT
from include.steps import STEPS
from tests import steps

PACKAGES = ("include", "serving", "stack")
MOST_LOOSE_FILES, MOST_ROOMS, MOST_FLOORS = 5, 20, 7
SAYS_NOTHING = {"at", "told", "found", "asked", "one", "flown"}
PARTICIPLES = {"asked", "found", "given", "held", "kept", "known", "lost", "made", "meant", "seen"}
PARTICIPLES |= {"sent", "shown", "taken", "told", "withdrawn", "written"}
OF_A_RACE = {"bell", "course", "cut", "field", "finish", "heat", "lane", "lap", "shelf", "way"}
"""Words for parts of a race on foot, and others that no book on the subject has."""
FOLDERS = (*PACKAGES, "dags", "plugins", "deploy", "demo", "benchmarks", "docs", "tests")


def files(folder: str) -> list[Path]:
    """Return the Python files of a folder that people write."""
    return [path for path in (PROJECT / folder).rglob("*.py") if "_pb2" not in path.name]


def parameters(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the name of every parameter in a file, and its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            given = node.args
            for parameter in (*given.posonlyargs, *given.args, *given.kwonlyargs):
                yield parameter.arg, node.lineno


def test_the_top_floor_has_few_files_and_the_rooms_are_few() -> None:
    """What belongs to a room stands in it."""
    loose = [path.name for path in (PROJECT / "include").glob("*.py")]
    assert len(loose) <= MOST_LOOSE_FILES, loose
    floors = rooms.floors()
    assert len(floors) <= MOST_FLOORS
    assert sum(map(len, floors)) <= MOST_ROOMS


MOST_LINES = 300


@pytest.mark.parametrize("folder", [*PACKAGES, "dags", "plugins"])
def test_a_file_of_the_product_is_read_in_one_sitting(folder: str) -> None:
    """What is longer is about two things, and is split between them."""
    lines = {path: len(path.read_text().splitlines()) for path in files(folder)}
    assert not {str(path): count for path, count in lines.items() if count > MOST_LINES}


def test_no_room_imports_from_a_floor_above() -> None:
    """And the picture in the documents is of what is there now."""
    assert rooms.arrows()
    assert not rooms.upward()
    assert rooms.drawn() == rooms.PICTURE.read_text(), "run `python -m docs.rooms`"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_public_class_name_stands_for_one_thing(package: str) -> None:
    """Whoever searches for it finds one definition."""
    places = defaultdict(list)
    for path in files(package):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path.relative_to(PROJECT))
    assert not {name: where for name, where in places.items() if len(where) > 1}


@pytest.mark.parametrize("package", [*PACKAGES, "plugins"])
def test_a_public_class_name_is_no_riddle(package: str) -> None:
    """It is the field's word for the thing, not what happened to it."""
    names = {
        node.name.lower(): f"{path.relative_to(PROJECT)}:{node.lineno}"
        for path in files(package)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    }
    riddles = names.keys() & (PARTICIPLES | OF_A_RACE)
    riddles |= {name for name in names if re.fullmatch("[a-z]+[^e]ed", name) and name != "need"}
    assert not {name: names[name] for name in riddles}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_file_name_stands_for_one_thing(package: str) -> None:
    """But for a step and the pure rule that it calls, which bear the same name on purpose."""
    places = defaultdict(set)
    for path in files(package):
        if not path.name.startswith("__"):
            places[path.stem].add(path.relative_to(PROJECT / package).parts[0])
    verbs = {*STEPS.values()}
    assert not {
        name: where
        for name, where in places.items()
        if len(where) > 1 and not (name in verbs and where == {"steps", "stages"})
    }


def test_the_table_of_steps_holds_what_tasks_call() -> None:
    """No more and no less; tests have them all under one name."""
    calls = (
        node
        for path in files("dags")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "call"
    )
    called = {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}
    assert called == STEPS.keys()
    assert sorted(steps.__all__) == sorted(STEPS)


def test_an_adapter_is_made_of_parts_and_inherits_from_none_of_our_classes() -> None:
    """What a part uses of another it holds, so that one file tells what a call may reach."""
    classes = [
        (path.relative_to(PROJECT / "include"), node)
        for path in files("include")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and not node.name.endswith("Error")
    ]
    names = {node.name for _, node in classes}
    of_adapters = [(path, node) for path, node in classes if path.parts[0] == "adapters"]
    assert of_adapters
    assert not {
        f"{path}: {node.name}": ast.unparse(base)
        for path, node in of_adapters
        for base in node.bases
        if ast.unparse(base).rpartition(".")[2] in names
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_parameter_is_named_after_nothing(folder: str) -> None:
    """A short word with many meanings says none of them."""
    found = {
        f"{path.relative_to(PROJECT)}:{line}": name
        for path in files(folder)
        for name, line in parameters(path)
        if name in SAYS_NOTHING
    }
    assert not found


COMPARED = {"startswith", "endswith", "find", "removeprefix", "match", "search", "fullmatch", "sub"}
FOREIGN_WORDINGS = {
    "include/adapters/registry/registered_model.py": "MLflow has no code for an alias set twice",
    "include/steps/adopt.py": "XGBoost warns of another version with a UserWarning",
    "serving/protocol/rows.py": "msgspec says where and what in words alone",
    "serving/protocol/slices.py": "the same",
}
"""Files that read the words of another library's error or warning, and why they have to."""


def words_of_errors(path: Path) -> Iterator[int]:
    """Yield the lines that compare or search the text of an exception, or of a `problem`."""

    def is_wording(node: ast.expr) -> bool:
        while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func.value
        text = ast.unparse(node)
        return bool(
            re.fullmatch(
                r"str\(\w*(error|exc|exception)\)|\w*error\.args(\[0\])?|str\(\w+\.message\)|"
                r"problem|message",
                text,
            )
        ) or (isinstance(node, ast.Attribute) and node.attr in {"problem", "sentence", "reason"})

    def is_text(node: ast.expr) -> bool:
        return isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(node.value)
        )

    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(map(is_text, sides)) and any(map(is_wording, sides)):
                yield node.lineno
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in COMPARED
            and any(map(is_wording, [node.func.value, *node.args]))
        ):
            yield node.lineno


@pytest.mark.parametrize("package", [*PACKAGES, "dags", "plugins"])
def test_nothing_hangs_on_the_wording_of_a_message(package: str) -> None:
    """A sentence may be put in other words without anything else changing."""
    read = {
        str(path.relative_to(PROJECT)): lines
        for path in files(package)
        if (lines := list(words_of_errors(path)))
    }
    expected = {name for name in FOREIGN_WORDINGS if name.startswith(f"{package}/")}
    assert {name: read[name] for name in read.keys() - expected} == {}
    assert expected <= read.keys(), "take out what is no longer so"


OF_SIZE = re.compile(r"\b2 ?\*\* ?[123]0\b|\b1 << [123]0\b|>> [123]0\b|\b1024 \* ")
OF_AN_ADDRESS = re.compile(r"""(partition|startswith)\("(file|s3)?://"|"://"\s+(not )?in\b""")
OTHER_ADDRESSES = {
    "plugins/landing_trigger.py": "a host with or without http://",
    "serving/observing/request_files.py": "the server stands alone: its one reader of a place",
    "serving/traffic/own_pages.py": "the Origin of a browser",
}
"""Files that look for `://` in what is no place of the product."""


@pytest.mark.parametrize("package", [*PACKAGES, "dags", "plugins"])
def test_units_of_size_and_addresses_of_places_are_read_in_one_file(package: str) -> None:
    """So that no file has a megabyte of its own, or another idea of what a folder is."""
    sizes, addresses = set(), set()
    for path in files(package):
        code, name = path.read_text(), str(path.relative_to(PROJECT))
        sizes |= {name} if OF_SIZE.search(code) and path.name != "units.py" else set()
        addresses |= {name} if OF_AN_ADDRESS.search(code) and path.name != "address.py" else set()
    assert not sizes, "import KIB, MIB, GIB"
    expected = {name for name in OTHER_ADDRESSES if name.startswith(f"{package}/")}
    assert addresses == expected, "ask include/store/address.py"


OF_A_SEAM = {
    re.compile(r"isinstance\([^)]*\b(Folder|Bucket)\b"): "include/store/",
    re.compile(r"\b(ParquetTable|JsonLinesTable|DelimitedTable)\b"): "include/formats/",
}
"""How code asks which kind a thing is behind a seam, and the only folder that may."""


@pytest.mark.parametrize("package", [*PACKAGES, "dags", "plugins"])
def test_what_is_behind_a_seam_is_asked_for_nowhere_else(package: str) -> None:
    """A store says whether it is local, a format opens its own table: another one is one file."""
    asking = {
        str(path.relative_to(PROJECT))
        for path in files(package)
        for pattern, room in OF_A_SEAM.items()
        if pattern.search(path.read_text()) and room not in path.as_posix()
    }
    assert asking == set()
