"""What the recurrent highway layer has of its own: gates that carry the raw state, or replace it."""

from __future__ import annotations

import pytest
import torch

from support import cells as forms
from support.cells import BATCHED, LOOPS, RHN_COMPILED, Form, make
from support.compare import assert_close
from tiedlm.errors import ArgumentError

every_form = forms.forms_of(LOOPS["rhn"], BATCHED, RHN_COMPILED)


@every_form
def test_a_closed_gate_carries_the_raw_state_and_an_open_one_replaces_it(form: Form) -> None:
    case = make(form, 7, depth=4)
    for gate in (-800.0, 800.0):
        bias = case.weights.bias.detach().clone()
        bias[:, 6:] = gate
        outputs, (state,) = case.with_weights(bias=bias).run(form)
        assert torch.equal(outputs[-1], state)
        if gate < 0:
            assert_close(state, case.state[0], 1e-15)
        else:
            assert (state.abs() < 1).all()


@every_form
def test_the_output_has_no_mask(form: Form) -> None:
    case = make(form, 6)
    assert case.mask is not None
    assert (case.mask == 0).any()
    assert (case.run(form)[0] != 0).all()


@every_form
def test_a_layer_without_depth_is_refused(form: Form) -> None:
    case = make(form)
    case = case.with_weights(hidden=case.weights.hidden[:0], bias=case.weights.bias[:0])
    with pytest.raises(ArgumentError, match=r"weights hidden has the shape \[0, 12, 6\], but must be \[1, 12, 6\]"):
        case.run(form)
