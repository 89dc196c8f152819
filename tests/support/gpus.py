"""What needs a GPU is skipped where there is none."""

from __future__ import annotations

import pytest
import torch

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
GPU = pytest.param("cuda", marks=NEEDS_GPU)
"""The device as one of a test's parameters."""
