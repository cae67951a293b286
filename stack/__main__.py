"""`python -m stack up|down|status|logs`: the stack's own command line."""

import argparse
import os
import sys

from include.settings import PROJECT, read_settings
from stack.environments import require_environments
from stack.errors import StackError

_INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code; what went wrong is one sentence, no traceback."""
    options = _parser().parse_args(arguments)
    try:
        require_environments(PROJECT)
        return _run(options)
    except (StackError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return _interrupted(options.command)
    except BrokenPipeError:  # `... status --json | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(options: argparse.Namespace) -> int:
    from stack import commands
    from stack.views import PipedConsole

    settings, console = read_settings(), PipedConsole()
    if options.command == "status":
        return commands.status(settings, console, json=options.json)
    run = {"up": commands.up, "down": commands.down, "logs": commands.logs}[options.command]
    return run(settings, console)


def _interrupted(command: str) -> int:
    if command == "logs":
        return 0
    sentence = {
        "up": "Interrupted: what had been started is stopped, nothing is left running.",
    }.get(command, "Interrupted.")
    sys.stderr.write(f"\n{sentence}\n")
    return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("stack", description="Run Ratchet on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything and keep it running")
    commands.add_parser("down", help="stop everything")
    shown = commands.add_parser("status", help="say what runs and where")
    shown.add_argument("--json", action="store_true", help="for scripts")
    commands.add_parser("logs", help="follow every component's log")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
