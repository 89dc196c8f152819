"""Where data, caches and runs live, and the environment variables that say otherwise.

| what | variable | without it |
|---|---|---|
| corpora as text | `TIEDLM_DATA_DIR` | `data` under the user's cache folder for tiedlm |
| encoded corpora | `TIEDLM_CACHE_DIR` | the user's cache folder for tiedlm |
| run folders | `TIEDLM_RUNS_DIR` | `runs` under the current folder |
"""

from __future__ import annotations

import os
from pathlib import Path

DATA_VARIABLE = "TIEDLM_DATA_DIR"
CACHE_VARIABLE = "TIEDLM_CACHE_DIR"
RUNS_VARIABLE = "TIEDLM_RUNS_DIR"


def cache_dir() -> Path:
    """Return the folder for encoded corpora and other things that can be made again."""
    from platformdirs import user_cache_path

    return _from_environment(CACHE_VARIABLE) or user_cache_path("tiedlm")


def data_dir() -> Path:
    """Return the folder where corpora are looked for first and downloaded to."""
    return _from_environment(DATA_VARIABLE) or cache_dir() / "data"


def runs_dir() -> Path:
    """Return the folder in which a training makes its run folder."""
    return _from_environment(RUNS_VARIABLE) or Path("runs")


def expanded(path: str) -> Path:
    """Return a path with `~` or `~somebody` at its start as a home folder; where nobody is called so, it stays."""
    return Path(os.path.expanduser(path))  # Path.expanduser raises a RuntimeError there


def _from_environment(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return expanded(value) if value else None
