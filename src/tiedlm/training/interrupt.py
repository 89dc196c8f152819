"""An interrupt waits until the window under way is done, so that what is saved is never half an update."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupt:
    """Whether somebody asked to stop."""

    asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal; a second one stops at once, and the training goes on from its last saving."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Yield what notes an interrupt (control-C) or a request to end; outside the main thread nothing is noted."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before: list[Any] = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield interrupt
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
