"""One run of the paper's theory experiment (Inan et al. 2017, section 6.2): a small training, and where it ends.

A stretch of the training text, chosen at random, with a vocabulary of its own words; an untied LSTM without any
regularisation; word vectors held at norm 1; the loss of equation 6.1; at the end the classifier alone, until it is at
its optimum (`theory_fit`). What the paper leaves open is chosen here, and in `theory_setting`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from tiedlm.errors import TrainingError
from tiedlm.models.lstm import LSTMLanguageModel
from tiedlm.reproduction.theory_fit import Fitted, fit_classifier
from tiedlm.reproduction.theory_model import bias_of, features_by_window, hold_at_norm_1, initial_model
from tiedlm.reproduction.theory_setting import TheoryConfig, TheoryOutcome
from tiedlm.reproduction.theory_state import Standing, go_on_from
from tiedlm.reproduction.theory_stretch import Stretch
from tiedlm.theory.collapse import spread
from tiedlm.theory.distance import centred, subspace_distance
from tiedlm.theory.objective import theory_loss


def run_theory(
    config: TheoryConfig,
    stretch: Stretch,
    run: int,
    *,
    device: str = "cpu",
    progress: Callable[[Standing], None] | None = None,
    state: Mapping[str, Tensor] | None = None,
) -> TheoryOutcome:
    """Train one run and return what it came to; on one machine the same arguments give the same outcome.

    Args:
        config: the point and the training.
        stretch: what to train on.
        run: its number, from which the initial weights are drawn.
        device: where to train.
        progress: is given the run as it stands after each epoch.
        state: what `Standing.tensors` returned, to go on from; None begins.

    Raises:
        TrainingError: the loss is no longer finite.
        ArgumentError: the state is that of another run.
    """
    model = initial_model(config, stretch.words, run).to(device)
    optimizers = _optimizers(model, config)
    done = 0 if state is None else go_on_from(state, model, optimizers)
    for epoch in range(done + 1, config.epochs + 1):
        _set_rates(optimizers, rate_share(epoch, config.epochs))
        if not _train_epoch(model, optimizers, stretch, config).isfinite():
            raise TrainingError(
                f"The loss was not finite in epoch {epoch}. Lower a learning rate or the clipping norm."
            )
        if progress is not None:
            progress(Standing(epoch=epoch, model=model, optimizers=optimizers))
    return _outcome(model, fit_classifier(model, stretch, config), config)


def _optimizers(model: LSTMLanguageModel, config: TheoryConfig) -> list[torch.optim.Optimizer]:
    """Return the optimisers, in whose groups `full_rate` is the rate that falls; the classifier's does not."""
    weights, biases = ([each for each in model.layers.parameters() if each.dim() == axes] for axes in (2, 1))
    vectors = {"params": [model.table], "full_rate": config.vector_rate}
    return [
        torch.optim.SGD([model.classifier, bias_of(model)], lr=config.classifier_rate),
        torch.optim.Muon([{"params": weights, "full_rate": config.layer_rate}], weight_decay=0.0),
        torch.optim.Adam([{"params": biases, "full_rate": config.bias_rate}, vectors]),
    ]


def rate_share(epoch: int, epochs: int) -> float:
    """Return the share of the full learning rates in an epoch, from 1: whole in the first half, then down in a line."""
    return min(1.0, 2 * (epochs - epoch + 1) / (epochs + 1))


def _set_rates(optimizers: list[torch.optim.Optimizer], share: float) -> None:
    for group in (group for optimizer in optimizers for group in optimizer.param_groups if "full_rate" in group):
        group["lr"] = share * group["full_rate"]


def _train_epoch(
    model: LSTMLanguageModel, optimizers: list[torch.optim.Optimizer], stretch: Stretch, config: TheoryConfig
) -> Tensor:
    """Return the sum of the loss over the words of the epoch."""
    total = torch.zeros((), device=model.classifier.device)
    for features, targets in features_by_window(model, stretch, config):
        loss = _loss(model, features, targets, config)
        _update(model, optimizers, loss / config.streams, config)
        total += loss.detach()
    return total


def _loss(model: LSTMLanguageModel, features: Tensor, targets: Tensor, config: TheoryConfig) -> Tensor:
    return theory_loss(
        features,
        model.classifier,
        targets,
        table=model.table,
        bias=bias_of(model),
        temperature=config.temperature,
        beta=config.beta,
        detach_target=config.detach_target,
    ).total


def _update(
    model: LSTMLanguageModel, optimizers: list[torch.optim.Optimizer], loss: Tensor, config: TheoryConfig
) -> None:
    model.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
    for optimizer in optimizers:
        optimizer.step()
    hold_at_norm_1(model.table)


def _outcome(model: LSTMLanguageModel, fitted: Fitted, config: TheoryConfig) -> TheoryOutcome:
    words = len(model.table)
    return TheoryOutcome(
        distance=subspace_distance(model.table, fitted.classifier),
        distance_centred=subspace_distance(centred(model.table), centred(fitted.classifier)),
        distance_as_trained=subspace_distance(model.table, model.classifier),
        words=words,
        vectors=spread(model.table),
        classifier=spread(fitted.classifier),
        feature_norm_squared=fitted.feature_norm_squared,
        cross_entropy_nats=fitted.cross_entropy,
        augmented=fitted.divergence * config.temperature**2 * words,
    )
