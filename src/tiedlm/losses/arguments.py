"""Checks of the losses' arguments, made before any work; every implementation starts with the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Literal

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError, suggestion

Reduction = Literal["mean", "sum", "none"]
REDUCTIONS = ("mean", "sum", "none")
TEMPERATURES = (1e-3, 1e6)
"""Range in which logits of 16 bits over tau are finite in float32, and a divergence, about 1 / tau^2, is not lost."""
MAX_GAMMA = 1e6


def check_options(temperature: float, gamma: float, reduction: str) -> None:
    """Refuse a temperature, weight or reduction of another kind or outside its range."""
    _check_number("temperature", temperature)
    _check_number("gamma", gamma)
    if not TEMPERATURES[0] <= temperature <= TEMPERATURES[1]:
        raise ArgumentError(f"temperature is {temperature}, but must lie in [1e-3, 1e6] (the paper uses 20).")
    if not 0 <= gamma <= MAX_GAMMA:
        raise ArgumentError(f"gamma is {gamma}, but must lie in [0, 1e6]; 0 is plain cross-entropy.")
    check_one_of("reduction", reduction, REDUCTIONS)


def _check_number(name: str, value: float) -> None:
    """Refuse what is not a number; a tensor would look as if it could be learned."""
    if not isinstance(value, Real):
        raise ArgumentError(f"{name} is {value!r}, but must be a number, and counts as a constant: use float({name}).")


def check_one_of(name: str, given: str, allowed: Sequence[str]) -> None:
    """Refuse a word that is not one of those allowed, and name the nearest."""
    if given not in allowed:
        raise ArgumentError(
            f"{name} is {given!r}, but must be one of {', '.join(allowed)}.{suggestion(str(given), allowed)}"
        )


def check_chunk_rows(chunk_rows: int | None) -> None:
    """Refuse a chunk without rows, or with parts of them."""
    if chunk_rows is not None and not (isinstance(chunk_rows, Integral) and chunk_rows >= 1):
        raise ArgumentError(
            f"chunk_rows is {chunk_rows!r}, but must be a whole number, 1 or more, or None for a measured choice."
        )


def check_targets(targets: Tensor, shape: torch.Size, device: torch.device) -> None:
    """Refuse targets of another shape or type than the predictions ask for, or on another device."""
    if targets.shape != shape:
        raise ArgumentError(f"targets have the shape {list(targets.shape)}, but the predictions ask for {list(shape)}.")
    if targets.dtype != torch.int64:
        raise ArgumentError(f"targets are {targets.dtype}, but must be torch.int64: use targets.long().")
    if targets.device != device:
        raise ArgumentError(f"targets are on {targets.device}, but the predictions are on {device}: move one of them.")


def check_target_values(targets: Tensor, counts: Tensor, words: int, ignore_index: int) -> None:
    """Refuse a target that counts and lies outside the vocabulary."""
    outside = counts & ((targets < 0) | (targets >= words))
    if bool(outside.any()):
        raise ArgumentError(
            f"targets hold {int(targets[outside][0])}, but must lie in 0 ... {words - 1}, or be {ignore_index} "
            "(ignore_index) where a prediction does not count."
        )


def check_vocabulary_mask(mask: Tensor | None, classifier: Tensor) -> None:
    """Refuse a mask that is not one truth value a word."""
    if mask is None:
        return
    if mask.shape != classifier.shape[:1] or mask.dtype != torch.bool or mask.device != classifier.device:
        raise ArgumentError(
            f"vocabulary_mask is {mask.dtype} {list(mask.shape)} on {mask.device}, but must be torch.bool "
            f"[{classifier.shape[0]}] on {classifier.device}: True for each word that a soft target may name."
        )


def check_values(
    targets: Tensor, words: int, ignore_index: int, vocabulary_mask: Tensor | None, token_weights: Tensor | None
) -> None:
    """Refuse entries outside their range: targets, targets that the mask forbids, weights."""
    counts = targets != ignore_index
    check_target_values(targets, counts, words, ignore_index)
    check_words_allowed(targets[counts], vocabulary_mask)
    check_weight_values(token_weights)


def check_words_allowed(words: Tensor, mask: Tensor | None) -> None:
    """Refuse a mask that forbids a target that counts."""
    if mask is None:
        return
    forbidden = words[~mask[words]]
    if len(forbidden):
        raise ArgumentError(
            f"vocabulary_mask forbids the word {int(forbidden[0])}, which is a target: allow it, or put ignore_index "
            "in its place."
        )


def check_token_weights(weights: Tensor | None, targets: Tensor) -> None:
    """Refuse weights that are not one constant a target."""
    if weights is None:
        return
    if weights.shape != targets.shape or not weights.is_floating_point() or weights.device != targets.device:
        raise ArgumentError(
            f"token_weights are {weights.dtype} {list(weights.shape)} on {weights.device}, but must be floating "
            f"{list(targets.shape)} on {targets.device}: one a target."
        )
    if weights.requires_grad:
        raise ArgumentError("token_weights ask for a gradient, but count as constants: use token_weights.detach().")


def check_weight_values(weights: Tensor | None) -> None:
    """Refuse weights below 0 or not finite."""
    if weights is not None and not bool(((weights >= 0) & weights.isfinite()).all()):
        wrong = weights[~((weights >= 0) & weights.isfinite())]
        raise ArgumentError(f"token_weights hold {float(wrong[0])}, but must be finite and 0 or more.")


def check_bias(bias: Tensor | None, words: int) -> None:
    """Refuse a bias that does not hold one number a word."""
    if bias is not None and bias.shape != (words,):
        raise ArgumentError(f"bias has the shape {list(bias.shape)}, but must be [{words}]: one number a word.")


def check_table(name: str, table: Tensor) -> None:
    """Refuse a word table that is not a floating matrix with at least one word."""
    if table.dim() != 2 or table.shape[0] < 1 or not table.is_floating_point():
        raise ArgumentError(
            f"{name} is {table.dtype} {list(table.shape)}, but must be a floating matrix [words, width]."
        )


def check_logits(logits: Tensor) -> None:
    """Refuse logits that are not a floating matrix with at least one word; there may be no predictions."""
    if logits.dim() != 2 or logits.shape[1] < 1 or not logits.is_floating_point():
        raise ArgumentError(
            f"logits are {logits.dtype} {list(logits.shape)}, but must be floating [predictions, words], with one word "
            "or more: use flatten(0, -2) where they have more axes."
        )


def check_local(**tensors: Tensor | None) -> None:
    """Refuse a tensor that is spread over processes (`torch.distributed.tensor.DTensor`)."""
    for name, tensor in tensors.items():
        if hasattr(tensor, "device_mesh"):
            raise ArgumentError(
                f"{name} is a {type(tensor).__name__}, spread over processes, but must be a tensor of this process: "
                f"use {name}.full_tensor(grad_placements=...), which says how its gradient goes back."
            )


def check_linear(features: Tensor, classifier: Tensor, table: Tensor | None, bias: Tensor | None) -> None:
    """Refuse features, classifier and table whose shapes, types or devices do not go together."""
    check_table("classifier", classifier)
    if features.dim() < 1 or features.shape[-1] != classifier.shape[1]:
        raise ArgumentError(
            f"features have the shape {list(features.shape)} and the classifier {list(classifier.shape)}: their last "
            "axes must be equal. Put a linear map before the classifier where the widths differ."
        )
    if table is not None:
        check_table("table", table)
        if table.shape[0] != classifier.shape[0]:
            raise ArgumentError(
                f"table holds {table.shape[0]} words and classifier {classifier.shape[0]}: both must hold "
                "the same words."
            )
    check_bias(bias, classifier.shape[0])
    for name, tensor in (("features", features), ("table", table), ("bias", bias)):
        if tensor is None:
            continue
        alike = tensor.dtype == classifier.dtype or (autocast_converts(tensor) and autocast_converts(classifier))
        if tensor.device != classifier.device or not alike:
            raise ArgumentError(
                f"{name} is {tensor.dtype} on {tensor.device}, but the classifier is {classifier.dtype} on "
                f"{classifier.device}: convert one of them."
            )


def autocast_converts(tensor: Tensor) -> bool:
    """Return whether autocast is on and converts the tensor where it goes into a product; it leaves float64 alone."""
    kind = tensor.device.type
    eligible = tensor.is_floating_point() and tensor.dtype != torch.float64
    return eligible and torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def check_partner(name: str, tensor: Tensor, logits: Tensor) -> None:
    """Refuse what is to be combined with logits and is not floating, or is on another device."""
    if not tensor.is_floating_point() or tensor.device != logits.device:
        raise ArgumentError(
            f"{name} is {tensor.dtype} on {tensor.device}, but must be floating and on {logits.device}, as the logits "
            "are."
        )
