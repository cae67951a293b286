"""Specs that name one registered model, for `make status`.

Until a version is registered nobody owns it: both specs train, and the one that registers later is
refused then, when its rows are taken in.
"""

import tomllib
from collections import defaultdict
from collections.abc import Collection, Iterator

from include.settings import Settings


def shared_models(settings: Settings, refused: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each model that two specs name; `refused` specs are told already."""
    specs: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(settings.specs.glob("*.toml")):
        try:
            model = tomllib.loads(path.read_text(encoding="utf-8")).get("model")
        except (OSError, ValueError):  # it is a broken spec, which is told
            continue
        if isinstance(model, str) and path.stem not in refused:
            specs[model].append(path.stem)
    for model, names in specs.items():
        if len(names) > 1:
            yield (
                f"{' and '.join(f'{name}.toml' for name in names)} both name the model {model}: "
                "the first that registers a version owns it, and the other is refused then. Give "
                "one of them a model of its own."
            )
