"""Every network of every paper by name, and the network of any checkpoint: for what uses them all.

Trainings do not import this: each knows the networks of its own paper, and stays valid when another one moves in.
"""

from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from zdlib.errors import ZDError
from zdlib.gates.opening import reason
from zdlib.models import factory, registry
from zdlib.models.checkpoints import (
    read_pickle,
    read_safetensors,
    save_checkpoint,
    save_official,
    write_safetensors,
)
from zdlib.models.depth_anything import checkpoints as depth_anything
from zdlib.models.depth_anything import registry as depth_anything_registry
from zdlib.models.depth_anything.network import DepthAnything, ZoeDepthAnything
from zdlib.models.depth_anything.transformers_keys import is_transformers
from zdlib.models.depth_model import DepthModel
from zdlib.models.garg import checkpoints as garg
from zdlib.models.sgdem import checkpoints as sgdem
from zdlib.models.zoe.network import ZoeDepth
from zdlib.models.zoe.transformers_keys import to_transformers


def list_models() -> list[str]:
    """The names that `create_model` takes."""
    return sorted([*registry.list_models(), *depth_anything_registry.list_models()])


def create_model(name: str, weights: str | None = None, segmentation: bool = False, **changes: Any) -> nn.Module:
    """Build a network by name, in eval mode on the CPU.

    Args:
        name: one of `list_models()`.
        weights: a checkpoint of ours or an official one. None: random weights. Nothing is ever downloaded.
        segmentation: build the training-only U-Net too, of a Zoe-Distill.
        **changes: fields of its description to change.

    Raises:
        ZDError: unknown name, or the weights are not this network's.
    """
    if name in depth_anything_registry.ARCHITECTURES:
        return depth_anything.create_model(name, weights, **changes)
    if name not in registry.ARCHITECTURES:
        raise ZDError(f"{name}: no such model: choose one of {', '.join(list_models())}")
    return factory.create_model(name, weights, segmentation, **changes)


def load_depth_model(path: str | Path, name: str | None = None, device: str | torch.device = "cpu") -> DepthModel:
    """The network of a checkpoint of any kind, ready to predict.

    Args:
        path: ours or transformers' (`.safetensors`), or an official one (`.pt`, `.pth`).
        name: one of `list_models()`; None finds it in the file. Official files of Depth Anything need it: V1, V2 and
            V2 metric have the same tensors.
        device: where to predict.

    Raises:
        ZDError: the file cannot be read or holds another network than `name`, or the device cannot be used.
    """
    if name is not None and name not in list_models():
        raise ZDError(f"{name}: no such model: choose one of {', '.join(list_models())}")
    model = (_described if Path(path).suffix == ".safetensors" else _official)(path, name)
    if model is None:
        return factory.load_depth_model(path, name, device)
    try:
        place = torch.device(device)
        if place.type not in factory.DEVICES:
            raise ValueError(f"only {', '.join(factory.DEVICES)} can")
        model.network.to(place)
    except Exception as error:  # torch's back ends raise whatever they like
        raise ZDError(f"--device {device}: cannot be used ({reason(error)}): use cpu or cuda:0") from error
    return model


def _described(path: str | Path, name: str | None) -> DepthModel | None:
    """What a `.safetensors` holds, unless it is for ZoeDepth's own loader."""
    mine = name in depth_anything_registry.ARCHITECTURES
    tensors, metadata = read_safetensors(path)
    if is_transformers(tensors):
        if name is None:
            raise ZDError(f"{path}: a Depth Anything of transformers: say which it is with --model")
        return depth_anything.depth_model(depth_anything.create_model(name, path), {}, path)
    said = metadata.get("zdlib", "")
    if name is None and f'"format": "{garg.FORMAT}"' in said:
        return garg.load_depth_model(path)
    if name is None and f'"format": "{sgdem.FORMAT}"' in said:
        return sgdem.load_depth_model(path)
    if not mine and f'"format": "{depth_anything.FORMAT}"' not in said:
        return None
    network, info = depth_anything.load_checkpoint(path)
    if name is not None and (not mine or depth_anything_registry.architecture(name) != network.config):
        raise ZDError(f"{path}: holds another model than {name}: leave --model out, the file says what it holds")
    return depth_anything.depth_model(network, info, path)


def _official(path: str | Path, name: str | None) -> DepthModel | None:
    """What an official file holds, unless it is for ZoeDepth's own loader."""
    mine = name in depth_anything_registry.ARCHITECTURES
    if name is not None and not mine:
        return None
    content = read_pickle(path)
    if not mine and not depth_anything.is_official(content):
        return None
    network = depth_anything.create_model(name or depth_anything.identify(content, path))
    depth_anything.fill_official(network, content, path)
    return depth_anything.depth_model(network, {}, path)


def save_as(path: Path, model: DepthModel, info: dict[str, Any], layout: Literal["ours", "transformers"]) -> None:
    """Write a network's weights: by the name's ending in its authors' layout (`.pt`, `.pth`) or in another.

    Args:
        path: what to write; atomic.
        model: what was loaded.
        info: what a file of ours says of them.
        layout: of a `.safetensors`.

    Raises:
        ZDError: the layout has no place for this network.
    """
    network, mine = model.network, isinstance(model.network, DepthAnything | ZoeDepthAnything)
    if path.suffix in (".pt", ".pth"):
        (depth_anything.save_official if mine else save_official)(path, network)
    elif layout == "transformers":
        if mine:
            depth_anything.save_transformers(path, network)
        else:
            _save_zoe_as_transformers(path, network)
    elif mine:
        depth_anything.save_checkpoint(path, network, info)
    else:
        save_checkpoint(path, network, network.config, info)


def _save_zoe_as_transformers(path: Path, network: nn.Module) -> None:
    if not isinstance(network, ZoeDepth):
        raise ZDError(f"{path}: transformers has no such network: leave --layout out")
    tensors = to_transformers(network.state_dict(), len(network.config.domains))
    write_safetensors(path, tensors, {"format": "pt"})


def require_sayable(model: DepthModel, source: Path) -> None:
    """Insist that an official layout says all of what a network's depth means.

    It holds no unit. Depth Anything's networks say themselves whether they give metres, others do not.

    Raises:
        ZDError: it cannot; `source` is named.
    """
    meant, says_kind = model.convention, isinstance(model.network, DepthAnything)
    squeezed = ", of squeezed pictures" if meant.portrait_resize else ""
    camera = meant.canonical_focal is not None
    if (meant.kind != "metric" and not says_kind) or meant.metres_per_unit != 1 or meant.portrait_resize or camera:
        raise ZDError(
            f"{source}: the official layout cannot say that its depth is {meant.kind}, in units of "
            f"{meant.metres_per_unit:g} m{squeezed}: keep it as it is"
        )
