"""`./ratchet`: quarantine and contract from the command line."""

import argparse
import sys
from pathlib import Path

from include import contract as contracts
from include import replay
from include.dock import Dock, dock
from include.errors import NothingToDoError, RatchetError
from include.settings import read_settings
from include.spec import read_spec


def main() -> int:
    """Do what the arguments say and return the exit code: 0, or 1 with a sentence."""
    arguments = _parser().parse_args()
    try:
        settings = read_settings()
        at = dock(read_spec(settings.specs / f"{arguments.spec}.toml"), settings)
        for line in arguments.do(at, arguments):
            sys.stdout.write(f"{line}\n")
    except (RatchetError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./ratchet", description=__doc__)
    commands = parser.add_subparsers(required=True)
    listing = commands.add_parser("quarantine", help="list what is in quarantine, and why")
    again = commands.add_parser("replay", help="send quarantined rows or a file through landing")
    agreed = commands.add_parser("contract", help="show the contract, or change it")
    for command, do in ((listing, _quarantine), (again, _replay), (agreed, _contract)):
        command.add_argument("spec", help="the name of a spec, without `.toml`")
        command.set_defaults(do=do)
    again.add_argument("digest", help="the batch, as `quarantine` lists it; its start is enough")
    again.add_argument("--rows", type=Path, help="a mended copy of its rows.csv")
    agreed.add_argument("--change", metavar="REASON", help="make what the spec says the contract")
    return parser


def _quarantine(at: Dock, _: argparse.Namespace) -> list[str]:
    found = replay.quarantined(at.landing)
    lines = [f"{one.digest[:12]}  {one.rows:>7}  {one.reason}" for one in found]
    return ["batch            rows  reason", *lines] if lines else ["quarantine is empty"]


def _replay(at: Dock, arguments: argparse.Namespace) -> list[str]:
    mended = _read(arguments.rows) if arguments.rows else None
    name = replay.replay(at, arguments.digest, mended)
    return [f"{name} lies in {at.landing.url}; the next run judges it again"]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NothingToDoError(f"{path} cannot be read: {error.strerror}") from error


def _contract(at: Dock, arguments: argparse.Namespace) -> list[str]:
    agreed = at.lake.require_contract()
    if arguments.change:
        agreed = contracts.changed(agreed, at.spec, arguments.change)
        at.lake.write_contract(agreed)
    told = [f"# differs from the spec: {line}" for line in contracts.differences(agreed, at.spec)]
    return [*told, contracts.dumps(agreed)]


if __name__ == "__main__":
    sys.exit(main())
