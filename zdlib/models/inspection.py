"""What a built model consists of, found out by running it: shapes, parameters, operations, and where gradients arrive.

Everything runs on a copy of the model on PyTorch's meta device, which propagates shapes and the autograd graph without
computing a value.
"""

import copy
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from zdlib.models.zoe.network import ZoeDepth, ZoeOutput

Model = TypeVar("Model", bound=nn.Module)
# Module of `ZoeDepth` → name in tables.
PARTS = {"encoder": "encoder", "decoder": "DPT decoder", "head": "metric bins head", "unet": "U-Net (training only)"}


@dataclass(frozen=True)
class Trace:
    """One forward pass through everything that was built.

    Attributes:
        image: (3, h, w), what the encoder sees.
        shapes: module path → shape of its output without the batch axis; several outputs are numbered
            (`encoder[0]`, `encoder[1]`, …). Modules that are not called as such have no entry.
        parameters: module path → number of parameters in it.
        stages: for each of the encoder's four maps, the parameters that it needs and the finer maps do not.
        unused: parameters that no output depends on.
    """

    image: tuple[int, ...]
    shapes: dict[str, tuple[int, ...]]
    parameters: dict[str, int]
    stages: list[int]
    unused: int


def trace(model: ZoeDepth) -> Trace:
    """Run `model` on an image of its own input size and record every module's output."""
    model = _ghost(model)
    shapes: dict[str, tuple[int, ...]] = {}
    levels: list[Tensor] = []
    handles = []
    for path, module in model.named_modules():
        handles.append(module.register_forward_hook(lambda _, __, out, path=path: shapes.update(_shapes(path, out))))
    handles.append(model.encoder.register_forward_hook(lambda _, __, out: levels.extend(out)))
    try:
        output = _forward(model)
    finally:
        for handle in handles:
            handle.remove()
    counts = {path: count_parameters(module) for path, module in model.named_modules() if path}
    used: set[int] = set()
    stages = []
    for level in levels:
        reached = _reached(level, model.encoder) - used
        stages.append(sum(p.numel() for p in model.encoder.parameters() if id(p) in reached))
        used |= reached
    outputs = [t for t in (output.metric_depth, output.segmentation) if t is not None]
    reached = set().union(*(_reached(t, model) for t in outputs))
    unused = sum(p.numel() for p in model.parameters() if id(p) not in reached)
    return Trace((3, *model.config.input_size), shapes, counts, stages, unused)


def parts_table(model: ZoeDepth) -> pd.DataFrame:
    """Parameters of each part of `model`, in all and without the U-Net: `part`, `params`."""
    rows = [
        (name, count_parameters(getattr(model, path)))
        for path, name in PARTS.items()
        if getattr(model, path, None) is not None
    ]
    total = count_parameters(model)
    rows.append(("in all (training)", total))
    if model.unet is not None:
        rows.append(("in all (inference: without the U-Net)", total - count_parameters(model.unet)))
    return pd.DataFrame(rows, columns=["part", "params"])


def gradient_reach(model: ZoeDepth) -> pd.DataFrame:
    """Which parameters learn from which loss.

    One row per part, the decoder in two: `part`, `params`, and how many of them the gradient of the depth and of the
    segmentation arrives at: `from depth`, `from segmentation`, `from neither`.
    """
    model = _ghost(model)
    output = _forward(model)
    depth = _reached(output.metric_depth, model)
    labels = set() if output.segmentation is None else _reached(output.segmentation, model)
    groups: dict[str, list[nn.Parameter]] = {}
    for path, parameter in model.named_parameters():
        part, _, rest = path.partition(".")
        name = PARTS[part]
        if part == "decoder":
            name += ": output convolutions" if rest.startswith("out_") else ": fusion"
        groups.setdefault(name, []).append(parameter)
    rows = []
    for name, parameters in groups.items():
        hits = [(p.numel(), id(p) in depth, id(p) in labels) for p in parameters]
        row = {"part": name, "params": sum(n for n, _, _ in hits)}
        row["from depth"] = sum(n for n, by_depth, _ in hits if by_depth)
        row["from segmentation"] = sum(n for n, _, by_labels in hits if by_labels)
        row["from neither"] = sum(n for n, by_depth, by_labels in hits if not by_depth and not by_labels)
        rows.append(row)
    return pd.DataFrame(rows)


def count_parameters(module: nn.Module) -> int:
    """Number of parameters, each counted once; buffers are not parameters."""
    return sum(p.numel() for p in module.parameters())


def multiply_adds(model: nn.Module, size: tuple[int, int]) -> int:
    """Multiply–adds of one forward pass in evaluation mode on one image of `size` (height, width).

    Convolutions and matrix products count, those of attention included; element-wise operations, interpolation and
    normalisation do not. "FLOPs" elsewhere are this number, or twice it.
    """
    ghost = _ghost(model)
    with torch.no_grad(), torch.device("meta"):
        shifted: list[Any] = [module for module in ghost.modules() if hasattr(module, "shift_size")]
        if shifted:
            ghost(torch.empty(1, 3, *size))  # windows and shifts take the size's values
        for block in shifted:
            block.shift_size = (0, 0)  # its mask is an addition; only `layers.attention` makes a product of it
        with FlopCounterMode(display=False) as counter:
            ghost(torch.empty(1, 3, *size))
    return counter.get_total_flops() // 2


def _ghost(model: Model) -> Model:
    """A copy without values, in evaluation mode."""
    return copy.deepcopy(model).to("meta").eval()


def _forward(model: ZoeDepth) -> ZoeOutput:
    """A forward pass of everything that was built."""
    with torch.enable_grad(), torch.device("meta"):
        return model(torch.empty(1, 3, *model.config.input_size), segmentation=model.unet is not None)


def _reached(output: Tensor, module: nn.Module) -> set[int]:
    """Identities of the parameters of `module` that `output` depends on."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(output.sum(), parameters, retain_graph=True, allow_unused=True)
    return {id(p) for p, g in zip(parameters, gradients, strict=True) if g is not None}


def _shapes(path: str, output: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of a module's output without the batch axis."""
    if isinstance(output, Tensor):
        return {path: tuple(output.shape[1:])}
    if not isinstance(output, list | tuple):
        return {}
    return {f"{path}[{i}]": tuple(t.shape[1:]) for i, t in enumerate(output) if isinstance(t, Tensor)}
