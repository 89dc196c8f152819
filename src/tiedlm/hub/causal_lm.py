"""The augmented loss in causal language models of Hugging Face transformers.

In training, the model's output head lets its input pass, so the forward pass ends with the features h [B, T, D], and
the loss is `linear_augmented_cross_entropy` of h, the head's weight W and bias b, and the input embedding L: no array
of tokens x vocabulary is made. In evaluation the model's own forward pass runs, with its own loss.

What a model does to its logits behind the head, and what loss it makes of them, is not looked up by its name but seen:
when the loss is put in, the head is made to return known logits on a few tokens (`_behind_the_head`).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tiedlm.errors import ArgumentError
from tiedlm.losses.augmented import AugmentedLoss, Implementation, augmented_cross_entropy

MIN_TRANSFORMERS = 5
PROBE = (2, 6)
"""Sequences and tokens by which the model is checked."""
PROBE_SCALE = 40.0
"""Standard deviation of the logits that the head returns in that check: larger than what models cap theirs at."""
LOSS_ATTRIBUTE, BEHIND_ATTRIBUTE = "augmented_loss", "_tiedlm_behind"

Model = TypeVar("Model", bound=nn.Module)


class _Behind(NamedTuple):
    """What a model makes of its head's output z: scale * z, or cap * tanh(z / cap)."""

    scale: float
    cap: float | None

    def logits(self, z: Tensor) -> Tensor:
        return self.scale * z if self.cap is None else self.cap * torch.tanh(z / self.cap)


def use_augmented_loss(
    model: Model,
    gamma: float | None = 0.5,
    temperature: float = 20.0,
    *,
    detach_target: bool = False,
    center_table: bool = False,
    vocabulary_mask: Tensor | None = None,
    implementation: Implementation = "auto",
    chunk_rows: int | None = None,
) -> Model:
    """Make the augmented loss (eq. 3.3 of Inan et al., 2017) what a causal language model returns in training.

    In training, `model(input_ids=..., labels=...).loss` is

        cross-entropy + gamma * temperature * KL(y~ || y^)

    of the tokens that `labels` shifted by one name, the mean over them, or with `num_items_in_batch` the sum divided by
    it; `logits` is then None, as they are never made. In evaluation, and without labels, the model answers as before,
    with its own cross-entropy. The word vectors are the rows of the input embedding, which a tied head shares, without
    a scale that the model gives them.

    The model is changed in place and can be trained, wrapped and saved like before. `model.augmented_loss` holds the
    options, which may be set between steps, as in `model.augmented_loss.gamma = 0.3`. Put the loss in before the
    model is compiled, sharded or wrapped.

    Args:
        model: of transformers, with a linear head; its parameters loaded.
        gamma: weight of the augmented term, in [0, 1e6]; 0 is plain cross-entropy, None takes the loss off again.
        temperature: tau in [1e-3, 1e6], of both softened distributions.
        detach_target, center_table, vocabulary_mask, implementation, chunk_rows: as for
            `linear_augmented_cross_entropy`. A model that caps its logits takes the first only, and holds tokens x
            vocabulary in training.

    Returns:
        The model.

    Raises:
        ArgumentError: a model without a linear output head, one whose logits or loss are made in a way that this loss
            does not know, one that has nothing to train or is tied by its config and not in fact; an option out of
            range.
    """
    if gamma is None:
        if hasattr(model, LOSS_ATTRIBUTE):
            delattr(model, LOSS_ATTRIBUTE)
        return model
    options: dict[str, Any] = {"center_table": center_table, "vocabulary_mask": vocabulary_mask}
    options |= {"implementation": implementation, "chunk_rows": chunk_rows}
    loss = AugmentedLoss(gamma=gamma, temperature=temperature, detach_target=detach_target, reduction="sum", **options)
    head = _checked_head(model)
    own_class: Any = type(head)
    if not isinstance(head, _Head):
        head.__class__ = type(type(head).__name__, (_Head, type(head)), {"__module__": type(head).__module__})
    try:
        behind = _behind_the_head(model)
        refused = [
            name for name, value in options.items() if isinstance(value, Tensor) or value not in (None, False, "auto")
        ]
        if behind.cap is not None and refused:
            raise ArgumentError(
                f"{refused[0]} has no effect for {type(model).__name__}, which caps its logits at {behind.cap:g}: "
                "leave it out, or set the cap in its config to None before the loss is put in."
            )
    except BaseException:
        head.__class__ = own_class
        raise
    if not hasattr(model, BEHIND_ATTRIBUTE):  # which stays when the loss is taken off, as the class does
        model.__class__ = _augmented_class(type(model))
    setattr(model, LOSS_ATTRIBUTE, loss.to(head.weight.device))
    setattr(model, BEHIND_ATTRIBUTE, behind)
    return model


def _checked_head(model: Any) -> nn.Linear:
    """Return the output head, once all that can be seen without a forward pass has been checked."""
    name = type(model).__name__
    try:
        from transformers import PreTrainedModel, __version__  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ArgumentError("This needs Hugging Face transformers: pip install 'tiedlm[hub]'.") from error
    if int(__version__.split(".")[0]) < MIN_TRANSFORMERS:
        raise ArgumentError(f"transformers is {__version__}, but must be {MIN_TRANSFORMERS} or newer: upgrade it.")
    if not isinstance(model, PreTrainedModel):
        raise ArgumentError(
            f"model is a {name}, but must be a model of transformers. Put the loss in before the model is wrapped or "
            "compiled; for another model use linear_augmented_cross_entropy."
        )
    head = model.get_output_embeddings()
    if not isinstance(head, nn.Linear) or type(head).forward not in (nn.Linear.forward, _Head.forward):
        raise ArgumentError(
            f"The output head of {name} is {'missing' if head is None else f'a {type(head).__name__}'}, but must be a "
            "torch.nn.Linear from features to the vocabulary: take a model for causal language modelling."
        )
    table = model.get_input_embeddings().weight
    if head.weight.is_meta:
        raise ArgumentError(f"The parameters of {name} are on the meta device: put the loss in once they are loaded.")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ArgumentError(
            f"No parameter of {name} requires a gradient, so there is nothing to train: leave it as it is."
        )
    if table.shape[0] != head.weight.shape[0] or table.device != head.weight.device:
        raise ArgumentError(
            f"The input embedding of {name} has {table.shape[0]} rows on {table.device}, but its head has "
            f"{head.weight.shape[0]} on {head.weight.device}: they must have the same words, on one device."
        )
    if model.config.get_text_config().tie_word_embeddings and table is not head.weight:
        raise ArgumentError(
            f"The config of {name} ties head and input embedding, but the head has a weight of its own: call "
            "model.tie_weights(), or set config.tie_word_embeddings to False."
        )
    return head


class _Head(nn.Linear):
    """A linear layer that can be made to return something else; what it got is then in `features`."""

    _instead: Callable[[Tensor], Tensor] | None = None
    _features: Tensor | None = None

    def forward(self, input: Tensor) -> Tensor:
        if self._instead is None:
            return super().forward(input)
        self._features = input
        return self._instead(input)


@contextmanager
def _returning(head: Any, instead: Callable[[Tensor], Tensor]) -> Iterator[None]:
    head._instead = instead
    try:
        yield
    finally:
        head._instead = head._features = None


@torch.no_grad()
def _behind_the_head(model: Any) -> _Behind:
    """Return what the model makes of its logits, seen from logits that it is given; refuse a loss that is another.

    A mixture of experts may add its router's loss.
    """
    head, name, was_training = model.get_output_embeddings(), type(model).__name__, model.training
    words, device = len(head.weight), head.weight.device
    draws = torch.Generator().manual_seed(0)
    ids = torch.randint(words, PROBE, generator=draws).to(device)
    known = (PROBE_SCALE * torch.randn(*PROBE, words, generator=draws)).to(device, head.weight.dtype)
    model.eval()
    try:
        with _returning(head, lambda _: known):
            output = model(input_ids=ids, labels=ids, use_cache=False)
    finally:
        model.train(was_training)
    known, logits = known.float(), output.logits.float()
    candidates = [_Behind(float((logits * known).sum() / known.square().sum()), None)]
    if (cap := getattr(model.config.get_text_config(), "final_logit_softcapping", None)) is not None:
        candidates.append(_Behind(1.0, cap))
    near = functools.partial(torch.allclose, rtol=4 * torch.finfo(head.weight.dtype).eps, atol=1e-6)
    behind = next((each for each in candidates if near(logits, each.logits(known))), None)
    if behind is None:
        raise ArgumentError(
            f"{name} makes its logits of the head's output by more than a scale or a soft cap, so the loss of its "
            "features would be another: use augmented_cross_entropy on its logits."
        )
    expected = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()) + _router_loss(model, output)
    if not torch.allclose(output.loss.float(), expected, rtol=1e-3):
        raise ArgumentError(
            f"{name} has a loss of its own, {float(output.loss):g} where the cross-entropy of its logits is "
            f"{float(expected):g}: this loss would replace it. Use linear_augmented_cross_entropy beside it."
        )
    return behind


def _router_loss(model: Any, output: Any) -> Tensor | float:
    loss = getattr(output, "aux_loss", None)
    return 0.0 if loss is None else model.router_aux_loss_coef * loss


@functools.cache
def _augmented_class(base: type[Any]) -> type[Any]:
    """Return a class like `base`, of the same name, that returns the augmented loss in training."""
    names = [name for name in inspect.signature(base.forward).parameters][1:]

    @functools.wraps(base.forward)  # its signature tells trainers which columns and arguments a model takes
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs |= dict(zip(names, args, strict=False))
        if not self.training or not hasattr(self, LOSS_ATTRIBUTE) or kwargs.get("labels") is None:
            return base.forward(self, **kwargs)
        labels, shifted = kwargs.pop("labels"), kwargs.pop("shift_labels", None)
        items, ignored = kwargs.pop("num_items_in_batch", None), kwargs.pop("ignore_index", -100)
        as_tuple = kwargs.pop("return_dict", None) is False
        head = self.get_output_embeddings()
        with _returning(head, lambda features: features):
            output = base.forward(self, **kwargs)
            features = head._features
        loss = _training_loss(self, head, features, labels, shifted, items, ignored)
        fields = {name: value for name, value in output.items() if name != "logits"}
        output = type(output)(loss=loss + _router_loss(self, output), **fields)
        return output.to_tuple() if as_tuple else output

    return type(base.__name__, (base,), {"forward": forward, "__module__": base.__module__})


def _training_loss(
    model: Any,
    head: nn.Linear,
    features: Tensor,
    labels: Tensor,
    shifted: Tensor | None,
    items: Tensor | int | None,
    ignored: int,
) -> Tensor:
    targets = F.pad(labels, (0, 1), value=ignored)[..., 1:] if shifted is None else shifted
    if targets.shape != features.shape[:-1]:
        raise ArgumentError(
            f"labels have the shape {list(targets.shape)}, but the model has features for {list(features.shape[:-1])}: "
            "they must agree."
        )
    targets = targets.to(features.device, torch.long)
    targets = targets.masked_fill(targets == ignored, -100)
    table = model.get_input_embeddings().weight
    if hasattr(head.weight, "placements") or hasattr(table, "placements"):
        raise ArgumentError(
            "The head or the input embedding is sharded while the loss needs its rows: shard layers and then the whole "
            "model (fully_shard), which gathers them for the forward pass, and neither of the two alone."
        )
    loss, behind = getattr(model, LOSS_ATTRIBUTE), getattr(model, BEHIND_ATTRIBUTE)
    if behind.cap is None:
        scale = behind.scale
        bias = head.bias if head.bias is None or scale == 1 else head.bias * scale
        features = features if scale == 1 else features * scale
        total = loss(features, head.weight, targets, None if table is head.weight else table, bias)
    else:
        total = _capped_loss(loss, behind, features, head, table, targets)
    return total / ((targets != -100).sum().clamp(min=1) if items is None else items)


def _capped_loss(
    loss: Any, behind: _Behind, features: Tensor, head: nn.Linear, table: Tensor, targets: Tensor
) -> Tensor:
    """Return the loss of logits cap * tanh(z / cap), which only the definition gives."""
    logits = behind.logits(F.linear(features, head.weight, head.bias).float())
    words = table.float()
    vectors = F.embedding(targets.masked_fill(targets == -100, 0), words)
    return augmented_cross_entropy(
        logits.flatten(0, -2),
        (vectors @ words.T).flatten(0, -2),
        targets.flatten(),
        temperature=loss.temperature,
        gamma=loss.gamma,
        detach_target=loss.detach_target,
        reduction="sum",
    )
