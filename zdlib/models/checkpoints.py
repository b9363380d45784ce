"""Weights on disk: our own format (safetensors), the authors' (.pt); safely read and atomically written."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from zdlib.config import ModelConfig
from zdlib.errors import ZDError
from zdlib.files import atomic_path
from zdlib.models.depth_model import Convention
from zdlib.models.registry import ARCHITECTURES
from zdlib.models.zoe.architecture import Architecture
from zdlib.models.zoe.guided import GuidedZoeDepth
from zdlib.models.zoe.network import ZoeDepth
from zdlib.models.zoe.official_keys import from_official, official_keys, to_official
from zdlib.recipes import RECIPES

FORMAT = "zdlib-1"


def network_of(config: Architecture, segmentation: bool = False) -> ZoeDepth:
    """The network that an architecture describes, with random weights but for packaged ones."""
    return (GuidedZoeDepth if config.label_input else ZoeDepth)(config, segmentation)


def save_checkpoint(path: str | Path, model: ZoeDepth, config: ModelConfig, info: dict[str, Any]) -> None:
    """Write a model's weights with what rebuilds it and where it comes from.

    Args:
        path: `.safetensors`, written atomically; equal input gives equal bytes.
        model: its U-Net is written too if it was built.
        config: its architecture.
        info: anything JSON can say: metrics, recipe, frames trained on, git commit. What the depth means belongs
            there as `convention`, a `Convention` of plain values.
    """
    architecture = Architecture.model_validate(config.model_dump() | {"encoder_weights": "none"})
    description = {"format": FORMAT, "config": architecture.model_dump(mode="json"), "info": info}
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    description["sha256"] = content_hash(tensors, description)
    # One entry, because safetensors writes several in random order.
    metadata = {"zdlib": json.dumps(description, sort_keys=True)}
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
        description = json.loads(metadata["zdlib"])
        digest = description.pop("sha256")
        config = Architecture.model_validate(description["config"])
        info = description["info"]
    except (KeyError, TypeError, AttributeError, ValidationError, json.JSONDecodeError) as error:
        raise ZDError(f"{path}: not a checkpoint of this project: convert others with `zdlib convert`") from error
    if digest != content_hash(tensors, description):
        raise ZDError(f"{path}: damaged (its SHA-256 does not match): get or write it again")
    if not segmentation:
        tensors = {key: value for key, value in tensors.items() if not key.startswith("unet.")}
    elif not any(key.startswith("unet.") for key in tensors):
        raise ZDError(f"{path}: holds no segmentation head: load it with segmentation=False")
    model = network_of(config, segmentation)
    load_exactly(model, tensors, str(path))
    return model.eval(), info


def stored_convention(info: dict[str, Any], source: str | Path) -> Convention:
    """What the depth of a checkpoint means, from the `info` it was saved with.

    A checkpoint of version 0.1 names its recipe, whose values are looked up in today's table; one without either was
    converted from an official file: metres.

    Raises:
        ZDError: values or a recipe that this version does not know.
    """
    try:
        if "convention" in info:
            return Convention.model_validate(info["convention"])
        return Convention.of(RECIPES[info["recipe"]]) if "recipe" in info else Convention()
    except (ValidationError, KeyError, TypeError) as error:
        raise ZDError(
            f"{source}: what its depth means was written by another version: use that one, or convert"
        ) from error


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


def content_hash(tensors: dict[str, Tensor], description: dict[str, Any]) -> str:
    """SHA-256 over the description, and names, types, shapes and bytes of all tensors."""
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for key, tensor in sorted(tensors.items()):
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load_weights(model: ZoeDepth, path: str | Path) -> dict[str, Any]:
    """Fill a model from a file of ours, an official ZoeDepth one, or a MiDaS one.

    A MiDaS file (no metric head) fills encoder and decoder, one with an encoder alone just that; every tensor of the
    parts it does fill must be there.

    Returns:
        The `info` of a file of ours; an empty dictionary for the others.

    Raises:
        ZDError: unreadable, unsafe, or another model's.
    """
    if Path(path).suffix == ".safetensors":
        loaded, info = load_checkpoint(path, segmentation=model.unet is not None)
        load_exactly(model, loaded.state_dict(), str(path))
        return info
    tensors = from_official(model, read_pickle(path), str(path))
    parts = {key.split(".")[0] for key in tensors}
    if not parts:
        raise ZDError(f"{path}: holds no weights: take the checkpoint of this very model")
    for part in ("encoder", "decoder", "head"):
        if part in parts:
            own = {key.removeprefix(f"{part}."): v for key, v in tensors.items() if key.startswith(f"{part}.")}
            load_exactly(getattr(model, part), own, str(path))
    return {}


def identify(path: str | Path) -> str:
    """Which model an official ZoeDepth file holds, by its keys and shapes.

    Raises:
        ZDError: unreadable, or none that this library knows.
    """
    shapes = {key.removeprefix("module."): tuple(value.shape) for key, value in read_pickle(path).items()}
    for name, config in ARCHITECTURES.items():
        if config.encoder.startswith(("swin", "beit_")):
            with torch.device("meta"):
                state = ZoeDepth(config).state_dict()
            keys = official_keys(state, config)
            if all(shapes.get(theirs) == tuple(state[ours].shape) for ours, theirs in keys.items()):
                return name
    raise ZDError(f"{path}: not a whole ZoeDepth model of a known kind: name it with --model")


def save_official(path: str | Path, model: ZoeDepth) -> None:
    """Write a `.pt` that the authors' code loads; the U-Net is left out. Atomic.

    Raises:
        ZDError: their code cannot express this model.
    """
    tensors = to_official(model)
    with atomic_path(path) as temporary:
        torch.save({"model": tensors}, temporary)


def read_pickle(path: str | Path) -> dict[str, Tensor]:
    """Tensors of a `.pt` file: a state dict, bare or under "model". No code in it is ever run.

    Raises:
        ZDError: missing, damaged, compressed (torch never writes that, a zip bomb is), or with more than tensors in it.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                    raise ZDError(f"{path}: compressed inside, so not written by torch: do not trust it")
                if (broken := archive.testzip()) is not None:
                    raise ZDError(f"{path}: damaged ({broken} fails its checksum): get it again")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except ZDError:
        raise
    except FileNotFoundError as error:
        raise ZDError(f"{path}: no such file: name another checkpoint") from error
    except Exception as error:  # torch, zipfile and pickle each raise many kinds on hostile bytes
        reason = _line(error)
        raise ZDError(f"{path}: damaged, or holds more than tensors (nothing in it was run): {reason}") from error
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        content = content["model"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ZDError(f"{path}: not a state dict: take a checkpoint of ZoeDepth or MiDaS")
    return content


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
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, OverflowError) as error:
        raise ZDError(f"{path}: damaged or not safetensors ({_line(error)}): get or write it again") from error


def _line(error: Exception) -> str:
    """An error's first sentence, on one line."""
    return " ".join(str(error).split(". ")[0].split())[:200]
