"""Files that wait where no run looks, for `make status`.

Whoever drops a file one folder too high, or into a folder of a misspelt name, hears of it nowhere
else: no spec is concerned.
"""

import os
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from include.settings import Settings
from include.store.address import local_folder

_MOST = 3
"""Files that are named; the others are counted."""


def strays(settings: Settings) -> Iterator[str]:
    """Yield a sentence for the landing place itself and for each folder there of no spec."""
    root, specs = local_folder(settings.landing), _specs(settings)
    if root is None:
        return
    if lying := files_in(root):
        yield (
            f"{root} itself holds {lying}, and nothing is taken from there: move files into the "
            "folder of their spec."
        )
    known = set(landing_places(settings).values())
    for folder in _folders(root):
        if folder not in known and (lying := files_in(folder)):
            near = get_close_matches(folder.name, [spec.stem for spec in specs], 1)
            end = f"; did you mean {near[0]}?" if near else "."
            name = _shown(folder.name)
            yield f"{root}/{name} holds {lying}, and there is no spec {name}{end}"


def unreadable(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each folder of the stack that this user may not use."""
    for spec, place in landing_places(settings).items():
        if not _is_usable(place):
            yield (
                f"{place}, where files of {spec} land, may not be read and written by this user: "
                "no file is taken from there. " + _MEND
            )
    for place in _own_places(settings):
        if not _is_usable(place):
            yield (
                f"{place}, which the stack writes to, may not be read and written by this user: "
                "runs wait or fail. " + _MEND
            )


_MEND = (
    "Give it to the user who runs the stack (chown, chmod), or mount it writable; what waits goes "
    "on by itself."
)


def _is_usable(place: Path) -> bool:
    return not place.exists() or os.access(place, os.R_OK | os.W_OK | os.X_OK)


def _own_places(settings: Settings) -> Iterator[Path]:
    """Yield the folders in which lake, models and the server's copies are made, as far as local."""
    artifacts, copies = settings.home / "mlflow" / "artifacts", settings.home / "serving"
    for root in (local_folder(settings.lake_url), artifacts, copies):
        if root is not None:
            yield from (root, *_folders(root))
    for experiment in _folders(artifacts):
        yield experiment / "models"


def landing_places(settings: Settings) -> dict[str, Path]:
    """Return the landing folder of each spec by the spec's name; a bucket is left out."""
    places = {spec.stem: local_folder(_landing(settings, spec)) for spec in _specs(settings)}
    return {name: place for name, place in places.items() if place is not None}


def _specs(settings: Settings) -> list[Path]:
    return sorted(settings.specs.glob("*.toml"))


def _landing(settings: Settings, spec: Path) -> str:
    """Return where files of a spec land; one that cannot be read has said nothing else."""
    try:
        stated = tomllib.loads(spec.read_text(encoding="utf-8")).get("landing")
    except (OSError, ValueError):
        stated = None
    return settings.landing_url(spec.stem, stated if isinstance(stated, str) else None)


def _folders(place: Path) -> list[Path]:
    return [Path(one.path) for one in _entries(place) if one.is_dir()]


def files_in(place: Path) -> str:
    """Tell the files that lie there in a few words; empty where none does."""
    names = [_shown(one.name) for one in _entries(place) if one.is_file()]
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more} more" if more > 0 else "")


def _shown(name: str) -> str:
    """Return a name with a `?` for whatever could steer a terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in name)


def _entries(place: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as found:
            seen = [one for one in found if not one.name.startswith(".")]
    except OSError:  # it is gone, or is told as unreadable
        return []
    return sorted(seen, key=lambda item: item.name)
