# ruff: noqa: INP001 - a script beside the documents it checks, not a package
"""`python -m docs.check`: prove that the documents still speak of what is there.

Exits 1 with a sentence a problem when a relative link or its heading is missing, when a document
names a make target or a variable that nothing reads, when a documented target or a setting is
named nowhere, or when a table of a reference differs from the specs, the estimators that they
may name, the server's defaults or Airflow's options; when a path is named that is not there, or a
command or a check of the gate has no row; when the index lacks a page, or every page a sentence
that a person may meet; when an example is not taken by the program that it is for.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from docs import rooms
from docs.examples import example_problems
from docs.paths import Tree, path_problems
from docs.sentences import unexplained
from include.cli.command_line import EXAMPLES
from include.settings import PROJECT
from include.spec import estimators
from include.spec.model_spec import Spec

DOCUMENTS = PROJECT / "docs"
SPECS, GATE_PAGE, SETTINGS_PAGE = (
    DOCUMENTS / name for name in ("specs.md", "gate.md", "settings.md")
)
COMMANDS, INDEX = DOCUMENTS / "commands.md", DOCUMENTS / "README.md"
COMPOSE = PROJECT / "docker-compose.yaml"
CONTAINERS = PROJECT / "docs" / "containers.md"
SERVER_SETTINGS = PROJECT / "serving" / "configuration" / "settings.py"
SETTINGS = (PROJECT / "include" / "settings.py", SERVER_SETTINGS)
SUITE = PROJECT / "tests" / "suite_profile.py"
OPTIONS = PROJECT / "stack" / "airflow_config.py"
GATE = PROJECT / "include" / "stages" / "decide"
HISTORY = ("CHANGELOG.md", "docs/decisions/")
"""They speak of what was there then."""
MAPS = {"docs/developing.md": ("include", "serving"), "tests/README.md": ("tests",)}
"""Of which folders a document names every room."""

_CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_INTERPOLATED = re.compile(r"\$\{((?:RATCHET|SERVING)_[A-Z_]+)")
_VARIABLE = re.compile(r"\b(?:RATCHET|SERVING)_[A-Z_]+\b")
_COMMAND = re.compile(r"(?<!\w)\./ratchet +([a-z][a-z-]*)")
_TARGET = re.compile(r"(?<!not )\bmake +([a-z][a-z-]*)")
_ROW = re.compile(r"^\| `([^`|]+)` \| ([^|]*) \|", re.MULTILINE)


def main() -> int:
    """Print every problem and return the exit code."""
    texts = {path: path.read_text() for path in _documents()}
    problems = [
        *(sentence for path, text in texts.items() for sentence in broken_links(path, text)),
        *named_path_problems(texts),
        *example_problem_sentences(texts),
        *target_problems(texts),
        *command_problems(texts),
        *check_problems(texts[GATE_PAGE]),
        *variable_problems(texts),
        *default_problems(texts[SETTINGS_PAGE]),
        *spec_problems(texts[SPECS]),
        *estimator_problems(texts[SPECS]),
        *option_problems(texts[SETTINGS_PAGE]),
        *index_problems(texts[INDEX], texts),
        *drawing_problems(),
        *(f"no page has the sentence of {one.file}: {one.text}" for one in unexplained(PROJECT)),
    ]
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    sys.stdout.write(f"{len(texts)} documents, {len(problems)} problems\n")
    return 1 if problems else 0


def broken_links(path: Path, text: str) -> Iterator[str]:
    """Yield a sentence for each relative link of a document that leads nowhere."""
    for link in _LINK.findall(_CODE.sub("", text)):
        place, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (path.parent / place) if place else path
        if not target.exists():
            yield f"{_name(path)}: the link to {link} leads to no file"
        elif anchor and anchor not in _anchors(target.read_text()):
            yield f"{_name(path)}: {link} names a heading that is not there"


def named_path_problems(texts: dict[Path, str]) -> Iterator[str]:
    """Yield a sentence for each path that a document names and that is not there."""
    for path, text in texts.items():
        name = _name(path)
        if not name.startswith(HISTORY):
            for problem in path_problems(text, Tree(PROJECT), MAPS.get(name, ())):
                yield f"{name}: {problem}"


def example_problem_sentences(texts: dict[Path, str]) -> Iterator[str]:
    """Yield a sentence for each example of today that its program does not take."""
    for path, text in texts.items():
        if not _name(path).startswith(HISTORY):
            for problem in example_problems(text):
                yield f"{_name(path)}: {problem}"


def command_problems(texts: dict[Path, str]) -> Iterator[str]:
    """Yield a sentence for each command of `./ratchet` that only documents or only code know."""
    for path, text in texts.items():
        named = set(_COMMAND.findall("\n".join(_CODE.findall(text))))
        if not _name(path).startswith(HISTORY):
            for name in sorted(named - EXAMPLES.keys()):
                yield f"{_name(path)}: `./ratchet {name}` is no command"
    listed = set(_COMMAND.findall(_section(texts[COMMANDS], "Commands")))
    for name in sorted(EXAMPLES.keys() - listed):
        yield f"{_name(COMMANDS)}: `./ratchet {name}` is a command and not listed"


def check_problems(text: str) -> Iterator[str]:
    """Yield a sentence for each check of the gate that has no row in the table of them."""
    listed = set(re.findall(r"`(\w+)`", _section(text, "The checks of the gate")))
    for name in sorted({name for path in GATE.glob("*.py") for name in _checks(path)} - listed):
        yield f"{_name(GATE_PAGE)}: the check {name} is not listed"


def target_problems(texts: dict[Path, str]) -> Iterator[str]:
    """Yield a sentence for each `make` target that only the documents or only the Makefile know."""
    makefile = (PROJECT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    shown = set(re.findall(r"^([a-z][a-z-]*):.*## ", makefile, re.MULTILINE))
    named = {path: set(_TARGET.findall("\n".join(_CODE.findall(t)))) for path, t in texts.items()}
    for path, names in named.items():
        for name in sorted(names - targets):
            yield f"{_name(path)}: `make {name}` is no target of the Makefile"
    for name in sorted(shown - named[COMMANDS]):
        yield f"{_name(COMMANDS)}: `make {name}` is in `make help` and not here"


def variable_problems(texts: dict[Path, str]) -> Iterator[str]:
    """Yield a sentence for each variable that only the documents or only the settings know."""
    read = {name for path in SETTINGS for name in _strings(path) if _VARIABLE.fullmatch(name)}
    composed = set(_INTERPOLATED.findall(COMPOSE.read_text()))
    of_tests = _strings(SUITE)
    for path, text in texts.items():
        for name in sorted(set(_VARIABLE.findall(text)) - read - composed - of_tests):
            yield f"{_name(path)}: {name} is read by no settings.py and no {COMPOSE.name}"
    for name in sorted(composed - set(_VARIABLE.findall(texts[CONTAINERS]))):
        yield f"{_name(CONTAINERS)}: {name} is read by {COMPOSE.name} and not listed"
    for name in sorted(read - set(_VARIABLE.findall(texts[SETTINGS_PAGE]))):
        yield f"{_name(SETTINGS_PAGE)}: {name} is read by a settings.py and not listed"


def default_problems(text: str) -> Iterator[str]:
    """Yield a sentence for each variable of the server that is listed with another default.

    A default is the text beside the variable in the call that reads it; where that is worked out,
    the table says it in words.
    """
    listed = dict(_ROW.findall(_section(text, "Variables")))
    for name, default in _defaults(SERVER_SETTINGS):
        if f"`{default}`" != (shown := listed.get(name, "nothing").strip()):
            yield f"{_name(SETTINGS_PAGE)}: the default of {name} is `{default}`, not {shown}"


def spec_problems(text: str) -> Iterator[str]:
    """Yield a sentence for each spec field whose row is missing, too many or of another default."""
    section = _section(text, "The spec file")
    listed = {name: default.strip() for name, default in _ROW.findall(section)}
    fields = dict(_fields(Spec)) | {"name": "the file's name"}  # `read_spec` puts it there
    for name in sorted(listed.keys() - fields.keys()):
        yield f"{_name(SPECS)}: the spec has no field {name}"
    for name, default in fields.items():
        if name not in listed:
            yield f"{_name(SPECS)}: the spec's field {name} is not listed"
        elif listed[name] != default:
            yield f"{_name(SPECS)}: the default of {name} is {default}, not {listed[name]}"


def estimator_problems(text: str) -> Iterator[str]:
    """Yield a sentence for each estimator that is listed and not supported, or the reverse."""
    rows = re.findall(
        r"^\| `([a-z_.]+)` \| ([\w`, ]+) \|$", _section(text, "What a spec may name"), re.MULTILINE
    )
    listed = {f"{module}.{name.strip(' `')}" for module, row in rows for name in row.split(",")}
    supported = set(estimators.paths())
    for path in sorted(listed - supported):
        yield f"{_name(SPECS)}: {path} is listed and not supported"
    for path in sorted(supported - listed):
        yield f"{_name(SPECS)}: {path} is supported and not listed"


def option_problems(text: str) -> Iterator[str]:
    """Yield a sentence for each Airflow option whose value the stack sets otherwise."""
    rows = _ROW.findall(_section(text, "Airflow's options"))
    if not rows:
        yield f"{_name(SETTINGS_PAGE)}: there is no table of Airflow's options"
    for name, value in rows:
        part, option = name.removeprefix("[").split("] ")
        written = _dict_items(OPTIONS).get(f"{part}__{option}")
        if f"`{written}`" != value.strip():
            yield f"{_name(SETTINGS_PAGE)}: {name} is {value.strip()}, the stack sets {written}"


def drawing_problems() -> Iterator[str]:
    """Yield a sentence where the rooms are drawn otherwise than they are."""
    if rooms.drawn() != rooms.PICTURE.read_text():
        yield f"{_name(rooms.PICTURE)} is out of date: python -m docs.rooms draws it"


def index_problems(text: str, texts: dict[Path, str]) -> Iterator[str]:
    """Yield a sentence for each page of `docs/` that the index of pages does not name."""
    for path in texts:
        if path.parent == DOCUMENTS and path != INDEX and f"]({path.name})" not in text:
            yield f"{_name(INDEX)}: {path.name} is not listed"


def _documents() -> list[Path]:
    tests = PROJECT / "tests" / "README.md"
    return [*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").rglob("*.md")), tests]


def _name(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def _anchors(text: str) -> set[str]:
    """Return the anchors that a code host makes of the headings."""
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(text))
    return {heading.replace(" ", "-") for heading in kept}


def _section(text: str, heading: str) -> str:
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    return found.group(1) if found else ""


def _strings(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {one.value for one in nodes if isinstance(one, ast.Constant) and type(one.value) is str}


def _defaults(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the first two arguments of each call that names a variable and then a text."""
    calls = (one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Call))
    for call in calls:
        texts = [one.value for one in call.args[:2] if isinstance(one, ast.Constant)]
        if len(texts) == 2 and _VARIABLE.fullmatch(str(texts[0])):  # noqa: PLR2004 - a pair
            yield str(texts[0]), str(texts[1])


def _checks(path: Path) -> Iterator[str]:
    """Yield the names that a module of the gate gives to its checks, where it writes them out."""
    calls = (one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Call))
    for call in calls:
        makes = call.func.id if isinstance(call.func, ast.Name) else ""
        if makes in {"Check", "_floor", "_ceiling"} and isinstance(call.args[0], ast.Constant):
            yield str(call.args[0].value)


def _dict_items(path: Path) -> dict[str, str]:
    """Return the entries of a module's dictionaries whose key and value are plain strings."""
    dicts = (one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Dict))
    pairs = ((key, value) for one in dicts for key, value in zip(one.keys, one.values, strict=True))
    return {
        str(key.value): str(value.value)
        for key, value in pairs
        if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
    }


def _fields(part: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every field a spec file can hold, in dots, with its default as TOML writes it."""
    for name, field in part.model_fields.items():
        inner = _part_of(field.annotation)
        if inner:
            yield from _fields(inner, f"{prefix}{name}.")
        elif field.is_required():
            yield prefix + name, "required"
        else:
            default = field.get_default(call_default_factory=True)
            written = list(default) if isinstance(default, tuple) else default
            yield prefix + name, "none" if default is None else f"`{json.dumps(written)}`"


def _part_of(annotation: object) -> type[BaseModel] | None:
    """Return the table that a field's annotation stands for, itself or the items of its tuple."""
    for one in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None


if __name__ == "__main__":
    sys.exit(main())
