"""The augmented loss in models of transformers: against a dense definition in float64, and as trainers use it."""

import copy
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tiedlm.errors import ArgumentError
from tiedlm.hub import use_augmented_loss

transformers: Any = pytest.importorskip("transformers", reason="the extra `hub` is not installed: make test-hub")
pytestmark = pytest.mark.filterwarnings("default")  # transformers warns of its own

V, GAMMA, TAU = 97, 0.65, 2.0
SMALL = {
    "vocab_size": V,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
GPT2 = {
    "vocab_size": V,
    "n_positions": 32,
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 2,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "GPT-2, tied": ("GPT2Config", GPT2 | NO_DROPOUT),
    "GPT-2, untied": ("GPT2Config", GPT2 | NO_DROPOUT | {"tie_word_embeddings": False}),
    "Llama, untied": ("LlamaConfig", SMALL | {"tie_word_embeddings": False}),
    "Gemma, scaled embedding": ("GemmaConfig", SMALL | {"head_dim": 8}),
    "Gemma 2, capped": ("Gemma2Config", SMALL | {"head_dim": 8, "final_logit_softcapping": 2.0}),
    "Qwen 3, tied": ("Qwen3Config", SMALL | {"head_dim": 8, "tie_word_embeddings": True}),
    "Granite, scaled logits": ("GraniteConfig", SMALL | {"logits_scaling": 4.0, "tie_word_embeddings": True}),
    "Phi, bias": ("PhiConfig", SMALL | {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attention_dropout": 0.0}),
    "Mixtral, router loss": (
        "MixtralConfig",
        SMALL | {"num_local_experts": 4, "output_router_logits": True, "sliding_window": None},
    ),
    "Mamba": ("MambaConfig", {"vocab_size": V, "hidden_size": 16, "state_size": 4, "num_hidden_layers": 2}),
}


def tiny(name: str = "GPT-2, tied", seed: int = 0, **changes: Any) -> Any:
    kind, fields = CONFIGS[name]
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, kind)(**fields | changes)).train()
    head = model.get_output_embeddings()
    with torch.no_grad():
        head.weight.mul_(20)  # so that soft targets are far from uniform and caps are reached
        if head.bias is not None:
            head.bias.uniform_(-1, 1)
    return model


def batch(seed: int = 1) -> tuple[Tensor, Tensor]:
    ids = torch.randint(V, (3, 9), generator=torch.Generator().manual_seed(seed))
    labels = ids.clone()
    labels[0, :4] = -100
    return ids, labels


def dense_loss(model: Any, ids: Tensor, labels: Tensor, *, detach: bool = False, gamma: float = GAMMA) -> Tensor:
    """Equation 3.3 from the model's own logits, in float64; the bias of a head enters y alone."""
    logits, bias = model(input_ids=ids), model.get_output_embeddings().bias
    table, targets = model.get_input_embeddings().weight.double(), labels[:, 1:].flatten()
    counts = targets != -100
    targets, rows = targets[counts], logits.logits.double()[:, :-1].flatten(0, 1)[counts]
    soft = F.softmax(table[targets] @ table.T / TAU, dim=-1)
    soft = soft.detach() if detach else soft
    tempered = F.log_softmax((rows if bias is None else rows - bias.double()) / TAU, dim=-1)
    divergence = (soft * (soft.log() - tempered)).sum(-1).mean()
    router = model.router_aux_loss_coef * logits.aux_loss if getattr(logits, "aux_loss", None) is not None else 0
    return F.cross_entropy(rows, targets) + gamma * TAU * divergence + router


def gradients(model: Any, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_gradients_close(got: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    assert got.keys() == expected.keys()
    scale = max(float(gradient.abs().max()) for gradient in expected.values())
    for name, gradient in expected.items():
        assert float((got[name] - gradient).abs().max()) <= tolerance * scale, name


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("name", CONFIGS)
def test_loss_and_gradients_are_those_of_the_definition(name: str, detach: bool) -> None:
    model, (ids, labels) = tiny(name), batch()
    expected = dense_loss(model, ids, labels, detach=detach)
    wanted = gradients(model, expected)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    model.eval()
    scored = model(input_ids=ids, labels=labels)
    model.train()

    assert use_augmented_loss(model, GAMMA, TAU, detach_target=detach) is model
    output = model(input_ids=ids, labels=labels)
    assert output.logits is None
    assert float(output.loss) == pytest.approx(float(expected), rel=1e-5)
    assert_gradients_close(gradients(model, output.loss), wanted, 1e-5)

    model.eval()
    again = model(input_ids=ids, labels=labels)
    assert torch.equal(again.loss, scored.loss)
    assert torch.equal(again.logits, scored.logits)
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def test_it_is_no_cross_entropy_and_no_detached_loss() -> None:
    """The definition tells the losses apart: a test that cannot fail proves nothing."""
    model, (ids, labels) = tiny(), batch()
    full, detached, plain = (
        dense_loss(model, ids, labels, detach=detach, gamma=gamma)
        for detach, gamma in ((False, GAMMA), (True, GAMMA), (False, 0.0))
    )
    assert float(full.detach()) > 1.05 * float(plain.detach())
    with pytest.raises(AssertionError):
        assert_gradients_close(gradients(model, detached), gradients(model, full), 1e-3)


def test_shifted_labels_items_of_accumulated_batches_and_tuples() -> None:
    model, (ids, labels) = use_augmented_loss(tiny(), GAMMA, TAU), batch()
    mean = model(input_ids=ids, labels=labels).loss
    shifted = F.pad(labels, (0, 1), value=-100)[:, 1:]
    count = int((shifted != -100).sum())
    assert torch.equal(model(input_ids=ids, labels=labels, shift_labels=shifted).loss, mean)
    for items in (7, torch.tensor(7)):
        loss = model(input_ids=ids, labels=labels, num_items_in_batch=items).loss
        assert float(loss) == pytest.approx(float(mean) * count / 7)
    assert torch.equal(model(input_ids=ids, labels=labels, return_dict=False)[0], mean)
    assert torch.equal(model(ids, labels=labels).loss, mean)
    assert model(input_ids=ids).logits.shape == (3, 9, V)
    assert float(model(input_ids=ids, labels=torch.full_like(labels, -100)).loss) == 0


def test_it_is_taken_off_put_in_again_copied_and_saved(tmp_path: Path) -> None:
    model, (ids, labels) = tiny(), batch()
    plain = model(input_ids=ids, labels=labels)
    use_augmented_loss(model, GAMMA, TAU)
    loss = model(input_ids=ids, labels=labels).loss
    twin = copy.deepcopy(model)
    assert torch.equal(twin(input_ids=ids, labels=labels).loss, loss)
    twin.augmented_loss.gamma = 0.0
    assert float(twin(input_ids=ids, labels=labels).loss) == pytest.approx(float(plain.loss), rel=1e-6)
    use_augmented_loss(twin, None)
    assert torch.equal(twin(input_ids=ids, labels=labels).loss, plain.loss)
    assert torch.equal(twin(input_ids=ids, labels=labels).logits, plain.logits)
    assert torch.equal(use_augmented_loss(twin, GAMMA, TAU)(input_ids=ids, labels=labels).loss, loss)
    assert inspect.signature(type(model).forward) == inspect.signature(transformers.GPT2LMHeadModel.forward)
    model.save_pretrained(tmp_path)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).train()
    assert type(loaded) is transformers.GPT2LMHeadModel
    assert torch.equal(loaded(input_ids=ids, labels=labels).loss, plain.loss)


def test_checkpointing_autocast_16_bits_and_a_compiler() -> None:
    model, (ids, labels) = use_augmented_loss(tiny(), GAMMA, TAU), batch()
    loss = model(input_ids=ids, labels=labels).loss
    expected = gradients(model, loss)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    again = compiled(input_ids=ids, labels=labels).loss
    assert float(again) == pytest.approx(float(loss), rel=1e-6)
    assert_gradients_close(gradients(model, again), expected, 1e-5)
    model.gradient_checkpointing_enable()
    assert_gradients_close(gradients(model, model(input_ids=ids, labels=labels).loss), expected, 1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        lower = model(input_ids=ids, labels=labels).loss
    assert lower.dtype == torch.float32
    assert float(lower) == pytest.approx(float(loss), rel=0.02)
    half = use_augmented_loss(tiny().to(torch.bfloat16), GAMMA, TAU)
    assert float(half(input_ids=ids, labels=labels).loss) == pytest.approx(float(loss), rel=0.02)


def _without_gradients() -> Any:
    return tiny().requires_grad_(False)


def _unlike_its_config() -> Any:
    model = tiny()
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.clone())
    return model


def _other_logits() -> Any:
    model = tiny("Granite, scaled logits")
    own = type(model).forward

    def forward(self: Any, **kwargs: Any) -> Any:
        output = own(self, **kwargs)
        return type(output)(loss=output.loss, logits=output.logits.abs())

    model.__class__ = type("Absolute", (type(model),), {"forward": forward})
    return model


def _other_loss() -> Any:
    model = tiny()
    model.loss_function = lambda logits, labels, **_: logits.square().mean()
    return model


def _on_meta() -> Any:
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(transformers.GPT2Config(**GPT2))


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda: nn.Linear(2, 2), {}, "model is a Linear, but must be a model of transformers"),
        (lambda: tiny().transformer, {}, "output head of GPT2Model is missing"),
        (_without_gradients, {}, "nothing to train"),
        (_unlike_its_config, {}, "ties head and input embedding, but the head has a weight of its own"),
        (_other_logits, {}, "by more than a scale or a soft cap"),
        (_other_loss, {}, "has a loss of its own"),
        (_on_meta, {}, "meta device"),
        (lambda: tiny("Gemma 2, capped"), {"center_table": True}, "center_table has no effect"),
        (tiny, {"gamma": -1.0}, r"gamma is -1.0, but must lie in \[0, 1e6\]"),
    ],
)
def test_what_it_cannot_do_is_said_at_once(make: Callable[[], Any], options: dict[str, Any], message: str) -> None:
    model = make()
    before = type(model)
    with pytest.raises(ArgumentError, match=message):
        use_augmented_loss(model, **options)
    assert type(model) is before


def test_labels_of_another_shape_are_refused() -> None:
    model, (ids, labels) = use_augmented_loss(tiny()), batch()
    with pytest.raises(ArgumentError, match=r"labels have the shape \[3, 8\]"):
        model(input_ids=ids, labels=labels[:, 1:])


class Texts(torch.utils.data.Dataset[dict[str, Tensor]]):
    def __init__(self) -> None:
        draws = torch.Generator().manual_seed(4)
        self.rows = [
            torch.randint(3, V, (int(n),), generator=draws) for n in torch.randint(5, 12, (48,), generator=draws)
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        row = F.pad(self.rows[index], (0, 12 - len(self.rows[index])), value=0)
        return {"input_ids": row, "labels": row.masked_fill(row == 0, -100)}


def trained(model: Any, folder: Path, accumulation: int) -> Any:
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=8 // accumulation,
        gradient_accumulation_steps=accumulation,
        max_steps=6,
        learning_rate=0.01,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
        logging_strategy="no",
    )
    transformers.Trainer(model=model, args=arguments, train_dataset=Texts()).train()
    return model


def test_trainer_accumulates_to_the_same_weights(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    start = tiny().state_dict()
    one, several = (trained(use_augmented_loss(tiny(), GAMMA, TAU), tmp_path / str(k), k) for k in (1, 4))
    plain = trained(tiny(), tmp_path / "plain", 1)
    for name, weight in one.state_dict().items():
        moved = float((weight - start[name]).abs().max())
        assert float((several.state_dict()[name] - weight).abs().max()) <= 1e-3 * max(moved, 1e-3), name
    difference = max(float((w - plain.state_dict()[n]).abs().max()) for n, w in one.state_dict().items())
    assert 1e-3 < difference < math.inf
