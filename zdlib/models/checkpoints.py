"""Weights on disk: our own format (safetensors), safely read and atomically written."""

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from zdlib.config import ModelConfig
from zdlib.errors import ZDError
from zdlib.io import atomic_path
from zdlib.models.architecture import Architecture
from zdlib.models.zoe import ZoeDepth

FORMAT = "zdlib-1"


def save_checkpoint(path: str | Path, model: ZoeDepth, config: ModelConfig, info: dict[str, Any]) -> None:
    """Write a model's weights with what rebuilds it and where it comes from.

    Args:
        path: `.safetensors`, written atomically; equal input gives equal bytes.
        model: its U-Net is written too if it was built.
        config: its architecture.
        info: anything JSON can say: metrics, recipe, frames trained on, git commit.
    """
    architecture = Architecture.model_validate(config.model_dump() | {"encoder_weights": "none"})
    metadata = {"format": FORMAT, "config": architecture.model_dump_json(), "info": json.dumps(info, sort_keys=True)}
    tensors = {key: value.detach().contiguous() for key, value in model.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata)


def load_checkpoint(path: str | Path, segmentation: bool = False) -> tuple[ZoeDepth, dict[str, Any]]:
    """Build the model that `save_checkpoint` wrote, in eval mode on the CPU.

    Args:
        path: a checkpoint of ours.
        segmentation: build and load the U-Net too; without it, the model has no such parameters.

    Returns:
        The model, and the `info` it was saved with.

    Raises:
        ZDError: no such file, damaged, not ours, or without the U-Net that was asked for.
    """
    tensors, metadata = read_safetensors(path)
    try:
        config = Architecture.model_validate_json(metadata["config"])
        info = json.loads(metadata["info"])
    except (KeyError, ValidationError, json.JSONDecodeError) as error:
        raise ZDError(f"{path}: not a checkpoint of this project: convert others with `zdlib convert`") from error
    if not segmentation:
        tensors = {key: value for key, value in tensors.items() if not key.startswith("unet.")}
    elif not any(key.startswith("unet.") for key in tensors):
        raise ZDError(f"{path}: holds no segmentation head: load it with segmentation=False")
    model = ZoeDepth(config, segmentation)
    load_exactly(model, tensors, str(path))
    return model.eval(), info


def load_exactly(model: torch.nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """`load_state_dict`, with every key and shape checked first.

    Raises:
        ZDError: a missing key, an unknown key or a wrong shape; the first few are listed.
    """
    own = model.state_dict()
    problems = [f"{key} is missing" for key in own if key not in tensors]
    problems += [f"{key} is unknown" for key in tensors if key not in own]
    problems += [
        f"{key} is {tuple(tensors[key].shape)}, not {tuple(value.shape)}"
        for key, value in own.items()
        if key in tensors and tensors[key].shape != value.shape
    ]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ZDError(f"{source}: {'; '.join(problems[:5])}{more}: take the checkpoint of this very model")
    model.load_state_dict(tensors)


def read_safetensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        ZDError: missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in list(file.keys())}, file.metadata() or {}
    except FileNotFoundError as error:
        raise ZDError(f"{path}: no such file: train the model first, or name another checkpoint") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise ZDError(f"{path}: damaged or not safetensors ({error}): get or write it again") from error
