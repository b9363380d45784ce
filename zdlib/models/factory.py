"""Build a network and fill it: by a profile's description, or by name."""

from typing import Any

from zdlib.config import ModelConfig
from zdlib.models.checkpoints import load_weights
from zdlib.models.registry import architecture
from zdlib.models.zoe.architecture import Architecture
from zdlib.models.zoe.network import ZoeDepth
from zdlib.paths import resolve


def build_model(config: ModelConfig, segmentation: bool = False) -> ZoeDepth:
    """The model of a profile's `model` section (or of an `Architecture`), in training mode.

    Raises:
        ZDError: unknown encoder, or its weights cannot be had.
    """
    weights = config.encoder_weights
    built_in = weights in ("none", "packaged")
    description = config.model_dump() | ({} if built_in else {"encoder_weights": "none"})
    model = ZoeDepth(Architecture.model_validate(description), segmentation)
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
