"""Seeds: one number per run, and from it an independent generator for every purpose and step.

A generator is made from (seed, purpose, counter) and not carried along, so a resumed run draws exactly what the
uninterrupted run would have drawn, and changing one purpose's draws never shifts another's.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(seed: int, purpose: str, counter: int = 0) -> int:
    """Return a 63-bit seed for `purpose` at `counter`, a fixed function of its arguments (sha256)."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{counter}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, purpose: str, counter: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a torch generator on `device`, seeded by `derive`."""
    import torch  # here, so that the command line can read a seed without loading torch

    return torch.Generator(device=device).manual_seed(derive(seed, purpose, counter))
