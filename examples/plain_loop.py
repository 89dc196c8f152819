"""A loop of one's own, compiled.

python examples/plain_loop.py
"""

import torch
from tiny import batches, new_model
from transformers import PreTrainedModel

from tiedlm.hub import use_augmented_loss


def train(steps: int = 30, backend: str = "inductor") -> PreTrainedModel:
    model = use_augmented_loss(new_model(), gamma=0.65, temperature=1.0)
    compiled = torch.compile(model, backend=backend)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    for step, ids in enumerate(batches(steps), 1):
        loss = compiled(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        print(f"step {step}: loss {loss.item():.4f}")
    return model


if __name__ == "__main__":
    train()
