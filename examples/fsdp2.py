"""Several processes, each with a shard of the parameters (FSDP2).

torchrun --nproc-per-node 2 examples/fsdp2.py
"""

import torch
import torch.distributed as dist
from tiny import batches, new_model
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard

from tiedlm.hub import use_augmented_loss


def train(steps: int = 30) -> dict[str, torch.Tensor]:
    model = use_augmented_loss(new_model(), gamma=0.65, temperature=1.0)
    for layer in model.transformer.h:
        fully_shard(layer)
    fully_shard(model)  # head and input embedding belong to the whole: the loss needs their rows
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    for ids in batches(steps):
        part = ids.chunk(dist.get_world_size())[dist.get_rank()]
        model(input_ids=part, labels=part).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))


if __name__ == "__main__":
    dist.init_process_group(device_id=None)
    train()
    dist.destroy_process_group()
