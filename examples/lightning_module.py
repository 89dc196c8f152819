"""A module of Lightning.

python examples/lightning_module.py
"""

import lightning
import torch
from tiny import batches, new_model
from torch.utils.data import DataLoader
from transformers import PreTrainedModel

from tiedlm.hub import use_augmented_loss


class Module(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = use_augmented_loss(new_model(), gamma=0.65, temperature=1.0)

    def training_step(self, ids: torch.Tensor, index: int) -> torch.Tensor:
        return self.model(input_ids=ids, labels=ids).loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3, weight_decay=0.0)


def train(steps: int = 30) -> PreTrainedModel:
    module, quiet = Module(), {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    lightning.Trainer(max_steps=steps, accelerator="cpu", **quiet).fit(
        module, DataLoader(list(batches(steps)), batch_size=None)
    )
    return module.model


if __name__ == "__main__":
    train()
