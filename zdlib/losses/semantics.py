"""What semantics add to depth from video: segmentation itself, when to mask what moves, and depth within a class.

Sources: Klingner et al., ECCV 2020 (SGDepth); SGDEM's repository for the consistency of depth within a class, whose
formula as published is identically zero (`Consistency`).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from zdlib.losses.photometric import Map

IGNORED = 255
# Of Cityscapes' 19 train ids and of the twentieth class, which no label has: ENet's 1 / ln(1.10 + frequency), as in
# ERFNet's published values.
CLASS_WEIGHTS = (
    2.8149201869965, 6.9850029945374, 3.7890393733978, 9.9428062438965, 9.7702074050903, 9.5110931396484,
    10.311357498169, 10.026463508606, 4.6323022842407, 9.5608062744141, 7.8698215484619, 9.5168733596802,
    10.373730659485, 6.6616044044495, 10.260489463806, 10.287888526917, 10.289801597595, 10.405355453491,
    10.138095855713, 0.0,
)  # fmt: skip
THINGS = (5, 6, 7, 8, 9, *range(11, 19))
"""Classes whose depth SGDEM wants smooth: not road, sidewalk, building, wall, fence, sky, which are long planes."""
LEAST_PIXELS = 11
TOLERANCE = 0.05
CONSISTENCY_WEIGHT = 10.0
Consistency = Literal["corrected", "ids", "published"]


def segmentation_loss(logits: Float[Tensor, "b classes h w"], labels: Int64[Tensor, "b h w"]) -> Float[Tensor, ""]:
    """Cross-entropy weighted by class, a mean over labelled pixels by their weights; 255 is ignored."""
    weights = logits.new_tensor(CLASS_WEIGHTS[: logits.shape[1]])
    if not (labels != IGNORED).any():
        return logits.sum() * 0
    return F.cross_entropy(logits, labels, weight=weights, ignore_index=IGNORED)


# ---------------------------------------------------------------------------------------------------------- schedules
def masked_share(epoch: int, first: int = 15, steps: int = 4, linear: bool = True, constant: float = 0.1) -> float:
    """Share of frames that the epoch *after* this one masks (SGDepth): 75, 50, 25, 0 % from its epoch 16 on.

    Args:
        epoch: just finished, from 0.
        first: before whose end nothing is masked.
        steps: epochs until the share is 0.
        linear: otherwise it stays constant.
        constant: that share; 0.1 in SGDepth, 0.15 in SGDEM.
    """
    if epoch < first:
        return 0.0
    return max(0.0, 1 - (epoch - first + 1) / steps) if linear else constant


def moving_threshold(agreements: Sequence[float], share: float, over: bool = False) -> float:
    """The intersection over union that such a share of an epoch's frames lies below; no frame's if the share is 0.

    Args:
        agreements: of the epoch's frames; NaN where nothing can move.
        share: to be masked.
        over: the schedule has run past its end, and masks nothing.
    """
    valid = np.asarray(agreements)[~np.isnan(agreements)]
    if over or not len(valid):
        return 0.0
    return float(np.percentile(valid, 100 * share))


# -------------------------------------------------------------------------------------------------------- consistency
def interior(mask: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Pixels of a mask all of whose four neighbours are in it too; the picture's border is never inside."""
    padded = F.pad(mask, (1, 1, 1, 1))
    middle = padded[1:-1, 1:-1]
    return middle & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]


def consistency_loss(
    disparity: Map, labels: Int64[Tensor, "b h w"], form: Consistency = "corrected", classes: Sequence[int] = THINGS
) -> Float[Tensor, ""]:
    """Depth should not jump within a class: disparity differences of neighbours beyond 5 %, on 8-bit scale, times 10.

    10 · mean over images and classes with at least 11 pixels of 255 / (4 |I|) · Σ over the 4 neighbours and the
    interior I of max(0, |d(p) - d(p + neighbour)| - 0.05 · d(p)).

    Args:
        disparity: full-size sigmoid output.
        labels: of the same pixels, e.g. the network's own; no gradient reaches them.
        form: `corrected`; `ids`: the authors' code on class ids: signed differences of rows alone (its roll acts on
            channels and rows), so about a quarter; `published`: the same on the two-valued mask that it is really
            given, where no class is of the wanted ones: identically 0.
        classes: those that count.
    """
    if form == "published":
        labels = (labels > 0).long()
    terms = []
    for d, image in zip(disparity[:, 0], labels, strict=True):
        for number in classes:
            mask = image == number
            if int(mask.sum()) >= LEAST_PIXELS:
                terms.append(_jumps(d, interior(mask), signed=form != "corrected"))
    if not terms:
        return disparity.sum() * 0
    return CONSISTENCY_WEIGHT * torch.stack(terms).mean()


def _jumps(d: Float[Tensor, "h w"], inside: Bool[Tensor, "h w"], signed: bool) -> Float[Tensor, ""]:
    """255 / (4 |I|) · Σ; 0 where the class has no interior."""
    total = d.new_zeros(())
    for shift, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
        if signed and axis == 1:
            continue
        difference = d.roll(shift, axis) - d
        size = difference if signed else difference.abs()
        total = total + (F.relu(size - TOLERANCE * d) * inside).sum()
    return 255 * total / (4 * inside.sum().clamp(min=1))
