"""Several commands at one time, one on each core, with their lines shown as they come."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType


def side_by_side(commands: Mapping[str, Sequence[str]], at_once: int | None = None) -> dict[str, int]:
    """Run the commands and print each line of theirs behind its command's label; return label → exit status.

    Args:
        commands: label → program and arguments.
        at_once: most commands at one time; None: one a core that this process may use.

    Raises:
        KeyboardInterrupt: after an interrupt or a request to end, which were passed on, and once all commands ended.
    """
    width = max(map(len, commands))
    running = _Running()
    with _ends_as_interrupt(), ThreadPoolExecutor(at_once or cores()) as pool:
        try:
            waiting = {
                label: pool.submit(running.run, command, f"{label:<{width}} | ") for label, command in commands.items()
            }
            return {label: status.result() for label, status in waiting.items()}
        except KeyboardInterrupt:
            running.interrupt()
            raise


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Running:
    """The processes that run now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[str]] = set()
        self._interrupted = False

    def run(self, command: Sequence[str], prefix: str) -> int:
        """Run one command to its end; none is begun after an interrupt."""
        with self._lock:
            if self._interrupted:
                return -signal.SIGINT
            # a session of its own, so that an interrupt typed at the terminal reaches it once, from here
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
            )
            self._processes.add(process)
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                print(prefix + line.rstrip("\n"), flush=True)
        with self._lock:
            self._processes.discard(process)
        return process.returncode

    def interrupt(self) -> None:
        """Pass an interrupt on to all."""
        with self._lock:
            self._interrupted = True
            for process in self._processes:
                process.send_signal(signal.SIGINT)


@contextmanager
def _ends_as_interrupt() -> Iterator[None]:
    """Treat a request to end this process as an interrupt, as its commands would otherwise go on without it."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
