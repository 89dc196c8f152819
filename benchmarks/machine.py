"""What a measurement depends on besides the code, how much memory a process took, and the CSV that figures go to."""

from __future__ import annotations

import csv
import resource
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tiedlm.training.environment import describe

KEPT = ("commit", "device", "processor", "threads", "platform", "python", "torch", "numpy", "tiedlm")
FACTS = ("date", *KEPT)
"""The columns that `facts` gives."""


def facts(device: str = "cpu") -> dict[str, Any]:
    """Return date, commit, device, processor, threads and versions."""
    environment = describe(device)
    return {"date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"), **{name: environment[name] for name in KEPT}}


def peak_memory_mib() -> float:
    """Return the most memory that this process has had resident at once, in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # on Linux ru_maxrss also counts what the parent had resident when it started this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    units = 2**20 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / units


def begin_csv(path: Path, columns: Sequence[str]) -> None:
    """Begin a CSV with a line of headings; end where it cannot be written, or is there already with other columns."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+", newline="") as file:
            if file.tell() == 0:
                csv.writer(file, lineterminator="\n").writerow(columns)
            file.seek(0)
            found = next(csv.reader(file))
    except OSError as error:
        sys.exit(f"{path} cannot be written: {error.strerror}. Name another CSV with --output.")
    if found != list(columns):
        sys.exit(f"{path} has the columns {found}, but {list(columns)} are due. Move it away to begin another.")


def append_csv(path: Path, row: dict[str, Any]) -> None:
    """Append a row to a CSV, which is begun where it is new."""
    begin_csv(path, list(row))
    with path.open("a", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(row.values())
