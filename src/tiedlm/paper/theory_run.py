"""One run of the paper's theory experiment (Inan et al. 2017, section 6.2): a small training, and where it ends.

A stretch of the training text, chosen at random, with a vocabulary of its own words; an untied LSTM without any
regularisation; word vectors held at norm 1; the loss of equation 6.1, in two phases (`theory_schedule`); at the end the
classifier alone, until it is at its optimum (`theory_fit`). What the paper leaves open is chosen here and in
`theory_setting`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from tiedlm.errors import TrainingError
from tiedlm.nn.model import LanguageModel
from tiedlm.paper.theory_fit import Fitted, fit_classifier
from tiedlm.paper.theory_model import bias_of, features_by_window, hold_at_norm_1, initial_model
from tiedlm.paper.theory_schedule import TheoryPhase
from tiedlm.paper.theory_setting import TheoryConfig, TheoryOutcome
from tiedlm.paper.theory_state import Standing, go_on_from
from tiedlm.paper.theory_stretch import Stretch
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
    by_part = _optimizers(model)
    optimizers = list(by_part.values())
    done = 0 if state is None else go_on_from(state, model, optimizers)
    for epoch in range(done + 1, config.epochs + 1):
        phase, share = config.phase(epoch)
        _set_rates(by_part, phase, share)
        if not _train_epoch(model, optimizers, stretch, config, phase.clip_norm).isfinite():
            raise TrainingError(
                f"The loss was not finite in epoch {epoch}. Lower a learning rate or the clipping norm."
            )
        if progress is not None:
            progress(Standing(epoch=epoch, model=model, optimizers=optimizers))
    return _outcome(model, fit_classifier(model, stretch, config), config)


def _optimizers(model: LanguageModel) -> dict[str, torch.optim.Optimizer]:
    """Return the optimisers of each part, rates to come; the vectors have two, of which one rests."""
    weights, biases = ([each for each in model.layers.parameters() if each.dim() == axes] for axes in (2, 1))
    return {
        "classifier": torch.optim.SGD([model.classifier, bias_of(model)]),
        "weights": torch.optim.Muon(weights, weight_decay=0.0),
        "biases": torch.optim.Adam(biases),
        "vectors by adam": torch.optim.Adam([model.table]),
        "vectors by sgd": torch.optim.SGD([model.table]),
    }


def _set_rates(optimizers: Mapping[str, torch.optim.Optimizer], phase: TheoryPhase, share: float) -> None:
    rates = {
        "classifier": phase.classifier_rate,
        "weights": share * phase.layer_rate,
        "biases": share * phase.bias_rate,
        f"vectors by {phase.vectors_by}": share * phase.vector_rate,
    }
    for name, optimizer in optimizers.items():
        for group in optimizer.param_groups:
            group["lr"] = rates.get(name, 0.0)


def _train_epoch(
    model: LanguageModel,
    optimizers: Iterable[torch.optim.Optimizer],
    stretch: Stretch,
    config: TheoryConfig,
    clip_norm: float,
) -> Tensor:
    """Return the sum of the loss over the words of the epoch."""
    total = torch.zeros((), device=model.classifier.device)
    for features, targets in features_by_window(model, stretch, config):
        loss = _loss(model, features, targets, config)
        _update(model, optimizers, loss / config.streams, clip_norm)
        total += loss.detach()
    return total


def _loss(model: LanguageModel, features: Tensor, targets: Tensor, config: TheoryConfig) -> Tensor:
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


def _update(model: LanguageModel, optimizers: Iterable[torch.optim.Optimizer], loss: Tensor, clip_norm: float) -> None:
    model.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    for optimizer in optimizers:
        optimizer.step()
    hold_at_norm_1(model.table)


def _outcome(model: LanguageModel, fitted: Fitted, config: TheoryConfig) -> TheoryOutcome:
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
