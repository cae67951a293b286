"""Finds, reads and validates spec files; problems are reported by file and field."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ValidationError,
)
from pydantic_core import ErrorDetails

from include.errors import SpecError
from include.spec.model_spec import _IN_WORDS, NAME_PATTERN, OWN_DAGS, Spec, _spec_files
from include.store.units import MIB
from include.text.encodings import BOM
from include.text.nearest import did_you_mean, nearest_name, suggestion
from include.text.showable import showable, showable_name

_LONGEST_SPEC = MIB
"""Bytes that a spec file may have."""


def is_name(text: str) -> bool:
    """Say whether a text can be the name of a spec."""
    return NAME_PATTERN.fullmatch(text) is not None and text not in OWN_DAGS


def spec_path(folder: Path, name: str) -> Path:
    """Return the path of the spec of this name; raises SpecError where there is none."""
    if not NAME_PATTERN.fullmatch(name):
        raise SpecError(
            f"{showable_name(name) or 'nothing'} is no name of a spec: name one of {folder}, "
            f"without `.toml`; there are: {_there(folder)}"
        )
    path = folder / f"{name}.toml"
    if not path.exists():
        near = did_you_mean(name, spec_names(folder))
        raise SpecError(
            f"there is no spec {name} in {folder}{near or ';'} there are: {_there(folder)}"
        )
    return path


def spec_names(folder: Path) -> list[str]:
    """Return the names of the specs of a folder, valid or not."""
    return [path.stem for path in _spec_files(folder)]


def _there(folder: Path) -> str:
    return showable_name(", ".join(spec_names(folder)) or "none")


def read_spec(path: Path) -> Spec:
    """Read and validate a spec; raises SpecError with the file, the field and the remedy."""
    return parse_spec(path, spec_text(path))


def spec_text(path: Path) -> str:
    """Return the text of a spec file; raises SpecError where it cannot be read as UTF-8 text."""
    try:
        return _text(path)
    except (ValueError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else why
        raise _unreadable(path, why or str(error)) from error


def parse_spec(path: Path, text: str) -> Spec:
    """Validate the present or an earlier text of a spec file; raises SpecError as `read_spec`."""
    try:
        table = tomllib.loads(text)
        _require_showable(path.name, table)
        if "name" in table:
            raise SpecError(f"{path.name}: name: a spec is named by its file; remove the field")
        return Spec.model_validate({"name": path.stem} | table)
    except ValidationError as error:
        wrong = [(problem["loc"], _message(problem)) for problem in error.errors()]
        inner = {place[:end] for place, _ in wrong for end in range(len(place))}
        # pydantic also reports a list with a wrong item as too short: the item's own message is
        # enough.
        lines = (_sentence(place, message) for place, message in wrong if place not in inner)
        raise SpecError(f"{path.name}: " + "; ".join(lines)) from error
    # tomllib lets out errors of huge numbers and of deeply nested brackets too.
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, why: str) -> SpecError:
    return SpecError(f"{path.name} cannot be read as TOML: {why}")


def read_specs(folder: Path) -> dict[Path, Spec | SpecError]:
    """Read every spec of a folder; for one that is not valid, its SpecError.

    Two specs may name one model: the registry, not a file, says which of them owns it.
    """
    read: dict[Path, Spec | SpecError] = {}
    for path in _spec_files(folder):
        try:
            read[path] = read_spec(path)
        except SpecError as error:
            read[path] = error
    return read


def _text(path: Path) -> str:
    # Opening a pipe would block until its other end is opened, and the Dag processor with it.
    if path.exists() and not path.is_file():
        raise OSError("it is no file")
    with path.open("rb") as file:
        content = file.read(_LONGEST_SPEC + 1).removeprefix(BOM)
    if len(content) > _LONGEST_SPEC:
        raise OSError(f"it is longer than {_LONGEST_SPEC // MIB} MiB")
    return content.decode().replace("\r\n", "\n")


def _require_showable(file: str, value: Any) -> None:
    """Raise SpecError for a text with characters that not every store accepts."""
    if isinstance(value, str) and showable(value, len(value) + 1) != value:
        raise SpecError(f"{file}: '{value}' has a character that cannot be shown: remove it")
    if isinstance(value, dict | list):
        for part in [*value, *value.values()] if isinstance(value, dict) else value:
            _require_showable(file, part)


def _message(problem: ErrorDetails) -> str:
    """Return pydantic's message, with the known field that is nearest to a mistyped one."""
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    if problem["type"] != "extra_forbidden":
        return _IN_WORDS.get(problem["type"], problem["msg"])
    *outer, name = problem["loc"]
    part: type[BaseModel] = Spec
    for one in outer:
        part = part if isinstance(one, int) else _part_of(part, one)
    elsewhere = (one for one in _dotted(Spec) if one.rpartition(".")[2] == name)
    meant = nearest_name(str(name), part.model_fields) or next(elsewhere, None)
    return problem["msg"] + suggestion(meant)


def _dotted(part: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield every field of a spec with dots, such as `data.target`."""
    for name in part.model_fields:
        inner = _part_of(part, name)
        yield from [prefix + name] if inner is part else _dotted(inner, f"{prefix}{name}.")


def _part_of(part: type[BaseModel], name: str) -> type[BaseModel]:
    """Return the section that a field holds, or holds a list of; the same section for none."""
    annotation = part.model_fields[name].annotation
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return part


def _sentence(place: tuple[int | str, ...], message: str) -> str:
    where = ".".join(map(str, place)) or "spec"
    return f"{where}: {message}"
