"""The entry point of `./ratchet`: Ctrl-C gives one line and exit code 130, whenever it comes.

The libraries of a command take a second to import. An interruption during an import shows the
traceback of some library, and a call into C code does not notice the signal at all. So this module
imports nothing but the standard library before the signal handler is set, and a thread ends an
interrupted command that does not stop by itself. The script `./ratchet` blocks the signal until
then.
"""

import os
import signal
import sys
import threading

_INTERRUPTED = 130
_GRACE_SECONDS = 2.0
"""Time that an interrupted command gets to clean up."""


def main() -> int:
    """Run the command of the arguments and return its exit code."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return _command()
    signal.signal(signal.SIGINT, _leave)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        return _command()
    except KeyboardInterrupt:
        _leave()
    except BrokenPipeError:  # `./ratchet ... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _command() -> int:
    from include.cli.main import main as command

    if signal.getsignal(signal.SIGINT) is _leave:
        _end_who_does_not_hear()
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code = command()
    sys.stdout.flush()
    return code


def _leave(*_: object) -> None:
    os.write(2, b"Interrupted.\n")
    os._exit(_INTERRUPTED)


def _end_who_does_not_hear() -> None:
    """Start a thread that ends the process some seconds after SIGINT, wherever the command is."""
    came, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    over = threading.Event()

    def wait() -> None:
        while signal.SIGINT not in os.read(came, 64):
            pass
        over.wait(_GRACE_SECONDS)
        _leave()

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    _code = main()
    # Threads that still ask a server which is away hold nobody up.
    sys.stderr.flush()
    os._exit(_code)
