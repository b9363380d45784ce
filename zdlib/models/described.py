"""Weights with a description, as one safetensors file: the form that every family's checkpoints share."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from zdlib.errors import ZDError
from zdlib.gates.opening import explained
from zdlib.models.checkpoints import content_hash, read_safetensors, write_safetensors


def write_described(path: str | Path, model: nn.Module, description: dict[str, Any]) -> None:
    """Write a network's weights with a description (JSON) and the hash of both; atomic, equal input, equal bytes."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    signed = {**description, "sha256": content_hash(tensors, description)}
    # One entry, because safetensors writes several in random order.
    write_safetensors(path, tensors, {"zdlib": json.dumps(signed, sort_keys=True)})


def read_described(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `write_described` wrote: the tensors and the description.

    Raises:
        ZDError: no such file, damaged, or not ours.
    """
    tensors, metadata = read_safetensors(path)
    with explained(path, "not a checkpoint of this project", "convert others with `zdlib convert`"):
        description = json.loads(metadata["zdlib"])
        digest = description.pop("sha256")
        if not isinstance(description["config"], dict) or not isinstance(description["info"], dict):
            raise TypeError("its config or info is no mapping")
        computed = content_hash(tensors, description)
    if digest != computed:
        raise ZDError(f"{path}: damaged (its SHA-256 does not match): get or write it again")
    return tensors, description
