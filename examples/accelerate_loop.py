"""A loop with Hugging Face's accelerate.

accelerate launch examples/accelerate_loop.py
"""

import torch
from accelerate import Accelerator
from tiny import batches, new_model
from transformers import PreTrainedModel

from tiedlm.hub import use_augmented_loss


def train(steps: int = 30) -> PreTrainedModel:
    accelerator = Accelerator(cpu=True)
    model = use_augmented_loss(new_model(), gamma=0.65, temperature=1.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    model, optimizer = accelerator.prepare(model, optimizer)
    for ids in batches(steps):
        accelerator.backward(model(input_ids=ids, labels=ids).loss)
        optimizer.step()
        optimizer.zero_grad()
    return accelerator.unwrap_model(model)


if __name__ == "__main__":
    train()
