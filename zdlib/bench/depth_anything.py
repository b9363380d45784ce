"""Depth Anything against transformers' DepthAnything: the same weights, the same pictures, the same depth.

Between the sizes of its position table transformers samples it at n / 37, the authors at (n + 0.1) / 37, and so do we.
For both to compute one function, that tenth is left out here, in the contestant's own process; it costs no time.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from zdlib.bench.cases import Case
from zdlib.errors import ZDError
from zdlib.models.depth_anything import registry
from zdlib.models.depth_anything.architecture import DepthAnythingConfig
from zdlib.models.depth_anything.checkpoints import create_model, load_checkpoint, save_checkpoint
from zdlib.models.depth_anything.depth_model import DepthAnythingModel
from zdlib.models.depth_anything.network import DepthAnything
from zdlib.models.depth_anything.transformers_keys import into_transformers, reference_network
from zdlib.models.depth_model import Convention, Inference
from zdlib.models.encoders import dinov2
from zdlib.models.inspection import multiply_adds
from zdlib.models.layers.colours import imagenet


def is_depth_anything(case: Case) -> bool:
    """Whether a case is about one of these networks."""
    return isinstance(registry.ARCHITECTURES.get(case.model), DepthAnythingConfig)


def write_weights(case: Case, path: Path, enliven: Callable[[nn.Module], None]) -> int:
    """Random weights of the case's network, whose depth is positive everywhere; returns its multiply–adds."""
    torch.manual_seed(0)
    model = create_model(case.model, shortest_side=min(case.size))
    assert isinstance(model, DepthAnything)
    enliven(model)
    with torch.no_grad():
        model.decoder.out_depth.weight.abs_()  # what it weights has gone through a ReLU
    save_checkpoint(path, model, {})
    return multiply_adds(model, case.size)


def forward_pass(case: Case, contestant: str, weights: Path, x: Tensor) -> Callable[[], Tensor]:
    """What gives the depth (b, h, w) of a batch once.

    Raises:
        ZDError: no such contestant for these networks, or transformers is not installed.
    """
    dinov2.TABLE_OFFSET = 0.0
    network, _ = load_checkpoint(weights)
    assert isinstance(network, DepthAnything)
    if contestant == "transformers":
        theirs = reference_network(network.config)
        into_transformers(theirs, network)
        return lambda: theirs(imagenet(x)).predicted_depth
    if contestant not in ("zdlib", "zdlib bf16"):
        raise ZDError(f"{case.model}: no contestant {contestant}: choose transformers, zdlib or zdlib bf16")
    model = DepthAnythingModel(network, Convention(kind="relative"))
    once = Inference(flip=False, precision="bf16" if contestant.endswith("bf16") else "fp32")
    if once.precision == "bf16":
        model.halve_weights()  # as `zdlib predict`
    return lambda: model.depth(x, once)[:, 0]
