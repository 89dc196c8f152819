"""How a training ends when its launcher has died, in whatever way, on any system.

The launcher holds the only writing end of a pipe that is the training's standard input, and never writes. When it dies,
the system closes that end, the training reads the end of its input and asks itself to end as a SIGTERM would: it
saves after the window under way. (Linux's death signal is bound to the thread that started the process, and other
systems have none.)
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

VARIABLE = "TIEDLM_STOPS_WITH_STDIN"
"""Environment variable by which a launcher asks for it: standard input may end for other reasons elsewhere."""


def hold_on() -> None:
    """Begin to watch the standard input where the launcher asked for it; else do nothing."""
    if os.environ.pop(VARIABLE, None):  # taken away, for processes that this one starts have another launcher
        threading.Thread(target=_end_with_input, name="lifeline", daemon=True).start()


def _end_with_input() -> None:
    with suppress(OSError):
        while os.read(0, 1):
            pass
    main = threading.main_thread().ident
    if main is not None:  # to that thread, which handles signals: one that this thread got would not wake it up
        signal.pthread_kill(main, signal.SIGTERM)
