"""Weights with a description, as one safetensors file: the form that every family's checkpoints share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor, nn

from zdlib.errors import ZDError
from zdlib.gates.opening import explained
from zdlib.models.checkpoints import content_hash, load_exactly, read_safetensors, write_safetensors


def write_network(path: str | Path, model: Any, form: str, info: dict[str, Any]) -> None:
    """Write a network that keeps its description as `config`, with the name of its family's form."""
    write_described(path, model, {"format": form, "config": model.config.model_dump(mode="json"), "info": info})


def read_network(
    path: str | Path, form: str, build: Callable[[dict[str, Any]], Any], what: str
) -> tuple[Any, dict[str, Any]]:
    """The network that `write_network` wrote, in eval mode on the CPU; and its `info`.

    Args:
        path: the file.
        form: its family's.
        build: the network of a description's `config`, with any weights.
        what: the family, for messages.

    Raises:
        ZDError: no such file, damaged, or not of this family.
    """
    tensors, description = read_described(path)
    try:
        if description.get("format") != form:
            raise ValueError(description.get("format"))
        network = build(description["config"])
    except (ValidationError, ValueError) as error:
        raise ZDError(f"{path}: no checkpoint of {what}: name another file") from error
    load_exactly(network, tensors, str(path))
    return network.eval(), description["info"]


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
