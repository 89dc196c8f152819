"""The replayed passes beside those that they replay: losses, state and gradients, window after window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from support.compare import assert_close
from support.gpu import GPU, NoReading, rerun
from tiedlm.native.cuda_graph import Captured, CudaGraph, Function
from tiedlm.nn.config import GRUConfig, LSTMConfig, RHNConfig
from tiedlm.nn.model import LanguageModel
from tiedlm.recipes import recipe
from tiedlm.runs.config import RunConfig
from tiedlm.seeding import generator
from tiedlm.training.replayed import ReplayedGradients, picked_gradients
from tiedlm.training.step import Gradients, WindowLoss, train_window, window_gradients

WORDS, STREAMS, STEPS = 50, 4, 6
MODELS = {
    "tied": LSTMConfig(units=8, tied=True),
    "untied": LSTMConfig(units=8, tied=False),
    "without masks": LSTMConfig(units=8, tied=True, keep_input=1.0, keep_hidden=1.0),
    "one mask": LSTMConfig(units=8, tied=True, keep_input=1.0, keep_hidden=0.5),
    "gru": GRUConfig(units=8, tied=True, keep_hidden=0.5),
    "rhn": RHNConfig(units=8, depth=2, tied=True),
}
LENGTHS = (3, STEPS, STEPS, STEPS, 2)
"""An epoch: a shorter first window, whole ones, a rest."""


def config_of(model: str, loss: str, precision: str) -> RunConfig:
    config = recipe("ptb-small-real" if loss == "al" else "ptb-small-re")
    training = replace(config.training, steps=STEPS, streams=STREAMS)
    runtime = replace(config.runtime, precision=precision)
    return replace(config, model=MODELS[model], training=training, runtime=runtime)


def into_the_same_gradients(model: LanguageModel, function: Function, places: Sequence[Tensor]) -> Captured:
    """A graph writes gradients where they were when it was captured; this copies them there."""
    run, results = rerun(function, places)
    gradients = [parameter.grad for parameter in model.parameters()]

    def copied() -> None:
        run()
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            assert gradient is not None
            assert parameter.grad is not None
            gradient.copy_(parameter.grad)
            parameter.grad = gradient

    return copied, results


def an_epoch(config: RunConfig, device: str, gradients: Gradients) -> list[Tensor]:
    """Loss, cross-entropy and state of every window, the last one's gradients, and the parameters in the end."""
    model = LanguageModel(config.model, WORDS)
    model.reset_parameters(generator(3, "parameters"))
    model = model.to(device)
    state, found, draws = model.initial_state(STREAMS), [], torch.Generator().manual_seed(1)
    for number, steps in enumerate(LENGTHS):
        words = torch.randint(WORDS, (steps + 1, STREAMS), generator=draws).to(device)
        masks = model.draw_masks(STREAMS, generator(3, "masks", number))
        result = train_window(model, 0.1, words[:-1], words[1:], state, masks, config, gradients=gradients)
        state = result.carried
        found += [torch.tensor([result.loss_sum, result.cross_entropy_sum]), *state]
    return [*found, *(parameter.detach() for parameter in model.parameters())]


@pytest.mark.parametrize("loss", ["al", "ce"])
@pytest.mark.parametrize("model", MODELS)
def test_an_epoch_of_replays_is_an_epoch_of_passes(monkeypatch: pytest.MonkeyPatch, model: str, loss: str) -> None:
    config, replayed = config_of(model, loss, "float32"), ReplayedGradients()

    def passes(own: LanguageModel, *arguments: object) -> WindowLoss:
        capture = partial(into_the_same_gradients, own)
        monkeypatch.setattr("tiedlm.training.replayed.CudaGraph", partial(CudaGraph, capture=capture))
        return replayed(own, *arguments)  # pyright: ignore[reportArgumentType]

    truth = an_epoch(config, "cpu", window_gradients)
    for one, other in zip(an_epoch(config, "cpu", passes), truth, strict=True):
        assert_close(one, other, 1e-5)


@pytest.mark.parametrize("device", [GPU])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("loss", ["al", "ce"])
@pytest.mark.parametrize("model", MODELS)
def test_a_graph_is_the_passes(model: str, loss: str, precision: str, device: str) -> None:
    config = config_of(model, loss, precision)
    truth = an_epoch(config, device, window_gradients)
    for one, other in zip(an_epoch(config, device, ReplayedGradients()), truth, strict=True):
        assert_close(one.cpu(), other.cpu(), 1e-4 if precision == "float32" else 1e-2)


@pytest.mark.parametrize("model", [name for name in MODELS if name != "untied"])  # its gradient is sparse on a CPU
def test_nothing_is_read_on_the_way_through_a_model(model: str) -> None:
    own = LanguageModel(MODELS[model], WORDS)
    masks, words = own.draw_masks(STREAMS, generator(3, "masks")), torch.randint(WORDS, (STEPS, STREAMS))
    with NoReading(), own.tables.fused_embedding_grad():
        features, _ = own(words, own.initial_state(STREAMS), masks)
        (features.sum() + own.classifier.square().sum()).backward()


def test_a_cpu_has_no_graphs() -> None:
    assert picked_gradients(torch.device("cpu")) is window_gradients
    assert isinstance(picked_gradients(torch.device("cuda:1")), ReplayedGradients)
