"""How a training is asked to end: by a signal, or by the death of its launcher. Imports no torch.

A request waits until the window in progress is done, so that what is saved is never half an update.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

EXIT_VARIABLE = "TIEDLM_STOPS_WITH_STDIN"
"""Environment variable by which a launcher asks for `exit_with_parent`; elsewhere standard input may end any time."""


class Interrupt:
    """Whether somebody asked to stop."""

    requested = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal; a second one stops at once, and the training resumes from its last save."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Yield what notes an interrupt (control-C) or a request to end; outside the main thread nothing is noted."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_with_parent() -> None:
    """End as on SIGTERM when the launcher dies, where it asked for that by `EXIT_VARIABLE`; else do nothing.

    The launcher holds the only writing end of a pipe that is this process's standard input, and never writes. However
    it dies, the system closes that end. (Linux's death signal is bound to the thread that started the process, and
    other systems have none.)
    """
    if os.environ.pop(EXIT_VARIABLE, None):  # removed, since processes that this one starts have another launcher
        threading.Thread(target=_terminate_at_end_of_input, name="exit with parent", daemon=True).start()


def _terminate_at_end_of_input() -> None:
    with suppress(OSError):
        while os.read(0, 1):
            pass
    main = threading.main_thread().ident
    if main is not None:  # to that thread, which handles signals: one that this thread got would not wake it up
        signal.pthread_kill(main, signal.SIGTERM)
