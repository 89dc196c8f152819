"""The run folder: everything a training leaves on the disk, and all that scoring needs. Imports no torch.

    runs/ptb-small-real-seed-0/
        config.json                  the config                             ┐ written once, when the folder is made
        vocabulary.json              the words in order of id               ┘
        journal.jsonl                one line an event, appended; `run.json` says how many bytes count
        weights-000012.safetensors   parameters, best on the validation text        ┐ each save writes a new number
        state-000013.safetensors     parameters and carried state, to resume from   ┘
        run.json                     the record: progress, sessions, scores, and length and sha256 of each file
        .lock                        held by the process that writes; holds its number and host

Replacing `run.json` by a rename is the save (`RunFolder.save`): new contents go into files that no record names, and
files that the new record does not name are deleted afterwards. A process killed at any instant leaves the state before
or after. Length and sha256 of every file are compared with the record, which carries a checksum of its own; only
regular files are opened (`files.open_regular`); JSON and safetensors are parsed, so no code of a stranger's is run.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import re
import shutil
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, final

from tiedlm.config import from_json, to_json
from tiedlm.errors import ArgumentError, ConfigError, RunError, TiedlmError, suggestion
from tiedlm.files import (
    disk_errors_as_run_errors,
    flush,
    json_bytes,
    open_regular,
    remove_partial_folders,
    temp_sibling,
    write_bytes,
)
from tiedlm.runs.config import RunConfig, RuntimeConfig

if TYPE_CHECKING:
    from tiedlm.data.text import Vocabulary

FORMAT, VERSION = "tiedlm-run", 2
RECORD, JOURNAL, LOCK = "run.json", "journal.jsonl", ".lock"
OLD_RECORD = "manifest.json"
"""What version 1 had in the place of `run.json`."""
MAX_RECORD_BYTES = 16 * 2**20
RESTORE = "Nothing of it was used. Restore the run folder from a copy, or train it anew into another folder."
LOCK_TRIES = 10
"""In half a second: whoever only looks who holds the lock holds it for an instant."""

_NUMBERED = r"-[0-9]{6,}\.safetensors"
_NAMES = {"config": r"config\.json", "vocabulary": r"vocabulary\.json", "journal": r"journal\.jsonl"}
_NAMES |= {name: name + _NUMBERED for name in ("weights", "state")}
_LEFTOVER = re.compile(rf"(weights|state){_NUMBERED}(\.[0-9]+\.partial)?|run\.json\.[0-9]+\.partial")


@final
@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """A file of the run folder; of the journal, the part that counts."""

    name: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, name: str, content: bytes) -> FileEntry:
        return cls(name=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())

    def read(self, folder: Path, *, may_be_longer: bool = False) -> bytes:
        """Return the content; a RunError where size or sha256 differ, or it is no regular file that can be read.

        A file that is missing is a FileNotFoundError: a later save may have replaced it.
        """
        path = folder / self.name
        try:
            with open_regular(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size < self.bytes or (size > self.bytes and not may_be_longer):
                    raise RunError(f"{path} is damaged: {self.bytes} bytes were saved, but it has {size}. {RESTORE}")
                content = file.read(self.bytes)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror}. {RESTORE}") from error
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 != self.sha256:
            raise RunError(f"{path} is damaged: its sha256 should be {self.sha256}, but is {sha256}. {RESTORE}")
        return content


@final
@dataclass(kw_only=True)
class Progress:
    """How far a training is."""

    generation: int = 1
    """1 for a training from random weights, 2 for one that started from its weights (a second training), ..."""
    epoch: int = 1
    """The epoch in progress, from 1; one more than the config's epochs when the training is over."""
    window: int = 0
    """Windows of this epoch that are done."""
    words: int = 0
    """Words of this epoch that are done."""
    loss_sum: float = 0.0
    """Loss of these words, summed."""
    cross_entropy_sum: float = 0.0
    """Cross-entropy of these words in nats, summed."""
    seconds: float = 0.0
    """Seconds of training in this epoch, over all processes that worked on it."""
    total_seconds: float = 0.0
    """Seconds of all epochs before, validation included."""
    best_epoch: int | None = None
    """Epoch whose weights were best on the validation text."""
    best_valid_perplexity: float | None = None
    """Their perplexity."""

    def __post_init__(self) -> None:
        counts = (self.generation - 1, self.epoch - 1, self.window, self.words, (self.best_epoch or 1) - 1)
        if not all(0 <= count < 2**62 for count in counts) or (self.window == 0) != (self.words == 0):
            raise ConfigError(f"the progress counts what cannot be: {counts}.")
        if not all(map(math.isfinite, (self.loss_sum, self.cross_entropy_sum, self.seconds, self.total_seconds))):
            raise ConfigError("the progress has a number that is not finite.")

    def next_epoch(self, seconds: float) -> None:
        self.total_seconds += seconds
        self.epoch, self.window, self.words = self.epoch + 1, 0, 0
        self.loss_sum = self.cross_entropy_sum = self.seconds = 0.0


@final
@dataclass(frozen=True, kw_only=True)
class Session:
    """Where a training began, or went on under other conditions (`training.start.record_session`)."""

    epoch: int
    window: int
    runtime: RuntimeConfig
    environment: dict[str, Any]
    """Versions, machine, threads and implementations; see `training.start.describe_run`."""

    def __post_init__(self) -> None:
        _check_shape(self.environment, {"processor": str, "device": str, "threads": int}, "sessions.environment")
        if not 1 <= self.environment["threads"] <= 1024:
            raise ConfigError(f"sessions.environment.threads is {self.environment['threads']}, but must be 1 to 1,024.")


_TEXT = {"text_sha256": str}
_CORPUS = {"name": str, "splits": {"train": _TEXT, "valid": _TEXT, "test": _TEXT}, "vocabulary": dict}
_SCORE = {"perplexity": float, "nll_nats": float, "words": int}
_SCORES = {"valid": _SCORE, "test": _SCORE, "protocol": str}
_PARENT = {"path": str, "recipe": str, "seed": int, "weights_sha256": str}


def _check_shape(value: Any, shape: Any, path: str) -> None:
    """Refuse JSON that lacks a part of `shape`: nested names, with the type of each value at the end."""
    if isinstance(shape, dict) and isinstance(value, dict):
        for name, inner in shape.items():
            _check_shape(value.get(name), inner, f"{path}.{name}")
    elif isinstance(shape, dict) or not isinstance(value, shape) or isinstance(value, bool):
        raise ConfigError(f"{path} is {value!r}.")


@final
@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The content of `run.json`: the state of a run after one save."""

    version: int = VERSION
    save: int = 0
    """Number of the save; the one that made the folder is 0."""
    progress: Progress
    sessions: tuple[Session, ...]
    """Oldest first; the first is the beginning, and the last holds now."""
    corpus: dict[str, Any]
    """The texts' sha256 and counts, as the corpus tells them."""
    parent: dict[str, Any] | None = None
    """The run whose weights a second training started from."""
    scores: dict[str, Any] | None = None
    """Of the best weights on validation and test text, once the training is over."""
    files: dict[str, FileEntry] = field(default_factory=dict)
    """`config`, `vocabulary`, `journal`, `state`, and `weights` after the first epoch."""

    def __post_init__(self) -> None:
        if not self.sessions:
            raise ConfigError("sessions is empty.")
        _check_shape(self.corpus, _CORPUS, "corpus")
        if self.parent is not None:
            _check_shape(self.parent, _PARENT, "parent")
        if self.scores is not None:
            _check_shape(self.scores, _SCORES, "scores")
        for name, entry in self.files.items():
            if name not in _NAMES or not re.fullmatch(_NAMES[name], entry.name) or entry.bytes < 0:
                raise ConfigError(f"files.{name} cannot be {entry}.")

    def to_bytes(self) -> bytes:
        body = {"format": FORMAT, **to_json(self)}
        return json_bytes({**body, "checksum": hashlib.sha256(json_bytes(body)).hexdigest()})

    @classmethod
    def read(cls, folder: Path) -> RunRecord:
        """Return the record of a run folder; a RunError as `RunFolder.open`."""
        path = folder / RECORD
        try:
            with open_regular(path, "rb") as file:
                content = file.read(MAX_RECORD_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RunError(_why_no_run(folder)) from error
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror}. Check that you may read this folder.") from error
        if len(content) > MAX_RECORD_BYTES:
            raise RunError(f"{path} is damaged: no record has more than {MAX_RECORD_BYTES:,} bytes. {RESTORE}")
        value = _parsed(content, path)
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise RunError(
                f"{path} belongs to another program, or is damaged: its format should be {FORMAT!r}. "
                "Give the folder of a run that `tiedlm train` made."
            )
        if value.get("version") != VERSION:
            raise RunError(_other_version(folder, value.get("version")))
        body = {name: item for name, item in value.items() if name not in ("format", "checksum")}
        try:
            record = from_json(cls, body, "run")
            is_whole = record.to_bytes() == content
        except (ConfigError, ValueError, RecursionError) as error:
            raise RunError(f"{path} is damaged: its fields are not those of a record ({error}) {RESTORE}") from error
        if not is_whole or not {"config", "vocabulary", "journal", "state"} <= set(record.files):
            raise RunError(f"{path} is damaged or was edited: it does not agree with its own checksum. {RESTORE}")
        return record


def _other_version(folder: Path, version: object) -> str:
    return (
        f"{folder} is a run folder of version {version!r}, but this tiedlm reads version {VERSION}. Use the tiedlm "
        "that trained it, or train it anew into another folder."
    )


def _why_no_run(folder: Path) -> str:
    if (folder / OLD_RECORD).exists():
        return _other_version(folder, 1)
    give = "Give the folder of a run that `tiedlm train` made."
    if folder.is_dir():
        return f"{folder} is not a run folder: it has no {RECORD}. {give}"
    if folder.exists():
        return f"{folder} is a file, not a run folder. {give}"
    others = [path.parent.name for path in folder.parent.glob(f"*/{RECORD}")]
    return (
        f"There is no run folder {folder}.{suggestion(folder.name, others)} "
        "Check the name, or make the run with `tiedlm train`."
    )


def _parsed(content: bytes, path: Path) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged: it is not readable as JSON ({error}). {RESTORE}") from error


@final
class RunFolder:
    """The folder of one run as `create`, `open`, `lock` or `save` saw it last; the first two make one."""

    def __init__(self, path: Path, record: RunRecord) -> None:
        self.path, self.record = path, record
        self._lock_file: BinaryIO | None = None

    @classmethod
    def create(
        cls,
        path: Path | str,
        config: RunConfig,
        vocabulary: Vocabulary,
        record: RunRecord,
        *,
        state: bytes,
        weights: bytes | None = None,
        events: Iterable[dict[str, Any]] = (),
    ) -> RunFolder:
        """Make the run folder `path`, which appears with all of its files or not at all.

        Args:
            path: what does not exist, or is an empty folder.
            config, vocabulary: of the run.
            record: all but its `files`.
            state: tensors to resume from, as safetensors.
            weights, events: the best weights and the journal so far, of a training that another folder began.

        Raises:
            RunError: something is at `path` already, or the disk is full or fails.
        """
        path = Path(os.path.abspath(path))
        if path.is_dir():  # a folder can be put in an empty folder's place, but not in that of a link to one
            path = path.resolve()
        contents = {
            "config": ("config.json", json_bytes(to_json(config), sort_keys=False)),
            "vocabulary": ("vocabulary.json", json_bytes(vocabulary.to_json(), sort_keys=False)),
            "journal": (JOURNAL, b"".join(map(_line, events))),
            "state": (f"state-{record.save:06d}.safetensors", state),
        }
        if weights is not None:
            contents["weights"] = (f"weights-{record.save:06d}.safetensors", weights)
        files = {key: FileEntry.of(name, content) for key, (name, content) in contents.items()}
        record = replace(record, files=files)
        with disk_errors_as_run_errors(path):
            check_free(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_partial_folders(path)
            partial = temp_sibling(path)
            try:
                for name, content in [*contents.values(), (RECORD, record.to_bytes())]:
                    write_bytes(partial / name, content)
                os.replace(partial, path)
            except OSError:
                check_free(path)  # another process may have made a run there in the meantime
                raise
            finally:
                shutil.rmtree(partial, ignore_errors=True)
            flush(path.parent)
        return cls(path, record)

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """Return the run folder that exists at `path`.

        Raises:
            RunError: it is missing, no run folder, damaged, or of another version.
        """
        path = Path(os.path.abspath(path))
        return cls(path, RunRecord.read(path))

    @property
    def is_finished(self) -> bool:
        return self.record.scores is not None

    @property
    def has_weights(self) -> bool:
        """Whether the training has ended an epoch, so that there are best weights."""
        return "weights" in self.record.files

    def config(self, *, session: int = -1) -> RunConfig:
        """Return the config, with the runtime of the last session or another one; a RunError as `read`."""
        value = _parsed(self.read("config"), self.path / "config.json")
        try:
            return replace(from_json(RunConfig, value), runtime=self.record.sessions[session].runtime)
        except ConfigError as error:
            raise RunError(f"The config of {self.path} cannot be used: {error} {RESTORE}") from error

    def vocabulary(self) -> Vocabulary:
        """Return the words of the run; a RunError as `read`."""
        from tiedlm.data.text import Vocabulary  # here, since it loads numpy

        value = _parsed(self.read("vocabulary"), self.path / "vocabulary.json")
        try:
            return Vocabulary.from_json(value)
        except TiedlmError as error:
            raise RunError(f"The vocabulary of {self.path} cannot be used: {error} {RESTORE}") from error

    def scores(self) -> dict[str, Any]:
        """Return the scores of the best weights on `valid` and `test`, and their `protocol`; a RunError without any."""
        if self.record.scores is None:
            raise RunError(f"{self.path} has no scores yet. Resume its training to its end.")
        return self.record.scores

    def environment(self) -> dict[str, Any]:
        """Return what the run's figures depend on beside its config: the beginning, corpus, parent, and later sessions.

        The sessions after the first are under `moves`, which is left out where there are none.
        """
        first, *later = self.record.sessions
        environment = {**first.environment, "corpus": self.record.corpus, "parent": self.record.parent}
        return {**environment, "moves": [to_json(session) for session in later]} if later else environment

    def read(self, name: str) -> bytes:
        """Return `config`, `vocabulary`, `weights` or `state`; a RunError if there is none yet, or it is damaged."""
        while True:
            if name not in self.record.files:
                raise RunError(f"{self.path} has no {name} yet. Resume its training until it has saved some.")
            entry, save = self.record.files[name], self.record.save
            try:
                return entry.read(self.path)
            except FileNotFoundError as error:
                self.record = RunRecord.read(self.path)
                if self.record.save == save:  # else a later save has replaced the file
                    raise RunError(f"{self.path / entry.name} is missing. {RESTORE}") from error

    def journal(self) -> list[dict[str, Any]]:
        """Return the events that count, oldest first, each with its name under `event`; a RunError as `read`."""
        path = self.path / JOURNAL
        events = [_parsed(line, path) for line in self._read_journal().splitlines()]
        for event in events:
            try:
                _check_shape(event, {"event": str}, "a line")
            except ConfigError as error:
                raise RunError(f"{path} is damaged: {error} {RESTORE}") from error
        return events

    def check(self) -> None:
        """Raise a RunError where a file is not the one that the record names."""
        for name in self.record.files:
            if name != "journal":
                self.read(name)
        self.journal()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer inside the block, and see what the last writer saved. May be nested.

        Lines of the journal that no save has counted are cut off: a training that resumes does that work again.

        Raises:
            RunError: another process holds the lock ("is in use by process …"), or the folder is damaged.
        """
        if self._lock_file is not None:
            yield
            return
        self._lock_file = self._locked_file()
        try:
            self.record = RunRecord.read(self.path)
            self._read_journal()
            with disk_errors_as_run_errors(self.path / JOURNAL):
                self._truncate_journal(self.record.files["journal"].bytes)
            yield
        finally:
            self._lock_file.close()
            self._lock_file = None

    def holder(self) -> str | None:
        """Return which process holds the lock, as `process N on HOST`; None where none does."""
        with suppress(OSError), open_regular(self.path / LOCK, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                name = file.read(300).decode(errors="replace")
                return name if re.fullmatch(r"process \d+ on [\w.-]+", name) else "another process"
        return None

    def log(self, event: str, progress: Progress, **values: Any) -> None:
        """Append one line to the journal; it counts from the next save on. Only under the lock.

        Raises:
            ArgumentError: a value is not JSON.
            RunError: the disk is full or fails; the line is then taken back.
        """
        path = self.path / JOURNAL
        place = {"epoch": progress.epoch, "window": progress.window, "time_unix": time.time()}
        line = _line({**place, "event": event, **values})
        with disk_errors_as_run_errors(path):
            before = path.lstat().st_size
            try:
                with open_regular(path, "ab") as file:
                    file.write(line)
            except OSError:
                self._truncate_journal(before)
                raise

    def save(self, *, state: bytes | None = None, weights: bytes | None = None, **fields: Any) -> None:
        """Replace state, weights and fields of the record, and count the journal's lines: all of it or nothing.

        Raises:
            RunError: another process holds the lock, or the disk is full or fails; the save before then stays.
        """
        with self.lock(), disk_errors_as_run_errors(self.path):
            number, files = self.record.save + 1, dict(self.record.files)
            try:
                with open_regular(self.path / JOURNAL, "rb") as file:
                    os.fsync(file.fileno())
                    files["journal"] = FileEntry.of(JOURNAL, file.read())
                for key, content in (("state", state), ("weights", weights)):
                    if content is not None:
                        files[key] = FileEntry.of(f"{key}-{number:06d}.safetensors", content)
                        write_bytes(self.path / files[key].name, content)
                record = replace(self.record, save=number, files=files, **fields)
                write_bytes(self.path / RECORD, record.to_bytes())
                self.record = record
            finally:
                self._delete_leftovers()

    def _delete_leftovers(self) -> None:
        """Delete files that the record on the disk does not name; what cannot be deleted is left to the next save."""
        with suppress(OSError, RunError):
            self.record = RunRecord.read(self.path)  # an error after the rename may have hidden that it succeeded
            used = {entry.name for entry in self.record.files.values()}
            for path in self.path.iterdir():
                if _LEFTOVER.fullmatch(path.name) and path.name not in used:
                    path.unlink(missing_ok=True)

    def _read_journal(self) -> bytes:
        try:
            return self.record.files["journal"].read(self.path, may_be_longer=True)
        except FileNotFoundError as error:
            raise RunError(f"{self.path / JOURNAL} is missing. {RESTORE}") from error

    def _truncate_journal(self, length: int) -> None:
        with open_regular(self.path / JOURNAL, "r+b") as file:
            file.truncate(length)
            os.fsync(file.fileno())

    def _locked_file(self) -> BinaryIO:
        try:
            file = open_regular(self.path / LOCK, "ab")
        except OSError as error:
            raise RunError(
                f"{self.path} cannot be locked for writing: {error.strerror}. Check that you may write there."
            ) from error
        for tries_left in reversed(range(LOCK_TRIES)):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if tries_left == 0:
                    file.close()
                    raise RunError(
                        f"{self.path} is in use by {self.holder() or 'another process'}. Wait until it has ended, or "
                        "stop it, and try again."
                    ) from error
                time.sleep(0.05)
        with suppress(OSError):  # the name of the holder is a courtesy; a full disk shall not prevent the lock
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), f"process {os.getpid()} on {socket.gethostname()}".encode())
        return file


def check_free(path: Path) -> None:
    """Raise a RunError unless `path` is absent or an empty folder, so that a run folder can be made there."""
    if path.is_dir():
        if os.path.ismount(path):  # Path.is_mount in Python 3.11 takes a link to another disk for a mount point
            raise RunError(f"{path} is a mount point, which cannot become a run folder: name a folder inside it.")
        if not any(path.iterdir()):
            return
        try:
            holder = RunFolder.open(path).holder()
        except RunError as error:
            raise RunError(
                f"{path} exists already and is not empty. It is no run that can be resumed. Give another folder."
            ) from error
        if holder is not None:
            raise RunError(f"{path} is being trained by {holder}. Wait until it has ended, or give another folder.")
        raise RunError(f"{path} exists already and is not empty. Resume the run in it, or give another folder.")
    if path.exists() or path.is_symlink():
        raise RunError(f"{path} exists already and is not a folder. Give another folder.")


def _line(event: dict[str, Any]) -> bytes:
    try:
        # line ends are escaped by JSON, and U+2028 by ensure_ascii: an event is always one line
        return (json.dumps(event, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"An event of the journal must be JSON, but {event!r} is not ({error}).") from error
