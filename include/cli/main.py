"""`./ratchet`: landing, quarantine, contract and champions from the command line."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from include.cli import completion
from include.cli.command_line import (
    CommandParser,
    parse_arguments,
    share_of_one,
    stated_reason,
    steps_back,
    whole_number,
)
from include.cli.deadline import place_must_answer
from include.context.denied_access import access_required
from include.context.full_disk import room_required
from include.context.places import EVERYTHING, Need, ask_neighbours_directly, places
from include.context.running_stack import with_stack
from include.errors import NothingToDoError, RatchetError, SpecError, reason_of
from include.formats.completeness import why_ignored
from include.settings import Settings, read_settings
from include.spec.model_spec import Spec
from include.spec.spec_files import read_spec, read_specs, spec_path
from include.text.showable import showable, showable_name
from serving import VERSION

if TYPE_CHECKING:
    from include.context.intake_context import IntakeContext

    _Commands = argparse._SubParsersAction[CommandParser]  # noqa: SLF001 - it has no other name
_Does = Callable[[Spec, Settings, argparse.Namespace], Iterable[str]]
_SPEC = "the name of a spec, without `.toml`"


def main() -> int:
    """Run the command of the arguments; return the exit code: 0, or 1 after an error message."""
    parser = command_parser()
    arguments = parse_arguments(parser, sys.argv[1:])
    try:
        settings = read_settings(with_stack())
        ask_neighbours_directly(settings.host)
        if "shell" in arguments:
            _say(
                sys.stdout,
                completion.completion_script(arguments.shell, parser, settings.specs).rstrip(),
            )
        else:
            _do(_spec(settings.specs, arguments.spec), settings, arguments)
    except BrokenPipeError:
        raise
    except (RatchetError, ValueError, OSError) as error:
        _say(sys.stderr, reason_of(error))
        return 1
    return 0


def _spec(folder: Path, name: str) -> Spec:
    """Read a spec by its name; SpecError, which names the spec of a model given in its place."""
    try:
        return read_spec(spec_path(folder, name))
    except SpecError as error:
        read = read_specs(folder).values()
        owners = [one.name for one in read if isinstance(one, Spec) and one.model == name]
        if not owners or (folder / f"{name}.toml").exists():
            raise
        raise SpecError(
            f"{name} is the model of the spec {owners[0]}: give the name of the spec"
        ) from error


def _do(spec: Spec, settings: Settings, arguments: argparse.Namespace) -> None:
    """Run a command with its time limit; failures from a full disk are reported as such."""
    needed = places(arguments.needs, spec, settings)
    may_take_long = arguments.may_take_long
    with (
        room_required(spec, settings),
        access_required(spec, settings),
        place_must_answer(needed, settings.patience, may_take_long=may_take_long),
    ):
        for line in arguments.do(spec, settings, arguments):
            _say(sys.stdout, line)


def _say(stream: TextIO, words: str) -> None:
    """Print text with control characters escaped: some make a terminal execute commands."""
    text = f"{showable(words, sys.maxsize - 1)}\n"
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def command_parser() -> CommandParser:
    """Return the parser of all commands."""
    parser = CommandParser(prog="./ratchet", description=__doc__)
    parser.add_argument("--version", action="version", version=f"Ratchet {VERSION}")
    # What a command does not say of itself: it needs every place, and looks something up.
    parser.set_defaults(needs=EVERYTHING, may_take_long=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _add_intake_commands(commands)
    _add_table_commands(commands)
    _add_model_commands(commands)
    _add_transfer_command(commands)
    shell = commands.add_parser("completion", help="print a script that lets a shell complete")
    shell.add_argument("shell", choices=completion.SHELLS, help="which shell")
    return parser


def _add_intake_commands(commands: "_Commands") -> None:
    drop = commands.add_parser("drop", help="put a file where the spec's files land")
    drop.add_argument("spec", help=_SPEC)
    drop.add_argument("file", type=Path, help="`-` reads standard input")
    drop.add_argument("--name", help="its name there; with standard input it needs one")
    drop.set_defaults(do=_with_intake(_drop), needs={Need.LANDING}, may_take_long=True)
    listing = commands.add_parser("quarantine", help="list what is in quarantine, and why")
    again = commands.add_parser("replay", help="send quarantined rows or a file through landing")
    taken = commands.add_parser("take", help="take in a file that waits as suspicious")
    agreed = commands.add_parser("contract", help="show the contract, or change it")
    pairs = ((listing, _quarantine), (again, _replay), (taken, _take), (agreed, _contract))
    for command, do in pairs:
        command.add_argument("spec", help=_SPEC)
        command.set_defaults(do=_with_intake(do), needs={Need.LAKE})
    for command in (again, taken):
        command.set_defaults(needs={Need.LANDING, Need.LAKE}, may_take_long=True)
        command.add_argument(
            "digest", help="the batch, as `quarantine` lists it; its start is enough"
        )
    listing.add_argument("--all", action="store_true", help="also what was mended and taken in")
    again.add_argument("--rows", type=Path, help="a mended copy of its rows.csv")
    agreed.add_argument(
        "--change",
        type=stated_reason,
        metavar="REASON",
        help="make what the spec says the contract",
    )


def _add_table_commands(commands: "_Commands") -> None:
    older = commands.add_parser("migrate", help="bring the table to the format of this release")
    lacking = commands.add_parser("recover", help="take in again what the table has lost")
    for command in (older, lacking):
        command.add_argument("spec", help=_SPEC)
    older.set_defaults(do=_with_intake(_migrate), needs={Need.LAKE}, may_take_long=True)
    lacking.add_argument("--yes", action="store_true", help="do it; without, say what it would do")
    lacking.add_argument("--give-up", action="store_true", help="rows that nothing brings back")
    lacking.set_defaults(
        do=_with_intake(_recover), needs={Need.LANDING, Need.LAKE}, may_take_long=True
    )


def _add_model_commands(commands: "_Commands") -> None:
    past = commands.add_parser("promotions", help="list who was champion from when, and why")
    back = commands.add_parser("roll-back", help="make an earlier champion the champion again")
    taken = commands.add_parser("adopt", help="register a model from elsewhere")
    again = commands.add_parser("judge", help="judge a registered version on today's holdout")
    whole = commands.add_parser("doctor", help="hold all that there is against one another")
    for command in (past, back, taken, again, whole):
        command.add_argument("spec", help=_SPEC)
        command.set_defaults(do=_at_registry(command.prog.split()[-1]), needs={Need.REGISTRY})
    for command in (taken, again):
        command.set_defaults(needs={Need.REGISTRY, Need.LAKE}, may_take_long=True)
    # It asks its places by itself, and says which do not answer.
    whole.set_defaults(needs=frozenset(), may_take_long=True)
    for command in (back, taken, again):
        command.add_argument(
            "--reason", type=stated_reason, required=True, help="why; it is written down"
        )
    back.add_argument(
        "--steps", type=steps_back, default=1, help="how many promotions, 1 by default"
    )
    taken.add_argument(
        "model", type=Path, help="a classifier with scikit-learn's interface, as joblib or pickle"
    )
    taken.add_argument("--fitted", type=Path, help="the rows it was fitted on: its proof")
    taken.add_argument(
        "--threshold", type=share_of_one, default=0.5, help="positive from here, 0.5"
    )
    again.add_argument("version", type=whole_number, help="the number of the version")
    again.add_argument("--approve", action="store_true", help="where the spec asks a person")
    again.add_argument("--force", action="store_true", help="past the statistics, not the proof")


def _add_transfer_command(commands: "_Commands") -> None:
    over = commands.add_parser("transfer", help="hand a registered model over to another spec")
    over.add_argument("model", help="the name of the registered model")
    over.add_argument("--to", dest="spec", metavar="SPEC", required=True, help=_SPEC)
    over.set_defaults(do=_at_registry("transfer"), needs={Need.REGISTRY})


def _with_intake(do: Callable[["IntakeContext", argparse.Namespace], Iterable[str]]) -> _Does:
    def do_it(spec: Spec, settings: Settings, arguments: argparse.Namespace) -> Iterable[str]:
        # What reads and writes tables takes a second to import, which usage and help do without.
        from include.context.intake_context import intake_context

        return do(intake_context(spec, settings), arguments)

    return do_it


def _at_registry(name: str) -> _Does:
    def do(spec: Spec, settings: Settings, arguments: argparse.Namespace) -> Iterable[str]:
        # What a registry needs takes seconds to import, which the others do without.
        from include.cli import registry_commands as commands

        return commands.run(name, spec, settings, arguments)

    return do


def _drop(context: "IntakeContext", arguments: argparse.Namespace) -> list[str]:
    from_input = str(arguments.file) == "-"
    if not (from_input or arguments.file.is_file()):
        raise NothingToDoError(f"{arguments.file} is no file")
    name = arguments.name or ("" if from_input else arguments.file.name)
    _require_name(name)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "file") if from_input else arguments.file
        if from_input:
            with file.open("wb") as copy:
                shutil.copyfileobj(sys.stdin.buffer, copy)
        context.landing.drop(name, file)
    return [f"{showable_name(name)} lies in {context.landing.url}; a run starts within seconds"]


def _require_name(name: str) -> None:
    """Raise NothingToDoError for a file name that ingestion ignores, or that has folders in it."""
    if not name:
        raise NothingToDoError("a file from standard input has no name: give it one with --name")
    why = "a name has neither slashes nor NUL" if {"/", "\0"} & {*name} else why_ignored(name)
    if why:
        raise NothingToDoError(
            f"{showable_name(name)} is no name for a file in landing: {why}. Give another with "
            "--name"
        )


def _quarantine(context: "IntakeContext", arguments: argparse.Namespace) -> list[str]:
    from include.steps import replay as replay_step

    found = replay_step.list_quarantine(context, settled=arguments.all)
    if not found:
        return ["quarantine is empty" if arguments.all else "nothing waits in quarantine"]
    lines = [
        f"{one.digest[:12]}  {one.rows or 'all':>7}  {one.since:%Y-%m-%d %H:%M}  "
        f"{one.name or 'unknown'}: {one.reason}{f' in {one.column}' * bool(one.column)}"
        f"{' (mended and taken in)' * one.settled}"
        for one in found
    ]
    return ["batch            rows  since (UTC)       file and reason", *lines]


def _replay(context: "IntakeContext", arguments: argparse.Namespace) -> list[str]:
    from include.steps import replay as replay_step

    mended = _read(arguments.rows) if arguments.rows else None
    name = replay_step.replay(context, arguments.digest, mended)
    return [f"{showable_name(name)} lies in {context.landing.url}; the next run judges it again"]


def _take(context: "IntakeContext", arguments: argparse.Namespace) -> list[str]:
    from include.steps import replay as replay_step

    name = replay_step.take(context, arguments.digest)
    return [f"{showable_name(name)} lies in {context.landing.url}; the next run takes it as it is"]


def _migrate(context: "IntakeContext", _: argparse.Namespace) -> Iterable[str]:
    from include.steps.migrate import migrate

    return migrate(context)


def _recover(context: "IntakeContext", arguments: argparse.Namespace) -> Iterable[str]:
    from include.steps.recover import recover

    return recover(context, yes=arguments.yes, give_up=arguments.give_up)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NothingToDoError(f"{path} cannot be read: {error.strerror}") from error


def _contract(context: "IntakeContext", arguments: argparse.Namespace) -> list[str]:
    from include.spec import contract as contracts

    agreed = context.lake.require_contract()
    if arguments.change:
        agreed = contracts.changed_contract(agreed, context.spec, arguments.change)
        context.lake.write_contract(agreed)
    told = [
        f"# differs from the spec: {line}" for line in contracts.differences(agreed, context.spec)
    ]
    return [*told, contracts.dumps(agreed)]
