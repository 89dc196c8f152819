"""The command `tiedlm`: finds the command's module, calls it, and tells every error in one message.

Nothing but this file and the errors is imported until the command is known, so that help and mistakes are answered at
once. Exit status: 0 well; 2 an error that a user can mend; 130 interrupted, or asked to end (SIGTERM); 141 the reader
of a pipe has gone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module

from tiedlm.errors import ArgumentError, TiedlmError, memory_errors_told, printable, suggestion

COMMANDS = {
    "demo": "train two small models on text of this machine and show the result",
    "prepare": "find or fetch a corpus, check it, encode it",
    "recipes": "list the trainings that have a name",
    "train": "train a recipe, or go on with a run",
    "score": "perplexity of a run on a split or a text file",
    "predict": "the most probable next words after a context",
    "generate": "text drawn from a run's model",
    "compare": "runs side by side, and beside the paper",
    "analyze": "what a perplexity hides: figures by frequency, norms, where probability goes",
    "publish": "put what a finished run leaves for others into results/",
    "reproduce": "the paper's rows: train what is missing, list what stands, make tables and figures",
    "doctor": "versions, device, threads, and where data and runs live",
}
"""Every command, in the order of the help, with what it does; its module is `tiedlm.cli.<name>`."""

ERROR, INTERRUPTED, PIPE_CLOSED = 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, by default that of the process, and return the exit status.

    Every `TiedlmError` and `OSError`, and a lack of memory, is told on the standard error as `tiedlm: error: ...`,
    without a traceback.
    """
    _open_missing_streams()
    _print_what_the_terminal_lacks_escaped()
    try:
        with _asked_to_end_is_interrupted(), memory_errors_told():
            status = _status(list(sys.argv[1:] if argv is None else argv))
            sys.stdout.flush()
    except KeyboardInterrupt:
        return _tell("interrupted", INTERRUPTED)
    except BrokenPipeError:
        _drop_output()
        return PIPE_CLOSED
    except TiedlmError as error:
        return _tell(f"error: {error}", ERROR)
    except OSError as error:
        _drop_output()
        return _tell(f"error: {_in_words(error)}", ERROR)
    return status


@contextmanager
def _asked_to_end_is_interrupted() -> Iterator[None]:
    """Treat SIGTERM as control-C, so that whatever was begun is cleared away; by default it would end us at once."""
    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _status(arguments: list[str]) -> int:
    try:
        return _dispatch(arguments)
    except SystemExit as end:  # a command's help has been printed
        return end.code if isinstance(end.code, int) else 0


def _dispatch(arguments: list[str]) -> int:
    if not arguments:
        print(_help(), file=sys.stderr)
        return ERROR
    name, *rest = arguments
    if name in ("-h", "--help", "help"):
        print(_help())
        return 0
    if name == "--version":
        from tiedlm import __version__

        print(f"tiedlm {__version__}")
        return 0
    if name not in COMMANDS:
        kind = "option" if name.startswith("-") else "command"
        known = [*COMMANDS, "--help", "--version"]
        raise ArgumentError(
            f"There is no {kind} {name!r}.{suggestion(name, known)} Commands: {', '.join(COMMANDS)}. "
            "`tiedlm --help` says what they do."
        )
    return import_module(f"tiedlm.cli.{name}").main(rest)


def _help() -> str:
    lines = [f"  {name:<10}{summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: tiedlm COMMAND [OPTIONS]",
            "",
            "Word-level language models with tied embeddings and the augmented loss (Inan, Khosravi & Socher 2017).",
            "",
            *lines,
            "",
            "tiedlm COMMAND --help tells a command's options; tiedlm --version the version.",
            "TIEDLM_DATA_DIR, TIEDLM_CACHE_DIR and TIEDLM_RUNS_DIR say where corpora, caches and runs live.",
        ]
    )


def _tell(message: str, status: int) -> int:
    with suppress(OSError):
        sys.stderr.write(f"tiedlm: {printable(message, keep=chr(10))}\n")
    return status


def _in_words(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename else f"reading or writing failed: {reason}"


def _open_missing_streams() -> None:
    """Give a standard stream that was closed before we began the null device: Python has None in its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open until the process ends


def _print_what_the_terminal_lacks_escaped() -> None:
    """A word that the terminal's encoding lacks is written as an escape, and is not an error."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Send what is still to be written nowhere: the interpreter would fail on it again when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
