"""The network that a user names, or the one in the box."""

from collections.abc import Callable
from pathlib import Path

import torch

from zdlib.errors import ZDError
from zdlib.models.catalogue import list_models, load_depth_model
from zdlib.models.depth_model import DepthModel
from zdlib.models.factory import on_device

PACKAGED = "zoe_light"
PACKAGED_FILE = Path(__file__).parent / "weights" / "zoe_light.safetensors"
PACKAGED_CARD = Path(__file__).parent / "weights" / "zoe_light.md"


def chosen_model(
    name: str | None = None,
    weights: str | Path | None = None,
    device: str | torch.device = "cpu",
    say: Callable[[str], None] = print,
) -> DepthModel:
    """The depth model of a name, of a checkpoint, or of neither: then `zoe_light`, which comes with the library.

    Args:
        name: `zoe_light`, `meter_nyu`, `meter_kitti`, one of `list_models()`, or the hub's name of the repository that
            holds its weights (`depth-anything/Depth-Anything-V2-Small`).
        weights: a checkpoint: ours, an official one, or transformers'; None takes the packaged file, or fetches the
            released one.
        device: where to predict.
        say: is told in one line which network it is, and what is downloaded.

    Raises:
        ZDError: no such network; its weights cannot be had, or are another's; the device cannot be used.
    """
    from zdlib.models.hub import hub_file, on_hub
    from zdlib.models.released import METER, released_meter

    if name in METER:
        return on_device(released_meter(name, None if weights is None else Path(weights)), device)
    if name == PACKAGED or (name is None and weights is None):
        if name is None:
            say(
                f"{PACKAGED}: the light network that comes with zdlib ({PACKAGED_CARD} says what it has seen); "
                "better and slower ones: --model zoe_nk_beit_l, zoe_beit_l"
            )
        return load_depth_model(weights or PACKAGED_FILE, None, device)
    if name is not None and (released := on_hub(name)) is not None:
        name, releases = released
        weights = weights or hub_file(name, releases, say)
    elif weights is None:
        if name in list_models():
            raise ZDError(f"{name}: its weights cannot be fetched by name: name a checkpoint with --weights")
        raise ZDError(f"{name}: no such model: choose one of {', '.join([PACKAGED, *METER, *list_models()])}")
    return load_depth_model(weights, name, device)
