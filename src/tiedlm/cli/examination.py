"""What `tiedlm doctor` looks at. Nothing here changes anything, and nothing missing is an error."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from tiedlm import locations
from tiedlm.data.sources import SOURCES, Source
from tiedlm.files import sha256

PACKAGES = ("torch", "numpy", "safetensors", "tyro", "rich", "pooch", "platformdirs", "filelock")
IMPORTED = ("torch", "numpy", "safetensors")
"""Packages with compiled parts, which may be installed and yet not load."""


class Place(NamedTuple):
    """A folder that the package uses."""

    name: str
    path: Path
    set_by: str

    def row(self) -> list[str]:
        """Return the cells of a table: name, whole path, what set it, state."""
        return [self.name, str(self.path.absolute()), self.set_by, self._state()]

    def is_usable(self) -> bool:
        """Return whether the folder can be written, or made where it is missing."""
        there = self._nearest()
        return there.is_dir() and os.access(there, os.W_OK | os.X_OK)

    def _state(self) -> str:
        if not self.is_usable():
            return "cannot be written"
        free = f"{shutil.disk_usage(self._nearest()).free / 1e9:.1f} GB free"
        return free if self.path.is_dir() else f"made when needed, {free}"

    def _nearest(self) -> Path:
        """Return the folder, or the nearest one above it that exists."""
        path = self.path.absolute()
        return next((folder for folder in (path, *path.parents) if folder.exists()), path)


def versions() -> dict[str, str]:
    """Return the version of the package, of Python and of each package it needs, or what is wrong with it."""
    found = {"tiedlm": _version("tiedlm"), "python": f"{platform.python_version()} ({sys.executable})"}
    return found | {name: _version(name) for name in PACKAGES}


def machine() -> dict[str, str | int]:
    """Return system, processor, cores, threads, how fast its matrix products are by type, and devices."""
    found: dict[str, str | int] = {"platform": platform.platform()}
    if hasattr(os, "sched_getaffinity"):
        found["cores"] = len(os.sched_getaffinity(0))
    try:
        import torch

        from tiedlm.native.device import matmul_gflops, processor
    except (ImportError, OSError):  # `versions` tells it
        return found
    found |= {"processor": processor(), "threads": torch.get_num_threads()}
    for dtype in (torch.float32, torch.bfloat16):
        found[f"{str(dtype).removeprefix('torch.')}_gflops"] = round(matmul_gflops(dtype))
    accelerators = [f"cuda:{index} ({torch.cuda.get_device_name(index)})" for index in range(torch.cuda.device_count())]
    return found | {"devices": ", ".join(["cpu", *accelerators])}


def places(data_dir: Path | None) -> list[Place]:
    """Return where corpora, caches and runs live."""
    return [
        Place("data", data_dir or locations.data_dir(), "--data-dir" if data_dir else _set_by(locations.DATA_VARIABLE)),
        Place("cache", locations.cache_dir(), _set_by(locations.CACHE_VARIABLE)),
        Place("runs", locations.runs_dir(), _set_by(locations.RUNS_VARIABLE)),
    ]


def corpora(data_dir: Path | None) -> dict[str, str]:
    """Return the state of every corpus that has a name of its own."""
    data = data_dir or locations.data_dir()
    found = {name: _state_of(source, data) for name, source in SOURCES.items()}
    for name in ("builtin", "synthetic"):
        made = sorted(path.name for path in locations.cache_dir().glob(f"{name}-v*") if path.is_dir())
        found[name] = f"made: {', '.join(made)}" if made else "made when needed"
    return found


def problems(versions: dict[str, str], places: list[Place]) -> list[str]:
    """Return what is in the way of working."""
    broken = [f"{name} {found}" for name, found in versions.items() if found.startswith(("is not", "cannot"))]
    return broken + [f"{place.path} cannot be written; {place.set_by}" for place in places if not place.is_usable()]


def _version(name: str) -> str:
    try:
        found = version(name)
        if name in IMPORTED:
            importlib.import_module(name)
    except PackageNotFoundError:
        return "is not installed"
    except (ImportError, OSError) as error:
        return f"cannot be loaded: {error}"
    return found


def _set_by(variable: str) -> str:
    return variable if os.environ.get(variable) else f"default; {variable} sets it"


def _state_of(source: Source, data: Path) -> str:
    states = set()
    for file in source.files.values():
        path = next((data / name for name in file.names if (data / name).is_file()), None)
        states.add("missing" if path is None else "found" if sha256(path) == file.sha256 else "other")
    if "other" in states:
        return "found, but a file is not as published"
    if states == {"found"}:
        return "found, as published"
    return "not found" if states == {"missing"} else "found in part"
