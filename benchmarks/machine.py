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


def append_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Append rows, with a line of headings where the file is new; other headings than those there are an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    headings = list(rows[0])
    new = not path.exists()
    if not new:
        with path.open(newline="") as file:
            found = next(csv.reader(file), [])
        if found != headings:
            sys.exit(f"{path} has the columns {found}, but {headings} were measured. Move it away to begin another.")
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, headings, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)
