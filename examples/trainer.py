"""Hugging Face's Trainer: one line more than without the augmented loss.

python examples/trainer.py
"""

import torch
from tiny import SEQUENCES, batches, new_model
from transformers import PreTrainedModel, Trainer, TrainingArguments

from tiedlm.hub import use_augmented_loss


def train(steps: int = 30, accumulation: int = 1, folder: str = "runs/example-trainer") -> PreTrainedModel:
    model = use_augmented_loss(new_model(), gamma=0.65, temperature=1.0)
    rows = [{"input_ids": row, "labels": row} for row in torch.cat(list(batches(steps)))]
    arguments = TrainingArguments(
        folder, max_steps=steps, learning_rate=1e-3, lr_scheduler_type="constant", use_cpu=True
    )
    arguments.per_device_train_batch_size = SEQUENCES // accumulation
    arguments.gradient_accumulation_steps = accumulation
    arguments.train_sampling_strategy, arguments.save_strategy, arguments.report_to = "sequential", "no", []
    arguments.max_grad_norm, arguments.disable_tqdm = 0.0, True
    Trainer(model, arguments, train_dataset=rows).train()
    return model


if __name__ == "__main__":
    train()
