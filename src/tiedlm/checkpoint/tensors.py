"""Tensors ⇄ bytes, as safetensors: no pickle, the same bytes for the same tensors."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from tiedlm.errors import ArgumentError

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
        first = names.setdefault(_identity(name, tensor), name)
        if first == name:
            stored[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        else:
            aliases[name] = first
    metadata = {ALIASES: json.dumps(aliases, sort_keys=True)} if aliases else None
    return safetensors.torch.save(stored, metadata)


def bytes_to_tensors(content: bytes) -> dict[str, Tensor]:
    """Return the tensors, on the CPU, that `tensors_to_bytes` turned into `content`.

    Names that shared a tensor share it again.

    Raises:
        ArgumentError: `content` is not a whole safetensors file.
    """
    try:
        tensors = safetensors.torch.load(content)
        aliases = json.loads(_metadata(content).get(ALIASES, "{}"))
        return tensors | {name: tensors[first] for name, first in aliases.items()}
    except (SafetensorError, KeyError, ValueError, AttributeError, TypeError) as error:
        raise ArgumentError(f"The content is not a whole safetensors file ({error}).") from error


def _identity(name: str, tensor: Any) -> Any:
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.is_meta:
        raise ArgumentError(f"{name!r} must be a dense tensor with data, but is {type(tensor).__name__}.")
    return tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()


def _metadata(content: bytes) -> dict[str, str]:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]).get("__metadata__", {})
