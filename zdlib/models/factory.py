"""Build a network and fill it: by a profile's description, by name, or from a checkpoint alone."""

from pathlib import Path
from typing import Any, TypeVar

import torch

from zdlib.config import ModelConfig
from zdlib.errors import ZDError
from zdlib.gates.opening import reason
from zdlib.models.checkpoints import (
    identify,
    load_checkpoint,
    load_exactly,
    load_weights,
    network_of,
    read_safetensors,
    safetensors_keys,
    stored_convention,
)
from zdlib.models.depth_model import DepthModel
from zdlib.models.registry import architecture
from zdlib.models.zoe.architecture import Architecture
from zdlib.models.zoe.depth_model import ZoeDepthModel
from zdlib.models.zoe.network import ZoeDepth
from zdlib.models.zoe.transformers_keys import from_transformers
from zdlib.paths import resolve

DEVICES = ("cpu", "cuda", "mps", "xpu")  # others of torch's hold no values, or are of no use here
M = TypeVar("M", bound=DepthModel)


def build_model(config: ModelConfig, segmentation: bool = False) -> ZoeDepth:
    """The model of a profile's `model` section (or of an `Architecture`), in training mode.

    Raises:
        ZDError: unknown encoder, or its weights cannot be had.
    """
    weights = config.encoder_weights
    built_in = weights in ("none", "packaged")
    description = config.model_dump() | ({} if built_in else {"encoder_weights": "none"})
    model = network_of(Architecture.model_validate(description), segmentation)
    if not built_in:
        load_weights(model, resolve(weights))
    return model.train()  # a module begins in training mode, but with the encoder's batch normalisation in it too


def create_model(name: str, weights: str | None = None, segmentation: bool = False, **changes: Any) -> ZoeDepth:
    """Build a model by name, in eval mode on the CPU.

    Args:
        name: one of `list_models()`.
        weights: a checkpoint of ours, an official ZoeDepth one, or a MiDaS one (encoder and decoder only; the metric
            head keeps its random values). None: random weights. Nothing is ever downloaded.
        segmentation: build the training-only U-Net too.
        **changes: fields of `Architecture` to change.

    Raises:
        ZDError: unknown name, or the weights are not this model's.
    """
    model = build_model(architecture(name, **changes), segmentation)
    if weights is not None:
        load_weights(model, weights)
    return model.eval()


def load_depth_model(
    path: str | Path, name: str | None = None, device: str | torch.device = "cpu", segmentation: bool = False
) -> ZoeDepthModel:
    """The network of a checkpoint of any kind, ready to predict.

    Unit and squeeze are those stored in a checkpoint of ours; an official one gives metres.

    Args:
        path: ours (`.safetensors`), an official one (`.pt`), or transformers' (`.safetensors`, too).
        name: one of `list_models()`; None finds it in the file.
        device: where to predict.
        segmentation: load the U-Net too; of ours only.

    Raises:
        ZDError: the file cannot be read or holds another model than `name`, or the device cannot be used.
    """
    info: dict[str, Any] = {}
    if is_transformers(path):
        network = transformers_network(path, name)
    elif Path(path).suffix == ".safetensors":
        network, info = load_checkpoint(path, segmentation)
        if name is not None and architecture(name) != network.config:
            raise ZDError(f"{path}: holds another model than {name}: leave --model out, the file says what it holds")
    else:
        network = create_model(name or identify(path), weights=str(path))
    return on_device(ZoeDepthModel(network, stored_convention(info, path), info), device)


def on_device(model: M, device: str | torch.device) -> M:
    """The model, its network moved.

    Raises:
        ZDError: the device cannot be used.
    """
    try:
        place = torch.device(device)
        if place.type not in DEVICES:
            raise ValueError(f"only {', '.join(DEVICES)} can")
        model.network = model.network.to(place)
    except Exception as error:  # torch's back ends raise whatever they like
        raise ZDError(f"--device {device}: cannot be used ({reason(error)}): use cpu or cuda:0") from error
    return model


# What tells the released models apart; a layer's name in transformers.
_ROUTER, _DEEPEST = "metric_head.mlp_classifier.linear1.weight", "backbone.beit.layers.23.lambda_1"


def is_transformers(path: str | Path) -> bool:
    """Whether a safetensors file is a ZoeDepth in the layout of transformers: by its keys, not by its name."""
    if Path(path).suffix != ".safetensors" or not Path(path).is_file():
        return False
    return any(key.startswith("backbone.beit.") for key in safetensors_keys(path))


def transformers_network(path: str | Path, name: str | None = None) -> ZoeDepth:
    """The network of a file in the layout of transformers, in eval mode on the CPU.

    Args:
        path: its `model.safetensors`.
        name: one of `list_models()`; None tells NK from the others by its router, and takes a single head for NYU's:
            KITTI's weights have the same keys and shapes, and want the name `zoe_k_beit_l`.

    Raises:
        ZDError: damaged, or another model's.
    """
    tensors, _ = read_safetensors(path)
    if name is None:
        if _DEEPEST not in tensors:
            raise ZDError(f"{path}: not a ZoeDepth that was released: name its architecture with --model")
        name = "zoe_nk_beit_l" if _ROUTER in tensors else "zoe_beit_l"
    network = create_model(name)
    unused = {key: value for key, value in network.state_dict().items() if key.startswith("encoder.model.fc_norm.")}
    load_exactly(network, from_transformers(tensors, str(path)) | unused, str(path))
    return network
