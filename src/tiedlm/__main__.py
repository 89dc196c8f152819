"""The process of the command line: `tiedlm`, or `python -m tiedlm` where the script is not on the path.

Signals come first: an interrupt (control-C) or a request to end (SIGTERM) while modules are imported ends the process
with status 130 and one message, as it does later, instead of a traceback.
"""

from __future__ import annotations

import _signal as signal  # pyright: ignore[reportMissingImports] - what `signal` wraps, without the imports of `enum`
import os
import sys


class Interrupted(KeyboardInterrupt):
    """Raised instead of KeyboardInterrupt, after which `python -m` may disregard the exit status and end by SIGINT.

    CPython does so where one has passed through `exec`, as in the definition of a dataclass.
    """


def run() -> None:
    """Run the command line of this process, and end it with the command's status."""
    signals = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]
    for number in signals:
        signal.signal(number, _exit_at_once)
    from tiedlm.cli.main import INTERRUPTED, main

    for number in signals:
        signal.signal(number, _raise)
    try:
        status = main()
    except KeyboardInterrupt:  # a second one, while the first was handled
        status = INTERRUPTED
    for number in signals:  # the status stands; nothing is left to interrupt
        signal.signal(number, signal.SIG_IGN)
    sys.exit(status)


def _exit_at_once(number: int, frame: object) -> None:
    """Exit while modules are imported: nothing has begun, and an exception could be lost in an import."""
    os.write(2, b"tiedlm: interrupted\n")
    os._exit(130)


def _raise(number: int, frame: object) -> None:
    raise Interrupted


if __name__ == "__main__":
    run()
