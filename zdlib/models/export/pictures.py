"""What an exported file computes: a batch of pictures of one size → their depth, as `DepthModel.depth` does it."""

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from zdlib.geometry import assumed_focal
from zdlib.models.depth_model import DepthModel, Inference, border, with_border
from zdlib.models.export.parts import in_graph_form
from zdlib.models.memory import keep_freed_memory

INPUT = "pictures"


class Pictures(nn.Module):
    """Pictures to depth, with everything between them: colours, border, resizing, network, metres, picture's size.

    Args:
        model: whose network.
        options: how; precision is float32's.
        size: height and width of the pictures.

    Raises:
        ZDError: no such domain.
    """

    def __init__(self, model: DepthModel, options: Inference, size: tuple[int, int]):
        super().__init__()
        self.model, self.network, self.options = model, model.network, options
        self.domain = model._index(options.domain)
        self.border = border(*size) if options.pad else (0, 0)
        rows, columns = self.border
        self.focal = options.focal or assumed_focal(*size)
        padded = size[0] + 2 * rows, size[1] + 2 * columns
        metric = model.convention.kind == "metric"
        self.unit = model.convention.metres_per_unit * model.camera_scale(padded, self.focal) if metric else 1.0

    def forward(self, pictures: UInt8[Tensor, "b h w 3"]) -> Float32[Tensor, "b h w"]:
        """Depth of RGB pictures, at their size: metres, or relative inverse depth."""
        return self.depth(pictures.permute(0, 3, 1, 2).float() / 255)[:, 0]

    def depth(self, images: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b 1 _ _"]:
        """The same of RGB in [0, 1]; at the network's size, unless the options say otherwise."""
        height, width = images.shape[2:]
        x = with_border(images) if self.options.pad else images
        padded = x.shape[2:]
        x = self.model.squeezed(x)
        if self.options.flip:
            both = self.model.forward(torch.cat([x, x.flip(-1)]), self.domain)
            depth = (both[: x.shape[0]] + both[x.shape[0] :].flip(-1)) / 2
        else:
            depth = self.model.forward(x, self.domain)
        if self.options.full_size:
            rows, columns = self.border
            depth = self.model.enlarge(depth, tuple(padded))
            depth = depth[:, :, rows : rows + height, columns : columns + width]
        return depth * self.unit


class Images(Pictures):
    """The network alone: RGB in [0, 1] of the network's size to depth of that size; what `zdlib bench` times."""

    def forward(self, pictures: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b h w"]:
        """Depth of RGB in [0, 1]."""
        return self.depth(pictures)[:, 0]


def example(size: tuple[int, int], count: int = 2) -> UInt8[Tensor, "b h w 3"]:
    """Pictures with something on them at every scale, each another: what exports are tried on."""
    generator = torch.Generator().manual_seed(0)
    picture = torch.zeros(count, 3, *size)
    side = 1
    while side < min(size):
        noise = torch.rand(count, 3, side + 1, side + 1, generator=generator)
        picture += torch.nn.functional.interpolate(noise, size=size, mode="bilinear", align_corners=True)
        side *= 4
    low, high = picture.amin(), picture.amax()
    return ((picture - low) / (high - low) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def trace(module: Pictures, inputs: Tensor) -> tuple[ExportedProgram, Tensor]:
    """The graph of a module for any number of pictures, and what PyTorch itself computes of `inputs`.

    Raises:
        ZDError: the network cannot be written as one graph; pictures of that size are not for it.
    """
    keep_freed_memory()
    training = module.model.network.training
    module.eval()
    try:
        with torch.no_grad():
            expected = module(inputs)  # the encoders take on the size
            with in_graph_form(module.model):
                shapes = {INPUT: {0: Dim("batch", min=1, max=2**16)}}
                program = torch.export.export(module, (inputs,), dynamic_shapes=shapes, strict=False)
    finally:
        module.network.train(training)
    return program, expected
