"""Depth Anything's weights on disk: our own format, the authors' (`.pth`) and transformers' (`.safetensors`)."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zdlib.errors import ZDError
from zdlib.files import atomic_path
from zdlib.gates.opening import explained, reason
from zdlib.models.checkpoints import (
    load_exactly,
    read_pickle,
    read_safetensors,
    require_exactly,
    stored_convention,
    write_safetensors,
)
from zdlib.models.depth_anything.architecture import DepthAnythingConfig, MetricBinsConfig
from zdlib.models.depth_anything.depth_model import DepthAnythingModel
from zdlib.models.depth_anything.network import DepthAnything, ZoeDepthAnything
from zdlib.models.depth_anything.official_keys import Network, from_official, official_keys, to_official
from zdlib.models.depth_anything.registry import ARCHITECTURES, architecture
from zdlib.models.depth_anything.transformers_keys import from_transformers, is_transformers, to_transformers
from zdlib.models.depth_model import Convention, DepthModel
from zdlib.models.described import read_described, write_described
from zdlib.models.encoders.dinov2 import DINOv2Encoder
from zdlib.models.zoe.depth_model import ZoeDepthModel

FORMAT = "zdlib-depth-anything-1"
Config = DepthAnythingConfig | MetricBinsConfig


def network_of(config: Config) -> Network:
    """The network that a description makes, with random weights but for packaged ones."""
    return DepthAnything(config) if isinstance(config, DepthAnythingConfig) else ZoeDepthAnything(config)


def create_model(name: str, weights: str | Path | None = None, **changes: Any) -> Network:
    """Build a network by name, in eval mode on the CPU.

    Args:
        name: one of `registry.list_models()`.
        weights: a checkpoint of ours, of the authors or of transformers. None: random weights. Nothing is downloaded.
        **changes: fields of the description to change.

    Raises:
        ZDError: unknown name, or the weights are not this network's.
    """
    model = network_of(architecture(name, **changes))
    if weights is not None:
        load_weights(model, weights)
    return model.eval()


def convention_of(config: Config) -> Convention:
    """What the depth of a network means, whose weights say no more than what it is."""
    if isinstance(config, MetricBinsConfig):
        return Convention(max_depth=max(domain.max_depth for domain in config.domains))
    return Convention(kind="relative" if config.max_depth is None else "metric", max_depth=config.max_depth)


def depth_model(model: Network, info: dict[str, Any], source: str | Path) -> DepthModel:
    """A network with weights as a depth model.

    Raises:
        ZDError: what its depth means is unknown to this version.
    """
    convention = stored_convention(info, source) if "convention" in info else convention_of(model.config)
    kind = DepthAnythingModel if isinstance(model, DepthAnything) else ZoeDepthModel
    return kind(model, convention, info)


# ------------------------------------------------------------------------------------------------------- our format
def save_checkpoint(path: str | Path, model: Network, info: dict[str, Any]) -> None:
    """Write weights with what rebuilds the network and where they come from; see `zdlib.models.checkpoints`."""
    config = model.config.model_copy(update={"encoder_weights": "none"})
    kind = "relative" if isinstance(config, DepthAnythingConfig) else "bins"
    content = {"format": FORMAT, "kind": kind, "config": config.model_dump(mode="json"), "info": info}
    write_described(path, model, content)


def load_checkpoint(path: str | Path) -> tuple[Network, dict[str, Any]]:
    """Build the network that `save_checkpoint` wrote, in eval mode on the CPU; and the `info` it was saved with.

    Raises:
        ZDError: no such file, damaged, or not ours.
    """
    tensors, description = read_described(path)
    kind = DepthAnythingConfig if description.get("kind") == "relative" else MetricBinsConfig
    with explained(path, "no checkpoint of a Depth Anything", "name another file"):
        if description.get("format") != FORMAT:
            raise ValueError(f"its format is {description.get('format')}")
        config = kind.model_validate(description["config"])
        with torch.device("meta"):  # what it describes may be huge, its tensors are not
            skeleton = network_of(config.model_copy(update={"encoder_weights": "none"}))
    require_exactly(skeleton, tensors, str(path))
    model = network_of(config)
    load_exactly(model, tensors, str(path))
    return model.eval(), description["info"]


# --------------------------------------------------------------------------------------------------- others' formats
def load_weights(model: Network, path: str | Path) -> dict[str, Any]:
    """Fill a network from a file of ours, the authors' or transformers'.

    Returns:
        The `info` of a file of ours; an empty dictionary for the others.

    Raises:
        ZDError: unreadable, unsafe, or another network's.
    """
    if Path(path).suffix != ".safetensors":
        fill_official(model, read_pickle(path), path)
        return {}
    tensors, _ = read_safetensors(path)
    if is_transformers(tensors):
        if not isinstance(model, DepthAnything):
            raise ZDError(f"{path}: transformers has no metric bins on Depth Anything: name another --model")
        load_exactly(model, from_transformers(model, tensors, str(path)), str(path))
        return {}
    loaded, info = load_checkpoint(path)
    load_exactly(model, loaded.state_dict(), str(path))
    return info


def fill_official(model: Network, tensors: dict[str, Tensor], source: str | Path) -> None:
    """Fill a network with a state dict of the authors; its type is the network's.

    Raises:
        ZDError: it is another network's.
    """
    load_exactly(model, from_official(model, tensors, str(source)), str(source))


def load_encoder(model: DepthAnything, path: str | Path) -> None:
    """Fill a ViT with a file of DINOv2's (`dinov2_vits14_pretrain.pth`, …), whose names are timm's.

    Raises:
        ZDError: unreadable, unsafe, or another encoder's; or the network's encoder is no ViT.
    """
    if not isinstance(model.encoder, DINOv2Encoder):
        raise ZDError(f"{path}: the encoder {model.config.encoder} reads no file: set encoder_weights to none")
    tensors = read_pickle(path)
    mask_token = tensors.pop("mask_token", None)
    load_exactly(model.encoder.model, tensors, str(path))
    if mask_token is not None:
        model.encoder.mask_token.data.copy_(mask_token)


def save_official(path: str | Path, model: Network) -> None:
    """Write a `.pth` that the authors' code loads: the bare state dict, or their `metric_depth`'s form. Atomic.

    Raises:
        ZDError: their code cannot express this network.
    """
    tensors = to_official(model)
    with atomic_path(path) as temporary:
        try:
            torch.save({"model": tensors} if isinstance(model, ZoeDepthAnything) else tensors, temporary)
        except RuntimeError as error:  # torch's writer does not say why
            raise ZDError(f"{path}: cannot be written ({reason(error)}): free space") from error


def save_transformers(path: str | Path, model: Network) -> None:
    """Write a `model.safetensors` that transformers loads beside its own `config.json`. Atomic.

    Raises:
        ZDError: transformers cannot express this network.
    """
    if not isinstance(model, DepthAnything):
        raise ZDError(f"{path}: transformers has no metric bins on Depth Anything: write .pth")
    tensors = {key: value.contiguous() for key, value in to_transformers(model).items()}
    write_safetensors(path, tensors, {"format": "pt"})


def is_official(keys: dict[str, Tensor]) -> bool:
    """Whether a state dict is of the authors' kind: a DINOv2 (layer scale and all) under `pretrained`."""
    return any("pretrained.blocks.0.ls1.gamma" in key for key in keys)


def identify(tensors: dict[str, Tensor], source: str | Path) -> str:
    """Which network an authors' state dict holds, by keys and shapes.

    Raises:
        ZDError: none that this library knows, or one of several: V1, V2 and V2 metric have the same tensors.
    """
    shapes = {key.removeprefix("module."): tuple(value.shape) for key, value in tensors.items()}
    fitting = []
    for name, config in ARCHITECTURES.items():
        if isinstance(config, DepthAnythingConfig) and not config.is_vit:
            continue
        with torch.device("meta"):
            model = network_of(config)
        state = model.state_dict()
        keys = official_keys(state, model)
        if all(shapes.get(theirs) == tuple(state[ours].shape) for ours, theirs in keys.items()):
            fitting.append(name)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ZDError(f"{source}: its tensors fit {', '.join(fitting)} alike: say which it is with --model")
    raise ZDError(f"{source}: a Depth Anything of no known kind: name it with --model")
