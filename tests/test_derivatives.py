from __future__ import annotations

import pytest
import torch

from tiedlm.derivatives import refuse_double_backward
from tiedlm.errors import ArgumentError


def test_a_double_backward_is_refused_in_the_words_of_who_refuses() -> None:
    with torch.no_grad():
        refuse_double_backward("it gives", "'functional'")
    with torch.enable_grad(), pytest.raises(ArgumentError, match=r"True\), but it gives first .* only: use 'other'\.$"):
        refuse_double_backward("it gives", "'other'")
