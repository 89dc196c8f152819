"""The examples end with the weights of a plain loop, whoever owns the loop."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers", reason="the extra `hub` is not installed: make test-hub")
pytestmark = pytest.mark.filterwarnings("default")  # the trainers warn of their own

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
STEPS = 12
Weights = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def examples_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)


@pytest.fixture(scope="module")
def plain() -> Weights:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        return importlib.import_module("plain_loop").train(STEPS, "eager").state_dict()


def assert_equal_weights(got: Weights, expected: Weights) -> None:
    """Equal up to the order of sums, after steps that moved the weights a thousand times as far and more."""
    start: Any = importlib.import_module("tiny").new_model().state_dict()
    assert got.keys() == expected.keys()
    for name, weight in expected.items():
        moved = float((weight - start[name]).abs().max())
        assert float((got[name] - weight).abs().max()) <= max(2e-3 * moved, 1e-7), name
    assert max(float((expected[name] - start[name]).abs().max()) for name in expected) > 5e-3


@pytest.mark.parametrize("name", ["accelerate_loop", "lightning_module"])
def test_loops(name: str, plain: Weights) -> None:
    pytest.importorskip(name.partition("_")[0])
    assert_equal_weights(importlib.import_module(name).train(STEPS).state_dict(), plain)


def test_compiled_loop(plain: Weights) -> None:
    assert_equal_weights(importlib.import_module("plain_loop").train(STEPS, "aot_eager").state_dict(), plain)


@pytest.mark.parametrize("accumulation", [1, 4])
def test_trainer(accumulation: int, plain: Weights, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    trained = importlib.import_module("trainer").train(STEPS, accumulation, str(tmp_path))
    assert_equal_weights(trained.state_dict(), plain)


PROCESS = """
import sys
import torch
import torch.distributed as dist
from safetensors.torch import save_file
import fsdp2, tiny
from tiedlm.hub import use_augmented_loss

steps, folder = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo")
sharded = fsdp2.train(steps)
model = use_augmented_loss(tiny.new_model(), gamma=0.65, temperature=1.0)
copies = torch.nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
for ids in tiny.batches(steps):
    part = ids.chunk(2)[dist.get_rank()]
    copies(input_ids=part, labels=part).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
if dist.get_rank() == 0:
    for name, weights in (("fsdp2", sharded), ("ddp", model.state_dict())):
        save_file({key: tensor.clone() for key, tensor in weights.items()}, f"{folder}/{name}.safetensors")
dist.destroy_process_group()
"""


def test_two_processes(plain: Weights, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    script = tmp_path / "script.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(EXAMPLES)!r})\n{PROCESS}")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run([*command, str(STEPS), str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    for name in ("fsdp2", "ddp"):
        assert_equal_weights(load_file(tmp_path / f"{name}.safetensors"), plain)
