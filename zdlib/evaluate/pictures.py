"""The depth of one picture, in one call."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from zdlib.data.formats.images import read_picture
from zdlib.models.catalogue import load_depth_model
from zdlib.models.depth_model import Inference


def predict(
    picture: str | Path | np.ndarray,
    weights: str | Path,
    options: Inference | None = None,
    *,
    model: str | None = None,
    device: str = "cpu",
) -> Float32[np.ndarray, "h w"]:
    """Depth of one picture by a checkpoint; for several pictures, `zdlib.models.catalogue.load_depth_model` once.

    Args:
        picture: an image file, or (h, w, 3) uint8 RGB.
        weights: a checkpoint: ours (`.safetensors`) or an official one (`.pt`, `.pth`).
        options: how; by default as the network's authors do it, at the picture's size.
        model: one of `list_models()`, which an official file holds; None finds it by the file's keys.
        device: where to compute: `cpu`, `cuda`, `cuda:1`, ….

    Returns:
        Metres; of a checkpoint of relative depth, inverse depth of arbitrary scale and shift.

    Raises:
        ZDError: a file cannot be read, it is no such picture or too small a one, or the device cannot be used.
    """
    if isinstance(picture, str | Path):
        picture = read_picture(Path(picture), "name an image file", "RGB")
    return load_depth_model(weights, model, device)(picture, options)
