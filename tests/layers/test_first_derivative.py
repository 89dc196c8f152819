from __future__ import annotations

import pytest
import torch

from tiedlm.errors import ArgumentError
from tiedlm.layers.first_derivative import refuse_second_derivative


def test_a_recorded_backward_pass_is_refused_and_told_what_to_use() -> None:
    with pytest.raises(ArgumentError, match=r"create_graph=True\), but a gives first derivatives only: use b\."):
        refuse_second_derivative("a", instead="b")


def test_one_that_nobody_records_goes_on() -> None:
    with torch.no_grad():
        refuse_second_derivative("a", instead="b")
