# ruff: noqa: INP001 - a script beside the documents, not a package
"""`python -m docs.rooms`: draw the rooms of `include/` as `docs/pictures/rooms.svg`.

Floors are the layers of the import contract in pyproject.toml, the uppermost first; an arrow is
drawn from a room to each room that its files import, as wide as imports are many.
"""

import ast
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from include.settings import PROJECT

PICTURE = PROJECT / "docs" / "pictures" / "rooms.svg"
_WIDTH, _FLOOR, _BOX, _HIGH, _TOP = 860, 92, 150, 40, 24
_STYLE = (
    "text{font:14px sans-serif;text-anchor:middle;fill:#1f2933}"
    "rect{fill:#e4ecf5;stroke:#4a6785}path{fill:none;stroke:#7b8fa6;opacity:.55}"
)


def floors() -> list[list[str]]:
    """Return the rooms of each floor, the uppermost first, as the contract has them."""
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (
        contract["layers"]
        for contract in contracts["contracts"]
        if contract.get("containers") == ["include"]
    )
    return [layer.split(" | ") for layer in layers]


def arrows() -> Counter[tuple[str, str]]:
    """Return how many files of a room import from another, by the two rooms."""
    counts: Counter[tuple[str, str]] = Counter()
    for path in (PROJECT / "include").rglob("*.py"):
        room = _room(path.relative_to(PROJECT).with_suffix("").parts)
        targets = {_room(tuple(name.split("."))) for name in _imports(path)}
        counts.update((room, target) for target in targets - {room, ""})
    return counts


def upward() -> list[tuple[str, str]]:
    """Return the arrows that do not lead to a lower floor."""
    floor = {room: number for number, rooms in enumerate(floors()) for room in rooms}
    return [
        (room, target)
        for room, target in arrows()
        if room in floor and target in floor and floor[room] >= floor[target]
    ]


def drawn() -> str:
    """Return the picture."""
    places = {}
    for number, rooms in enumerate(floors()):
        step = _WIDTH / (len(rooms) + 1)
        for index, room in enumerate(rooms, 1):
            places[room] = (step * index, _TOP + number * _FLOOR)
    lines = [
        _arrow(places[room], places[target], files)
        for (room, target), files in sorted(arrows().items())
        if room in places and target in places
    ]
    boxes = [_box(room, *place) for room, place in places.items()]
    height = _TOP * 2 + _FLOOR * (len(floors()) - 1) + _HIGH
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}">'
    return "\n".join([head, f"<style>{_STYLE}</style>", *lines, *boxes, "</svg>", ""])


def _room(parts: tuple[str, ...]) -> str:
    """Return the room that a module of `include` is in; a file of the top floor is its own."""
    return parts[1] if len(parts) > 1 and parts[0] == "include" else ""


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{name.name}" for name in node.names]
            yield from names if node.module == "include" else [node.module]
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def _box(room: str, x: float, y: float) -> str:
    left = x - _BOX / 2
    return (
        f'<rect x="{left:.0f}" y="{y:.0f}" width="{_BOX}" height="{_HIGH}" rx="6"/>'
        f'<text x="{x:.0f}" y="{y + 25:.0f}">{room}</text>'
    )


def _arrow(start: tuple[float, float], end: tuple[float, float], files: int) -> str:
    (x, y), (to_x, to_y) = (start[0], start[1] + _HIGH), end
    bend = (to_y - y) / 2
    width = min(6.0, 0.8 + files / 4)
    return (
        f'<path d="M{x:.0f} {y:.0f}C{x:.0f} {y + bend:.0f} {to_x:.0f} {to_y - bend:.0f} '
        f'{to_x:.0f} {to_y:.0f}" stroke-width="{width:.1f}"/>'
    )


if __name__ == "__main__":
    PICTURE.write_text(drawn())
