"""A run folder becomes a model, its vocabulary and its config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from tiedlm.checkpoint.folder import RunFolder
from tiedlm.config import from_json
from tiedlm.data.text import Vocabulary
from tiedlm.errors import RunError, TiedlmError
from tiedlm.native.device import resolve_device
from tiedlm.nn.config import ModelConfig
from tiedlm.nn.model import LanguageModel


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


def load_run(path: Path | str, *, device: str = "cpu") -> Run:
    """Return the trained run in the folder `path`, every file's checksum compared.

    Args:
        path: the run folder.
        device: where the model is to live, `cpu`, `cuda` or another that PyTorch names; whichever it was trained on.

    Raises:
        ConfigError: a device that does not exist here.
        RunError: the folder is missing, no run folder, damaged or of a newer version; no weights have been saved yet;
            or config, vocabulary and weights do not go together.
    """
    place = resolve_device(device)
    folder = RunFolder.open(path)
    if not folder.has("weights"):
        raise RunError(
            f"{folder.path} has no weights yet: its training has not ended an epoch. "
            f"Go on with it: `tiedlm train --resume {folder.path}`."
        )
    tensors = folder.read_tensors("weights")
    weights_sha256 = folder.sha256("weights")
    config = folder.read_json("config")
    vocabulary, model = _build(folder, config)
    _load_weights(model, tensors, folder)
    return Run(
        folder=folder,
        config=config,
        weights_sha256=weights_sha256,
        vocabulary=vocabulary,
        model=model.eval().to(place),
    )


def _build(folder: RunFolder, config: Any) -> tuple[Vocabulary, LanguageModel]:
    try:
        model_config = from_json(ModelConfig, config["model"], "config.model")
        vocabulary = Vocabulary.from_json(folder.read_json("vocabulary"))
        return vocabulary, LanguageModel(model_config, len(vocabulary))
    except (TiedlmError, KeyError, TypeError) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(
            f"The config or vocabulary of {folder.path} cannot be used: {error} "
            "It was written by another version of tiedlm, or by another program."
        ) from error


def _load_weights(model: LanguageModel, tensors: dict[str, Tensor], folder: RunFolder) -> None:
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise RunError(
            f"The weights of {folder.path} do not fit the model of its config and vocabulary: {error} "
            "The folder was put together from several runs, or written by another version of tiedlm."
        ) from error
