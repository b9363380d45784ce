"""ZoeDepth and Zoe-Distill as depth models; and what else they can be asked for: classes, relative depth."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from zdlib.errors import ZDError
from zdlib.labels import VOID
from zdlib.models.depth_model import DepthModel, Inference, Picture, batches, to_tensor
from zdlib.models.zoe.network import network_size

LabelMap = UInt8[np.ndarray, "_ _"]


class ZoeDepthModel(DepthModel):
    """Metric depth; the decoder's relative inverse depth where the convention's kind is `relative`."""

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the metric heads."""
        return tuple(domain.name for domain in self.network.config.domains)

    def forward(self, images: Float[Tensor, "b 3 h w"], domain: int | None = None) -> Float[Tensor, "b 1 _ _"]:
        """The network resizes and normalises the images itself."""
        domains = None if domain is None else torch.full((len(images),), domain, device=images.device)
        output = self.network(images, domains=domains)
        return output.rel_depth if self.convention.kind == "relative" else output.metric_depth

    def camera_scale(self, size: tuple[int, ...], focal: float) -> float:
        """The focal length at the network's input over the canonical one, if the weights have one."""
        if self.convention.canonical_focal is None:
            return 1.0
        config = self.network.config
        at_input = network_size(size, config.input_size, config.keep_aspect_ratio)
        # Sides are rounded to multiples of 32, so that they may shrink by factors that differ a little.
        shrunk = (at_input[0] / size[0] * at_input[1] / size[1]) ** 0.5
        return float(focal * shrunk / self.convention.canonical_focal)

    def relative(self) -> "ZoeDepthModel":
        """The same network, giving its relative inverse depth."""
        return ZoeDepthModel(self.network, self.convention.model_copy(update={"kind": "relative"}), self.info)

    def predict_labels(self, pictures: Iterable[Picture], options: Inference) -> Iterator[LabelMap]:
        """The most likely class of each pixel at the picture's own size, without flip averaging.

        Logits are enlarged (bilinear, corners aligned) before the argmax, as in the losses. A model trained with void
        ignored chooses among classes 1..13; one that was taught void as a class may also answer 0.

        Raises:
            ZDError: the network has no segmentation head.
        """
        first = VOID if self.convention.void == "class" else VOID + 1
        for batch in batches(pictures, options.batch_size, "segmentation"):
            with self.inference(options.precision):
                images = self.squeezed(to_tensor(batch, self.device))
                logits = self.network(images, segmentation=True).segmentation
                if logits is None:
                    raise ZDError("classes: this model has no segmentation head: load it with segmentation=True")
                logits = F.interpolate(logits.float(), size=batch[0].shape[:2], mode="bilinear", align_corners=True)
                labels = (logits[:, first:].argmax(1) + first).to(torch.uint8).cpu().numpy()
            yield from labels
