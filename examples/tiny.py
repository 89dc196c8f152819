"""What the examples train: stands for your model and your tokenised text."""

from collections.abc import Iterator

import torch
from transformers import GPT2Config, GPT2LMHeadModel

VOCAB_SIZE, SEQUENCES, LENGTH = 500, 8, 33


def new_model() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=VOCAB_SIZE, n_positions=LENGTH, n_embd=32, n_layer=2, n_head=2)
    config.bos_token_id = config.eos_token_id = 0
    config.resid_pdrop = config.embd_pdrop = config.attn_pdrop = 0.0  # so that all examples end with the same weights
    return GPT2LMHeadModel(config).train()


def batches(count: int) -> Iterator[torch.Tensor]:
    """Yield ids [SEQUENCES, LENGTH]: arithmetic sequences, which a model can learn to continue."""
    draws = torch.Generator().manual_seed(1)
    for _ in range(count):
        starts, steps = (torch.randint(high, (SEQUENCES, 1), generator=draws) for high in (VOCAB_SIZE, 9))
        yield (starts + steps * torch.arange(LENGTH)) % VOCAB_SIZE
