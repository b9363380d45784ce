"""The training losses: scale-invariant log depth, and Dice + focal segmentation.

Where processes train together, "the batch" is that of all of them.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from zdlib.distributed import sum_over_processes
from zdlib.geometry import resize
from zdlib.labels import VOID
from zdlib.recipes import Recipe


def silog_loss(
    prediction: Float[Tensor, "b 1 _ _"],
    target: Float[Tensor, "b 1 h w"],
    mask: Bool[Tensor, "b 1 h w"],
) -> Float[Tensor, ""]:
    """Scale-invariant log loss over all valid pixels of the batch together.

    With g = ln(prediction + 1e-7) − ln(target + 1e-7):  L = 10 · √(Var(g) + 0.15 · mean(g)²), Var unbiased.
    Source: Eigen et al. 2014, in the form of BTS, AdaBins and ZoeDepth.

    Args:
        prediction: positive depth in the target's unit, of any size; brought to the target's size.
        target: ground-truth depth, same unit.
        mask: True where the target is valid; at least two pixels.
    """
    prediction = resize(prediction, (target.shape[-2], target.shape[-1]))
    # Sums under the mask, not g[mask]: picking pixels costs three times as much, and a GPU has to report their number.
    g = torch.where(mask, torch.log(prediction + 1e-7) - torch.log(target + 1e-7), 0)
    n = sum_over_processes(mask.sum())
    mean = sum_over_processes(g.sum()) / n
    variance = sum_over_processes(torch.where(mask, g - mean, 0).square().sum()) / (n - 1)
    return 10 * torch.sqrt(variance + 0.15 * mean**2)


class SegmentationLosses(nn.Module):
    """Dice and binary focal loss on the sigmoid of every class channel.

    Dice (Milletari et al. 2016): per channel over all pixels of the batch 1 − 2Σpy / Σ(p+y); a channel without positive
    pixels counts 0; mean over all channels. Focal (Lin et al. 2017): (1 − p_t)² · cross-entropy, no α, mean over
    all pixels and channels. Both equal segmentation-models-pytorch's multilabel losses, which the original used.

    A pixel is positive in one channel at most: the focal loss is that of "negative everywhere", corrected in the one
    channel that is not. That shares the sigmoid with Dice and passes over the maps a third as often as the library
    does, whose share of a light network's training step was 30 %.

    Args:
        void: `class` learns unlabelled pixels as class 0, as the original did; `ignore` leaves them out.
    """

    def __init__(self, void: Literal["class", "ignore"]):
        super().__init__()
        self.void = void

    def forward(
        self, logits: Float[Tensor, "b c _ _"], labels: Int64[Tensor, "b h w"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Dice and focal loss; `labels` are class ids below c, the logits are brought to their size."""
        logits = resize(logits, (labels.shape[-2], labels.shape[-1])).flatten(2)  # b c n
        ids = labels.flatten(1)[:, None]  # b 1 n
        taught = torch.ones_like(ids, dtype=torch.bool) if self.void == "class" else ids != VOID  # b 1 n
        weight = taught.to(logits.dtype)
        # A batch without labels teaches nothing, and its loss is 0, not NaN.
        n_taught = sum_over_processes(weight.sum()).clamp(min=1)

        p = logits.sigmoid()
        own = logits.gather(1, ids)  # b 1 n
        count = sum_over_processes(_sum_by_class(weight, ids, logits.shape[1]))  # c
        mass = sum_over_processes((p @ weight.mT).sum((0, 2)))  # c
        hits = sum_over_processes(_sum_by_class(own.sigmoid() * weight, ids, logits.shape[1]))  # c
        dice = 1 - 2 * hits / (mass + count).clamp(min=1e-7)

        as_negative = ((p.square() * F.softplus(logits)) @ weight.mT).sum()
        as_positive = own.neg().sigmoid().square() * F.softplus(-own) - own.sigmoid().square() * F.softplus(own)
        focal = sum_over_processes(as_negative + (as_positive * weight).sum()) / (n_taught * logits.shape[1])
        return (dice * (count > 0)).mean(), focal


def _sum_by_class(values: Float[Tensor, "b 1 n"], ids: Int64[Tensor, "b 1 n"], classes: int) -> Float[Tensor, " c"]:
    return values.new_zeros(classes).index_add(0, ids.flatten(), values.flatten())


class ZoeDistillLoss(nn.Module):
    """SILog + w · (Dice + focal), the loss of Zoe-Distill; w = 0 is the control and needs no segmentation.

    Args:
        recipe: decides what void pixels are to the segmentation losses.
        seg_weight: w; the paper's is 0.1.
    """

    def __init__(self, recipe: Recipe, seg_weight: float):
        super().__init__()
        self.seg_weight = seg_weight
        self.segmentation = SegmentationLosses(recipe.void)

    def forward(
        self,
        metric_depth: Float[Tensor, "b 1 _ _"],
        logits: Float[Tensor, "b c _ _"] | None,
        batch: dict[str, Tensor],
    ) -> dict[str, Tensor]:
        """`total` and its unweighted parts (`silog`, and `dice` and `focal` where the weight is not 0)."""
        silog = silog_loss(metric_depth, batch["depth"], batch["mask"])
        if self.seg_weight == 0:
            return {"total": silog, "silog": silog}
        if logits is None:
            raise ValueError("a segmentation weight needs a model that was built with its segmentation head")
        dice, focal = self.segmentation(logits, batch["labels"])
        return {"total": silog + self.seg_weight * (dice + focal), "silog": silog, "dice": dice, "focal": focal}
