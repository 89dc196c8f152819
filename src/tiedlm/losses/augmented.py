"""The front door of the loss: its options, the checks of its arguments, the choice of an implementation, the functions.

`functional` is the definition; `chunked` gives the same values and gradients and never holds all N x V, with a backend
between its products: PyTorch's operations (implementation "chunked"), C++ loops ("compiled") or Triton's kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Literal, NamedTuple, TypedDict, Unpack, get_args

import torch
from torch import Tensor, nn

from tiedlm.errors import ArgumentError, in_transform, refuse_transforms, suggestion
from tiedlm.losses.chunked import LossInputs, check_values
from tiedlm.losses.functional import LossTerms, linear_terms, reduce_terms, token_terms
from tiedlm.losses.operator import augmented_loss
from tiedlm.losses.plain import WHOLE, Vocab

Reduction = Literal["mean", "sum", "none"]
Implementation = Literal["auto", "functional", "chunked", "compiled", "triton"]
REDUCTIONS, IMPLEMENTATIONS = get_args(Reduction), get_args(Implementation)
MIN_TEMPERATURE, MAX_TEMPERATURE, MAX_GAMMA = 1e-3, 1e6, 1e6
"""Beyond them logits over tau overflow in float32, or a divergence, about 1 / tau^2, is lost."""
COMPILED_LOGITS = 500_000
"""Logits of a call, N x V, from which "auto" compiles: below, a training may end before the compiler's seconds pay."""
MIN_CHUNK_ROWS, MAX_CHUNK_ROWS, MAX_CHUNK_BYTES = 64, 1536, 128 * 2**20
"""Rows of a chunk where none are asked for: of a large vocabulary as few as stay within these bytes of logits."""


class LossKeywords(TypedDict, total=False):
    """`LossOptions` as keyword arguments, for type checkers."""

    gamma: float
    temperature: float
    detach_target: bool
    center_table: bool
    ignore_index: int
    reduction: Reduction
    implementation: Implementation
    chunk_rows: int | None
    host_sync: bool


@dataclass(frozen=True, kw_only=True)
class LossOptions:
    """The options of the loss, with ranges checked; `linear_augmented_cross_entropy` says what they mean."""

    gamma: float = 0.5
    temperature: float = 20.0
    detach_target: bool = False
    center_table: bool = False
    ignore_index: int = -100
    reduction: Reduction = "mean"
    implementation: Implementation = "auto"
    chunk_rows: int | None = None
    host_sync: bool = True

    def __post_init__(self) -> None:
        for name, value in (("temperature", self.temperature), ("gamma", self.gamma)):
            if not isinstance(value, Real):  # a tensor would look as if it could be learned
                raise ArgumentError(
                    f"{name} is {value!r}, but must be a number, and counts as a constant: use float({name})."
                )
        if not MIN_TEMPERATURE <= self.temperature <= MAX_TEMPERATURE:
            raise ArgumentError(f"temperature is {self.temperature}, but must lie in [1e-3, 1e6] (the paper uses 20).")
        if not 0 <= self.gamma <= MAX_GAMMA:
            raise ArgumentError(f"gamma is {self.gamma}, but must lie in [0, 1e6]; 0 is plain cross-entropy.")
        _check_one_of("reduction", self.reduction, REDUCTIONS)
        _check_one_of("implementation", self.implementation, IMPLEMENTATIONS)
        rows = self.chunk_rows
        if rows is not None and not (isinstance(rows, Integral) and rows >= 1):
            raise ArgumentError(f"chunk_rows is {rows!r}, but must be an integer, 1 or more, or None for a default.")
        if rows is not None and self.implementation == "functional":
            raise ArgumentError(
                f"chunk_rows is {rows}, but has no effect with implementation 'functional', which holds all rows at "
                "once: leave it out, or use 'chunked'."
            )
        if not self.host_sync and self.implementation == "compiled":
            raise ArgumentError(
                "host_sync is False, but implementation 'compiled' takes addresses from values: use 'chunked'."
            )


class LossTensors(NamedTuple):
    """The tensors of a call; `linear_augmented_cross_entropy` says what they are."""

    features: Tensor
    classifier: Tensor
    targets: Tensor
    table: Tensor | None
    bias: Tensor | None
    vocabulary_mask: Tensor | None
    token_weights: Tensor | None


def _check_one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ArgumentError(
            f"{name} is {value!r}, but must be one of {', '.join(allowed)}.{suggestion(str(value), allowed)}"
        )


def linear_augmented_cross_entropy(
    features: Tensor,
    classifier: Tensor,
    targets: Tensor,
    *,
    table: Tensor | None = None,
    bias: Tensor | None = None,
    vocabulary_mask: Tensor | None = None,
    token_weights: Tensor | None = None,
    **options: Unpack[LossKeywords],
) -> Tensor:
    """Return cross-entropy plus the augmented term, from features and word tables (eq. 3.3 of Inan et al., 2017).

    In plain PyTorch, with z = features @ classifier.T and v = table[targets] @ table.T:

        F.cross_entropy(z + bias, targets)
        + gamma * temperature * F.kl_div(log_softmax(z / temperature), softmax(v / temperature))

    Args:
        features: h [..., D].
        classifier: W [V, D].
        targets: word ids [...], or `ignore_index`.
        table: L, the word vectors by rows [V, any width]; None means tied, L = W. With gamma 0, or
            `detach_target`, it has no gradient (None).
        bias: b [V], or None; enters the prediction alone, neither of the softened distributions.
        vocabulary_mask: words that a soft target may name [V]; None means all. For padding, special and never-emitted
            words, whose vectors mean nothing: y~ gives them 0, while y and y^ stay over all words.
        token_weights: weight of each target's loss, 0 or more [...]; "mean" then divides by their sum. A row of weight
            0 is left out, whatever it holds.
        gamma: weight of the augmented term, in [0, 1e6] (alpha = gamma tau); 0 is plain cross-entropy. 0.5 by default.
        temperature: tau in [1e-3, 1e6], of both softened distributions; 20 by default.
        detach_target: stop the gradient at the soft target; by default the loss is differentiated in full.
        center_table: take the tables' mean off each word vector in the soft target, so that what all vectors share
            does not count as likeness; section 4 of the paper assumes it to be nothing.
        ignore_index: target value whose prediction counts for nothing; -100 by default.
        reduction: "mean" over the targets that count (0 where none does; the default), "sum", or "none" [...].
        implementation: "functional" (the definition), "chunked", "compiled", "triton", or "auto" (the default; see
            `select_implementation`). `docs/loss.md` says which derivatives each gives.
        chunk_rows: rows of logits at one time, those of soft targets included; for all but "functional".
        host_sync: False where the CPU must not wait for values, as while a CUDA graph is captured: values are not
            checked, and no shape depends on them. Not for "compiled".

    Raises:
        ArgumentError: shapes, types, devices or ranges that do not fit, before any work.
    """
    tensors = LossTensors(features, classifier, targets, table, bias, vocabulary_mask, token_weights)
    return _loss_terms(tensors, LossOptions(**options)).total


def linear_augmented_terms(
    features: Tensor,
    classifier: Tensor,
    targets: Tensor,
    *,
    table: Tensor | None = None,
    bias: Tensor | None = None,
    vocabulary_mask: Tensor | None = None,
    token_weights: Tensor | None = None,
    **options: Unpack[LossKeywords],
) -> LossTerms:
    """Return the loss of `linear_augmented_cross_entropy` together with its two terms."""
    tensors = LossTensors(features, classifier, targets, table, bias, vocabulary_mask, token_weights)
    return _loss_terms(tensors, LossOptions(**options))


def _loss_terms(tensors: LossTensors, options: LossOptions) -> LossTerms:
    inputs = prepare(tensors, options)
    if options.center_table:
        inputs = centered(inputs)
    if inputs.backend != "functional":
        leaves = (tensors.features, tensors.classifier, tensors.table, tensors.bias)
        refuse_transforms("this loss gives", "implementation 'functional'", *leaves)
        total, cross_entropy, divergence = augmented_loss(*inputs)[:3]
        terms = LossTerms(total, cross_entropy.detach(), divergence.detach())
    else:
        if inputs.host_sync and not _traced():
            check_values(inputs.targets, inputs.weights, len(inputs.classifier), inputs.vocabulary_mask)
        terms = linear_terms(inputs)
    if inputs.reduction == "none":
        return LossTerms(*(term.reshape(tensors.targets.shape) for term in terms))
    return terms


def augmented_cross_entropy(
    logits: Tensor,
    teacher_logits: Tensor,
    targets: Tensor,
    *,
    bias: Tensor | None = None,
    temperature: float = 20.0,
    gamma: float = 0.5,
    detach_target: bool = False,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Tensor:
    """Return cross-entropy plus the augmented term, from logits (eq. 3.3).

    Args:
        logits: W h, without bias [N, V]; N may be 0.
        teacher_logits: L l for the target of each prediction [N, V].
        targets: word ids [N], or `ignore_index`; what the rows of ignored targets hold does not matter.
        bias: b of eq. 2.3 [V]; enters y alone, neither y^ nor y~.
        temperature, gamma, detach_target, ignore_index, reduction: as for `linear_augmented_cross_entropy`.

    Raises:
        ArgumentError: shapes, types, devices or ranges that do not fit, before any work.
    """
    LossOptions(temperature=temperature, gamma=gamma, reduction=reduction)
    _check_local(logits=logits, teacher_logits=teacher_logits, targets=targets, bias=bias)
    if logits.dim() != 2 or logits.shape[1] < 1 or not logits.is_floating_point():
        raise ArgumentError(
            f"logits are {logits.dtype} {list(logits.shape)}, but must be floating [predictions, words], with one word "
            "or more: use flatten(0, -2) where they have more axes."
        )
    if teacher_logits.shape != logits.shape:
        raise ArgumentError(
            f"teacher_logits have the shape {list(teacher_logits.shape)}, but must have that of the logits, "
            f"{list(logits.shape)}: one row of L l for each prediction."
        )
    for name, tensor in (("teacher_logits", teacher_logits), ("bias", bias)):
        if tensor is not None and not (tensor.is_floating_point() and tensor.device == logits.device):
            raise ArgumentError(
                f"{name} is {tensor.dtype} on {tensor.device}, but must be floating and on {logits.device}, as the "
                "logits are."
            )
    _check_bias(bias, logits.shape[1])
    _check_targets(targets, logits.shape[:1], logits.device)
    weights = (targets != ignore_index).to(torch.promote_types(logits.dtype, torch.float32))
    if not _traced():
        check_values(targets, weights, logits.shape[1])
    out = weights == 0
    logits, teacher_logits = (rows.masked_fill(out.unsqueeze(1), 0) for rows in (logits, teacher_logits))
    words = targets.masked_fill(out, 0)
    terms = token_terms(logits, teacher_logits, words, bias, None, temperature, gamma, detach_target)
    return reduce_terms(terms, weights, reduction).total


class AugmentedLoss(nn.Module):
    """`linear_augmented_cross_entropy` with its options bound; holds no parameters.

    The options are attributes, and may be set between calls; `vocabulary_mask` moves with the module from device to
    device. An option outside its range is an ArgumentError, at construction.

    Example:
        >>> import torch
        >>> loss = AugmentedLoss(gamma=0.65, temperature=20.0)
        >>> features, table = torch.randn(6, 4), torch.randn(10, 4)
        >>> loss(features, table, torch.arange(6)).shape
        torch.Size([])
    """

    vocabulary_mask: Tensor | None

    def __init__(self, *, vocabulary_mask: Tensor | None = None, **options: Unpack[LossKeywords]) -> None:
        super().__init__()
        checked = LossOptions(**options)
        for name in OPTION_NAMES:
            setattr(self, name, getattr(checked, name))
        self.register_buffer("vocabulary_mask", vocabulary_mask, persistent=False)

    def forward(
        self,
        features: Tensor,
        classifier: Tensor,
        targets: Tensor,
        table: Tensor | None = None,
        bias: Tensor | None = None,
        token_weights: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of features [..., D] for targets [...] under classifier [V, D]; `table` None means tied."""
        return self.terms(features, classifier, targets, table, bias, token_weights).total

    def terms(
        self,
        features: Tensor,
        classifier: Tensor,
        targets: Tensor,
        table: Tensor | None = None,
        bias: Tensor | None = None,
        token_weights: Tensor | None = None,
    ) -> LossTerms:
        """Return the loss and its two terms; only `cross_entropy` is the logarithm of a perplexity."""
        tensors = LossTensors(features, classifier, targets, table, bias, self.vocabulary_mask, token_weights)
        return _loss_terms(tensors, LossOptions(**{name: getattr(self, name) for name in OPTION_NAMES}))

    def extra_repr(self) -> str:
        """Return the options for `repr`."""
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in OPTION_NAMES[:3])


OPTION_NAMES = tuple(field.name for field in fields(LossOptions))


def prepare(tensors: LossTensors, options: LossOptions) -> LossInputs:
    """Return what the algorithm gets, once all that needs no value of a tensor has been checked."""
    _check_tensors(tensors)
    features, classifier, targets, table, bias, vocabulary_mask, token_weights = tensors
    dtype, device = classifier.dtype, classifier.device.type
    matmul_dtype = torch.get_autocast_dtype(device) if _autocast_converts(classifier) else dtype
    name, _ = select_implementation(
        options.implementation,
        logits=features.shape[:-1].numel() * len(classifier),
        device=device,
        matmul_dtype=matmul_dtype,
        host_sync=options.host_sync,
    )
    default_rows = max(
        MIN_CHUNK_ROWS, min(MAX_CHUNK_ROWS, MAX_CHUNK_BYTES // (len(classifier) * matmul_dtype.itemsize))
    )
    counts = targets != options.ignore_index
    weights = counts.to(torch.promote_types(dtype, torch.float32))
    if token_weights is not None:
        weights = token_weights.to(weights.dtype).masked_fill(~counts, 0)
    table = None if table is None or options.gamma == 0 else table.to(dtype)  # nothing reads it then
    bias = None if bias is None else bias.to(dtype)
    features = features.reshape(-1, features.shape[-1]).to(dtype)
    needs_grad = [
        tensor is not None and tensor.requires_grad and torch.is_grad_enabled()
        for tensor in (features, classifier, None if options.detach_target else table, bias)
    ]
    return LossInputs(
        features=features,
        classifier=classifier,
        targets=targets.reshape(-1),
        weights=weights.reshape(-1),
        table=table,
        bias=bias,
        vocabulary_mask=vocabulary_mask,
        temperature=float(options.temperature),
        gamma=float(options.gamma),
        detach_target=options.detach_target,
        reduction=options.reduction,
        chunk_rows=int(options.chunk_rows or default_rows),
        backend=name,
        matmul_dtype=matmul_dtype,
        host_sync=options.host_sync,
        needs_grad=needs_grad,
    )


def centered(inputs: LossInputs, vocab: Vocab = WHOLE) -> LossInputs:
    """Return the inputs with the soft target's table less the mean of its rows, by operations that autograd sees."""
    if inputs.gamma == 0:
        return inputs
    table = vocab.center(inputs.classifier if inputs.table is None else inputs.table)
    features, classifier, _, bias = inputs.needs_grad
    needs_grad = [features, classifier, table.requires_grad and not inputs.detach_target, bias]
    return inputs._replace(table=table, needs_grad=needs_grad)


def select_implementation(
    implementation: str = "auto",
    *,
    logits: int = COMPILED_LOGITS,
    device: str = "cpu",
    matmul_dtype: torch.dtype = torch.float32,
    host_sync: bool = True,
) -> tuple[str, str]:
    """Return which implementation runs for the one asked for, and the reason.

    Args:
        implementation, host_sync: the options of these names.
        logits: N x V of the call.
        device: type of the tensors' device.
        matmul_dtype: type of the inputs of matrix products.

    Raises:
        ArgumentError: an unknown implementation, or one that cannot run here.
    """
    _check_one_of("implementation", implementation, IMPLEMENTATIONS)
    if implementation in ("functional", "chunked"):
        return implementation, "it was asked for"
    if implementation != "auto":
        if implementation == "compiled" and (device != "cpu" or matmul_dtype not in COMPILED_TYPES):
            raise ArgumentError(
                "implementation 'compiled' is for the CPU and products of "
                f"{', '.join(map(str, COMPILED_TYPES))}, but the tensors are on {device} and products of "
                f"{matmul_dtype}: use 'chunked'."
            )
        reason = _unavailable(implementation, device)
        if reason is not None:
            advice = "install a C++ compiler" if implementation == "compiled" else "use a GPU with Triton"
            raise ArgumentError(
                f"implementation {implementation!r} cannot run here ({reason}): {advice}, or use 'chunked'."
            )
        return implementation, "it was asked for"
    if device != "cpu":
        reason = _unavailable("triton", device)
        if reason is None:
            return "triton", "its kernels read each row of logits twice, and nothing else does as little"
        return "chunked", f"there are no kernels for it here ({reason})"
    reason = None
    if logits < COMPILED_LOGITS:
        reason = f"with fewer than {COMPILED_LOGITS:,} logits a call, compiling would not pay"
    elif matmul_dtype not in COMPILED_TYPES:
        reason = f"there are no compiled loops for products of {matmul_dtype}"
    elif not host_sync:
        reason = "the compiled loops take addresses from values, which host_sync=False leaves unchecked"
    elif (missing := _unavailable("compiled", device)) is not None:
        reason = f"its loops cannot be compiled here ({missing})"
    if reason is not None:
        return "chunked", reason
    return "compiled", f"{COMPILED_LOGITS:,} logits a call and more are worth a compiler's seconds, and there is one"


COMPILED_TYPES = (torch.float32, torch.float64, torch.bfloat16)
"""Types of products for which there are compiled loops."""


def _unavailable(implementation: str, device: str) -> str | None:
    """Return why an implementation cannot run here, or None; it reads files, which `torch.compile` cannot trace."""
    if implementation == "compiled":
        from tiedlm.native.build import compiler_unavailable

        return compiler_unavailable()
    from tiedlm.losses.triton import triton_unavailable

    return triton_unavailable(device)


# What the decorator torch.compiler.assume_constant_result sets; it would take 2 s to import torch._dynamo here.
_unavailable._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]


def _check_tensors(tensors: LossTensors) -> None:
    """Refuse tensors whose shapes, types or devices do not go together."""
    _check_local(**tensors._asdict())
    features, classifier, targets, table, bias, mask, weights = tensors
    for name, tensor in (("classifier", classifier), ("table", table)):
        if tensor is not None and (tensor.dim() != 2 or tensor.shape[0] < 1 or not tensor.is_floating_point()):
            raise ArgumentError(
                f"{name} is {tensor.dtype} {list(tensor.shape)}, but must be a floating matrix [words, width]."
            )
    if features.dim() < 1 or features.shape[-1] != classifier.shape[1]:
        raise ArgumentError(
            f"features have the shape {list(features.shape)} and the classifier {list(classifier.shape)}: their last "
            "axes must be equal. Put a linear map before the classifier where the widths differ."
        )
    if table is not None and table.shape[0] != classifier.shape[0]:
        raise ArgumentError(
            f"table holds {table.shape[0]} words and classifier {classifier.shape[0]}: both must hold the same words."
        )
    _check_bias(bias, classifier.shape[0])
    for name, tensor in (("features", features), ("table", table), ("bias", bias)):
        if tensor is None:
            continue
        alike = tensor.dtype == classifier.dtype or (_autocast_converts(tensor) and _autocast_converts(classifier))
        if tensor.device != classifier.device or not alike:
            raise ArgumentError(
                f"{name} is {tensor.dtype} on {tensor.device}, but the classifier is {classifier.dtype} on "
                f"{classifier.device}: convert one of them."
            )
    _check_targets(targets, features.shape[:-1], classifier.device)
    if mask is not None and (
        mask.shape != classifier.shape[:1] or mask.dtype != torch.bool or mask.device != classifier.device
    ):
        raise ArgumentError(
            f"vocabulary_mask is {mask.dtype} {list(mask.shape)} on {mask.device}, but must be torch.bool "
            f"[{classifier.shape[0]}] on {classifier.device}: True for each word that a soft target may name."
        )
    if weights is None:
        return
    if weights.shape != targets.shape or not weights.is_floating_point() or weights.device != targets.device:
        raise ArgumentError(
            f"token_weights are {weights.dtype} {list(weights.shape)} on {weights.device}, but must be floating "
            f"{list(targets.shape)} on {targets.device}: one a target."
        )
    if weights.requires_grad:
        raise ArgumentError("token_weights ask for a gradient, but count as constants: use token_weights.detach().")


def _check_local(**tensors: Tensor | None) -> None:
    """Refuse a tensor that is spread over processes (`torch.distributed.tensor.DTensor`)."""
    for name, tensor in tensors.items():
        if hasattr(tensor, "device_mesh"):
            raise ArgumentError(
                f"{name} is a {type(tensor).__name__}, spread over processes, but must be a tensor of this process: "
                f"use {name}.full_tensor(grad_placements=...), which says how its gradient goes back."
            )


def _check_bias(bias: Tensor | None, vocab_size: int) -> None:
    if bias is not None and bias.shape != (vocab_size,):
        raise ArgumentError(f"bias has the shape {list(bias.shape)}, but must be [{vocab_size}]: one number a word.")


def _check_targets(targets: Tensor, shape: torch.Size, device: torch.device) -> None:
    if targets.shape != shape:
        raise ArgumentError(f"targets have the shape {list(targets.shape)}, but the predictions ask for {list(shape)}.")
    if targets.dtype != torch.int64:
        raise ArgumentError(f"targets are {targets.dtype}, but must be torch.int64: use targets.long().")
    if targets.device != device:
        raise ArgumentError(f"targets are on {targets.device}, but the predictions are on {device}: move one of them.")


def _autocast_converts(tensor: Tensor) -> bool:
    """Return whether autocast is on and converts the tensor where it goes into a product; it leaves float64 alone."""
    kind = tensor.device.type
    eligible = tensor.is_floating_point() and tensor.dtype != torch.float64
    return eligible and torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def _traced() -> bool:
    """Return whether values must not be read, as `torch.compile` and `torch.func.vmap` could not follow."""
    return torch.compiler.is_compiling() or in_transform()
