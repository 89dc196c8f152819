"""How a training begins: a new run folder, or the state in one that exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tiedlm.checkpoint import RunFolder
from tiedlm.checkpoint.load import Run, load_run
from tiedlm.checkpoint.making import check_free
from tiedlm.config import to_json
from tiedlm.data.corpus import Corpus, prepare
from tiedlm.data.streams import Streams
from tiedlm.errors import RunError
from tiedlm.evaluation.scoring import run_corpus
from tiedlm.files import json_bytes
from tiedlm.native.device import resolve_device
from tiedlm.nn.model import LanguageModel
from tiedlm.runs.config import RunConfig
from tiedlm.seeding import generator
from tiedlm.training.environment import describe_run, set_threads
from tiedlm.training.moves import current_config, current_threads
from tiedlm.training.state import Progress, TrainingState, read_progress, restore


def started(
    config: RunConfig,
    run_dir: Path,
    start_from: Path | None,
    data_dir: Path | None,
    cache_dir: Path | None,
    processes: int = 1,
) -> RunFolder:
    """Make the run folder of a new training, with the state before its first window."""
    check_free(run_dir)  # also done where it is made, but a text may take minutes to prepare
    device = resolve_device(config.runtime.device)
    set_threads(config.runtime.threads)
    parent = None if start_from is None else load_run(start_from)
    corpus = prepare(config.corpus, data_dir=data_dir, cache_dir=cache_dir)
    Streams(corpus.splits["train"].ids, config.training.streams, end_id=corpus.vocabulary.end_id).window_count(
        config.training.steps
    )
    model = _initial_model(config, corpus, parent).to(device)
    generation = 1 if parent is None else read_progress(parent.folder).generation + 1
    progress = Progress(generation=generation)
    state = TrainingState(model=model, carried=model.initial_state(config.training.streams), progress=progress)
    environment = {
        **describe_run(config, len(corpus.vocabulary), processes),
        "corpus": corpus.provenance,
        "parent": None if parent is None else _origin(parent),
    }
    contents = {
        "config": to_json(config),
        "vocabulary": corpus.vocabulary.to_json(),
        "environment": environment,
    }
    written = {role: json_bytes(value, sort_keys=False) for role, value in contents.items()}
    return RunFolder.create(run_dir, {**written, **state.contents()})


def continued(
    folder: RunFolder, data_dir: Path | None, cache_dir: Path | None
) -> tuple[RunConfig, Corpus, TrainingState]:
    """Return config, corpus and state of the training in a run folder.

    Raises:
        RunError: a file of the folder is damaged, or the corpus is not the one that the training began with.
    """
    folder.check_whole()
    config = current_config(folder)
    set_threads(current_threads(folder))
    corpus = run_corpus(folder, data_dir, cache_dir)
    model = LanguageModel(config.model, len(corpus.vocabulary)).to(resolve_device(config.runtime.device))
    return config, corpus, restore(folder, model)


def _initial_model(config: RunConfig, corpus: Corpus, parent: Run | None) -> LanguageModel:
    model = LanguageModel(config.model, len(corpus.vocabulary))
    if parent is None:
        model.reset_parameters(generator(config.seed, "initial weights"))
        if config.model.unigram_bias:
            _start_at_unigrams(model, corpus)
        return model
    if parent.vocabulary.words != corpus.vocabulary.words:
        raise RunError(
            f"{parent.folder.path} was trained on another vocabulary ({len(parent.vocabulary):,} words) than this "
            f"training's ({len(corpus.vocabulary):,}): start from a run on the same corpus."
        )
    if _shapes(parent.model) != _shapes(model):
        raise RunError(
            f"{parent.folder.path} holds another model ({parent.config['model']}) than this training's "
            f"({to_json(config.model)}): start from a run whose parameters have the same shapes."
        )
    model.load_state_dict(parent.model.state_dict())
    return model


@torch.no_grad()
def _start_at_unigrams(model: LanguageModel, corpus: Corpus) -> None:
    """Put the output bias to log((count + 1/2) / total) less its mean, which softmax does not see."""
    assert model.bias is not None
    shares = torch.tensor(corpus.vocabulary.counts, dtype=torch.float64) + 0.5
    logs = (shares / shares.sum()).log()
    model.bias.copy_(logs - logs.mean())


def _shapes(model: LanguageModel) -> dict[str, torch.Size]:
    """Return the parameters' shapes; what a model keeps under dropout may differ from training to training."""
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


def _origin(parent: Run) -> dict[str, Any]:
    return {
        "path": str(parent.folder.path),
        "recipe": parent.config["recipe"],
        "seed": parent.config["seed"],
        "weights_sha256": parent.weights_sha256,
    }
