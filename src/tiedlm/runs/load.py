"""From the bytes of a run folder to tensors, and from the folder to its trained model and to its corpus."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from tiedlm.config import to_json
from tiedlm.data.corpus import Corpus, prepare
from tiedlm.data.sources import SPLITS, source_of
from tiedlm.data.text import Vocabulary
from tiedlm.errors import ArgumentError, RunError
from tiedlm.native.device import resolve_device
from tiedlm.nn.config import ModelConfig
from tiedlm.nn.model import LanguageModel
from tiedlm.runs.folder import RunFolder

ALIASES = "aliases"
"""Key of the file's metadata that holds, as JSON, the names that share the tensor of another name."""


def tensors_to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Return the tensors as the content of a safetensors file.

    A tensor that has several names (a tied table) is stored once. Views of one storage that differ in shape or place
    are stored apart.

    Raises:
        ArgumentError: a value is not a dense tensor with data.
    """
    stored: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    names: dict[Any, str] = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.is_meta:
            raise ArgumentError(f"{name!r} must be a dense tensor with data, but is {type(tensor).__name__}.")
        identity = tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()
        first = names.setdefault(identity, name)
        if first == name:
            stored[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        else:
            aliases[name] = first
    metadata = {ALIASES: json.dumps(aliases, sort_keys=True)} if aliases else None
    return safetensors.torch.save(stored, metadata)


def bytes_to_tensors(content: bytes) -> dict[str, Tensor]:
    """Return the tensors, on the CPU, that `tensors_to_bytes` turned into `content`; shared ones are shared again.

    Raises:
        ArgumentError: `content` is not a whole safetensors file.
    """
    try:
        tensors = safetensors.torch.load(content)
        (length,) = struct.unpack("<Q", content[:8])
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
        aliases = json.loads(metadata.get(ALIASES, "{}"))
        return tensors | {name: tensors[first] for name, first in aliases.items()}
    except (SafetensorError, KeyError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise ArgumentError(f"The content is not a whole safetensors file ({error}).") from error


def read_tensors(folder: RunFolder, name: str) -> dict[str, Tensor]:
    """Return the tensors, on the CPU, of `weights` or `state` of a run folder; a RunError as `RunFolder.read`."""
    content = folder.read(name)
    try:
        return bytes_to_tensors(content)
    except ArgumentError as error:
        raise RunError(f"The {name} of {folder.path} cannot be used: {error}") from error


def model_of(config: ModelConfig, vocabulary: Vocabulary, tensors: Mapping[str, Tensor], path: Path) -> LanguageModel:
    """Return the model of a run's config that has these parameters, a RunError where they are not those of such a one.

    Sizes are compared before the model takes any memory.
    """
    with torch.device("meta"):
        expected = {name: (t.shape, t.dtype) for name, t in LanguageModel(config, len(vocabulary)).state_dict().items()}
    if expected != {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}:
        raise RunError(
            f"The parameters in {path} do not fit the model of its config and vocabulary: the folder was put together "
            "from several runs, or written by another version of tiedlm."
        )
    if wrong := [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]:
        raise RunError(
            f"The parameter {wrong[0]} in {path} has entries that are not finite, which no training saves. Restore the "
            "run folder from a copy, or train it anew into another folder."
        )
    model = LanguageModel(config, len(vocabulary))
    model.load_state_dict(dict(tensors))
    return model


@final
@dataclass(frozen=True, kw_only=True)
class Run:
    """A trained run, ready to be scored or queried."""

    folder: RunFolder
    """The folder it was read from."""
    config: dict[str, Any]
    """The whole config of the run, as JSON."""
    weights_sha256: str
    """sha256 of the file that the weights were read from; a training that goes on may have replaced it since."""
    vocabulary: Vocabulary
    """The words the model knows, in order of id."""
    model: LanguageModel
    """The model with the weights that were best on the validation text, in evaluation mode, on the device asked for."""

    def __repr__(self) -> str:
        return f"Run({str(self.folder.path)!r}, recipe={self.config['recipe']!r}, seed={self.config['seed']})"


def load_run(path: Path | str, *, device: str = "cpu") -> Run:
    """Return the trained run in the folder `path`, every file's checksum compared.

    Args:
        path: the run folder.
        device: where the model is to live, `cpu`, `cuda` or another that PyTorch names; whichever it was trained on.

    Raises:
        ConfigError: a device that does not exist here.
        RunError: the folder is missing, no run folder, damaged or of another version; no weights have been saved yet;
            or config, vocabulary and weights do not go together.
    """
    place = resolve_device(device)
    folder = RunFolder.open(path)
    if not folder.has_weights:
        raise RunError(
            f"{folder.path} has no weights yet: its training has not ended an epoch. "
            f"Resume it: `tiedlm train --resume {folder.path}`."
        )
    tensors = read_tensors(folder, "weights")
    weights_sha256 = folder.record.files["weights"].sha256
    config, vocabulary = folder.config(), folder.vocabulary()
    model = model_of(config.model, vocabulary, tensors, folder.path)
    return Run(
        folder=folder,
        config=to_json(config),
        weights_sha256=weights_sha256,
        vocabulary=vocabulary,
        model=model.eval().to(place),
    )


def run_corpus(folder: RunFolder, data_dir: Path | None = None, cache_dir: Path | None = None) -> Corpus:
    """Return the corpus that a run was trained on; raises as `prepare` and `check_same_corpus`."""
    corpus = prepare(folder.config().corpus, data_dir=data_dir, cache_dir=cache_dir)
    check_same_corpus(folder, corpus)
    return corpus


def check_same_corpus(folder: RunFolder, corpus: Corpus) -> None:
    """Raise a RunError where a corpus is not the one that a run was trained on: another text, or other ids of it."""
    before, now = folder.record.corpus, corpus.provenance
    for split in SPLITS:
        expected, sha256 = (provenance["splits"][split]["text_sha256"] for provenance in (before, now))
        if sha256 != expected:
            if source_of(corpus.name) is not None:
                advice = "Name the folder with the text of then: --data-dir DIR."
            elif corpus.name == "text":
                advice = (
                    "Put the text of then back, or train on this one in another run folder (`tiedlm score RUN --text "
                    "FILE` scores a run on any text)."
                )
            else:
                advice = "It is made here: use the versions of Python and tiedlm that run.json of the run names."
            raise RunError(
                f"The {split} text of the corpus {corpus.name!r}, {corpus.texts[split]}, has changed since "
                f"{folder.path} was trained: its sha256 was {expected} and is now {sha256}. {advice}"
            )
    for part in ("vocabulary", "splits"):
        if now[part] != before.get(part):
            raise RunError(
                f"The corpus {corpus.name!r} is read in another way than when {folder.path} was trained, so that its "
                f"ids may mean other words ({part}: {before.get(part)} then, {now[part]} now). Use the version of "
                "tiedlm that trained the run."
            )
