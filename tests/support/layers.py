"""Layers of every cell in every form: drawn from a seed, all that comes out of them, and what it is held to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from oracles import gru as gru_oracle
from oracles import lstm as lstm_oracle
from oracles import rhn as rhn_oracle
from support.compare import assert_close, error
from support.gpu import needs_a_compiler
from tiedlm.nn import gru, lstm, rhn
from tiedlm.nn.config import LSTMConfig
from tiedlm.nn.dropout import Masks
from tiedlm.nn.model import LanguageModel

State = tuple[Tensor, ...]


class Form(NamedTuple):
    """One form of a cell's layer, its state as a tuple whatever the cell."""

    cell: str
    name: str
    function: Callable[..., Any]

    def __call__(self, inputs: Tensor, state: State, weights: Any, mask: Tensor | None) -> tuple[Tensor, State]:
        if self.cell == "lstm":
            return self.function(inputs, state, weights, mask)
        masks = () if self.name == "gru_stock" else (mask,)
        assert masks or mask is None
        outputs, last = self.function(inputs, state[0], weights, *masks)
        return outputs, (last,)


LOOPS = {
    "lstm": Form("lstm", "lstm_loop", lstm.lstm_loop),
    "gru": Form("gru", "gru_loop", gru.gru_loop),
    "rhn": Form("rhn", "rhn_loop", rhn.rhn_loop),
}
STOCK = Form("lstm", "lstm_stock", lstm.lstm_stock)
GRU_STOCK = Form("gru", "gru_stock", gru.gru_stock)
COMPILED = Form("lstm", "lstm_compiled", lstm.lstm_compiled)
BATCHED = Form("rhn", "rhn_batched", rhn.rhn_batched)
RHN_COMPILED = Form("rhn", "rhn_compiled", rhn.rhn_compiled)


def forms_of(*forms: Form) -> Any:
    return pytest.mark.parametrize(
        "form",
        [
            pytest.param(form, id=form.name, marks=[needs_a_compiler] if "compiled" in form.name else [])
            for form in forms
        ],
    )


fast_forms = forms_of(STOCK, COMPILED, GRU_STOCK, BATCHED, RHN_COMPILED)
own_backward_forms = forms_of(COMPILED, BATCHED, RHN_COMPILED)
native_forms = forms_of(COMPILED, RHN_COMPILED)
every_form = forms_of(*LOOPS.values(), STOCK, COMPILED, GRU_STOCK, BATCHED, RHN_COMPILED)


class Case(NamedTuple):
    """Arguments of a layer; all but the mask ask for gradients."""

    inputs: Tensor
    state: State
    weights: Any
    mask: Tensor | None

    @property
    def leaves(self) -> dict[str, Tensor]:
        state = dict(zip(("h or s", "c"), self.state, strict=False))
        return {
            "inputs": self.inputs,
            **state,
            **{f"W {name}": value for name, value in self.weights._asdict().items()},
        }

    def with_leaves(self, change: Callable[[str, Tensor], Tensor]) -> Case:
        inputs, *rest = (change(name, leaf) for name, leaf in self.leaves.items())
        parts = len(self.state)
        return Case(inputs, tuple(rest[:parts]), type(self.weights)(*rest[parts:]), self.mask)

    def to(self, dtype: torch.dtype) -> Case:
        case = self.with_leaves(lambda _, leaf: leaf.detach().to(dtype).requires_grad_())
        return case._replace(mask=None if self.mask is None else self.mask.to(dtype))

    def with_weights(self, **changes: Tensor) -> Case:
        return self._replace(weights=self.weights._replace(**changes))

    def run(self, form: Form | Callable[..., Any]) -> tuple[Tensor, State]:
        return form(*self)

    def everything(self, form: Form | Callable[..., Any]) -> dict[str, Tensor]:
        """Outputs, raw state, and the gradient of one weighted sum of all of them by every leaf."""
        outputs, state = self.run(form)
        results = {"outputs": outputs, **dict(zip(("h or s after", "c after"), state, strict=False))}
        draws = torch.Generator().manual_seed(7)
        total = torch.zeros((), dtype=self.inputs.dtype)
        for result in results.values():
            total = total + (result * draw(draws, *result.shape).to(result.dtype)).sum()
        grads = torch.autograd.grad(total, list(self.leaves.values()))
        return results | {f"gradient of {name}": grad for name, grad in zip(self.leaves, grads, strict=True)}


def draw(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def mask_of(seed: int, streams: int, units: int, keep: float) -> Tensor:
    """0 or 1/keep, without the package's own draw."""
    draws = torch.rand(streams, units, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (draws < keep).double() / keep


def make(
    form: Form,
    seed: int = 0,
    *,
    steps: int = 4,
    streams: int = 3,
    inputs: int = 5,
    units: int = 6,
    depth: int = 3,
    keep: float | None = 0.6,
    size: float = 0.7,
) -> Case:
    """A layer with normal entries of standard deviation `size`, in float64; no mask where `keep` is None."""
    H, L = units, depth
    kinds: dict[str, tuple[Any, list[tuple[int, ...]]]] = {
        "lstm": (lstm.LSTMWeights, [(4 * H, inputs), (4 * H, H), (4 * H,)]),
        "gru": (gru.GRUWeights, [(3 * H, inputs), (3 * H, H), (3 * H,), (3 * H,)]),
        "rhn": (rhn.RHNWeights, [(2 * H, inputs), (L, 2 * H, H), (L, 2 * H)]),
    }
    kind, shapes = kinds[form.cell]
    states = [(streams, H)] * (2 if form.cell == "lstm" else 1)
    generator = torch.Generator().manual_seed(seed)
    drawn = [
        (size * draw(generator, *shape)).requires_grad_() for shape in [(steps, streams, inputs), *states, *shapes]
    ]
    mask = None if keep is None or form.name == "gru_stock" else mask_of(seed, streams, H, keep)
    return Case(drawn[0], tuple(drawn[1 : 1 + len(states)]), kind(*drawn[1 + len(states) :]), mask)


def oracle(form: Form, case: Case) -> tuple[np.ndarray, list[np.ndarray]]:
    """Outputs and raw state of one layer, by the oracle of its cell."""
    mask = torch.ones_like(case.state[0]) if case.mask is None else case.mask
    weights = [weight.detach().numpy() for weight in case.weights]
    inputs, *state = (tensor.detach().numpy() for tensor in (case.inputs, *case.state))
    if form.cell == "lstm":
        layer = lstm_oracle.Layer(*weights, mask=mask.detach().numpy())
        outputs, (h, c) = lstm_oracle.network([layer], inputs, (state[0][None], state[1][None]))
        return outputs, [h[0], c[0]]
    if form.cell == "gru":
        layer = gru_oracle.Layer(*weights, mask=mask.detach().numpy())
        outputs, last = gru_oracle.network([layer], inputs, state[0][None])
    else:
        layer = rhn_oracle.Layer(*weights, input_mask=np.ones(inputs.shape[1:]), state_mask=mask.detach().numpy())
        outputs, last = rhn_oracle.network([layer], inputs, state[0][None])
    return outputs, [last[0]]


def check(actual: dict[str, Tensor], truth: dict[str, Tensor], relative: float) -> None:
    """Everything is the truth, each relative to its own scale."""
    for name, value in actual.items():
        assert_close(value, truth[name], relative, name)


def check_is_the_loop(form: Form, case: Case, run: Callable[..., Any] | None = None) -> None:
    """1e-12, in float32 1e-5, or 20 times the loop's own rounding error (in float64 that of float32 / 2^29)."""
    run, loop = run or form, LOOPS[form.cell]
    truth, single = case.to(torch.float64).everything(loop), case.to(torch.float32).everything(loop)
    relative, share = (1e-12, 2.0**-29) if case.inputs.dtype == torch.float64 else (1e-5, 1.0)
    for name, value in case.everything(run).items():
        assert_close(value, truth[name], max(relative, 20 * share * error(single[name], truth[name])), name)


# ---- language models whose probabilities can be written down


class BigramModel(LanguageModel):
    """p(next | word) = a given table [V, V]; the state counts the words that were read."""

    def __init__(self, probabilities: Tensor) -> None:
        size = len(probabilities)
        super().__init__(LSTMConfig(units=size, layers=1, tied=True), size)
        self.tables.weight.data = torch.eye(size)  # features are the logits
        self.rows = probabilities.log().float()
        self.calls: list[int] = []

    def initial_state(self, streams: int) -> State:
        return (torch.zeros(1, streams, 1),)

    def forward(self, tokens: Tensor, state: State, masks: Masks | None = None) -> tuple[Tensor, State]:
        self.calls.append(int(state[0].sum()))
        return self.rows[tokens], (state[0] + len(tokens),)
