"""Times the race alone, with the Ratchet that PYTHONPATH names.

Run as a script by `turns`, and with code of other revisions: it uses no more of the benchmark than
they have.
"""

import json
import os
import warnings

from benchmarks.selection import Sizes, _santander, raced, spec

ROWS = 2_000 if os.environ.get("QUICK") else 40_000


def main() -> None:
    """Race the candidates of the benchmark over Santander-shaped rows; print seconds and MiB."""
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"
    X, y = _santander(ROWS, seed=0)
    print(json.dumps(raced(X, y, spec(Sizes()))[2]))


if __name__ == "__main__":  # processes of the race import this file as well
    main()
