"""The losses of Depth Anything (Yang et al., CVPR 2024, eqs. 1 to 9), and what its second version adds as options.

Maps are inverse depth, compared image by image up to a scale and a shift of their own. Where processes train
together, "the batch" is that of all of them. Gradients flow into medians, too, as the equations say.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from zdlib.distributed import mean_over_processes, sum_over_processes

Map = Float[Tensor, "b 1 h w"]
Mask = Bool[Tensor, "b 1 h w"]
Median = Literal["middle", "lower"]
LEAST_DEVIATION = 1e-6  # a map that deviates less from its median is constant, and becomes 0
TOLERANCE = 0.85  # tokens that are this similar to the frozen encoder's are left alone


def normalised_disparity(depth: Map, mask: Mask, sky: Mask | None = None) -> tuple[Map, Mask]:
    """Labels: inverse depth of each image, its own range stretched to [0, 1]; the sky is infinitely far.

    Args:
        depth: positive where valid.
        mask: where it is valid.
        sky: pixels of the sky, which have no depth.

    Returns:
        The disparity, 0 where nothing is known, and where it is known.
    """
    disparity = torch.where(mask, 1 / torch.where(mask, depth, 1), 0)
    valid = mask
    if sky is not None:
        disparity, valid = torch.where(sky, 0, disparity), mask | sky
    low = torch.where(valid, disparity, torch.inf).amin((1, 2, 3), keepdim=True)
    high = torch.where(valid, disparity, -torch.inf).amax((1, 2, 3), keepdim=True)
    extent = (high - low).clamp(min=torch.finfo(depth.dtype).tiny)
    return torch.where(valid, (disparity - low) / extent, 0), valid


def residuals(prediction: Map, target: Map, mask: Mask, median: Median = "middle") -> Map:
    """ρ of eq. 2: |d̂* − d̂| of each image's standardised maps; 0 outside the mask.

    Args:
        prediction: a map d becomes d̂ = (d − t) / s with its median t and its mean absolute deviation s from it, both
            of the pixels inside the mask alone (zeros in the place of the others would move the median).
        target: likewise.
        mask: which pixels count.
        median: of an even number of values the mean of the two in the `middle`, or the `lower` (torch's convention).
    """
    return (standardised(prediction, mask, median) - standardised(target, mask, median)).abs()


def standardised(values: Map, mask: Mask, median: Median = "middle") -> Map:
    """Each image's d̂, see `residuals`; 0 outside the mask, and everywhere for a constant image."""
    images = []
    for image, valid in zip(values, mask, strict=True):
        inside = image[valid]
        if len(inside) == 0:
            images.append(torch.zeros_like(image))
            continue
        centre = inside.median()
        if median == "middle":
            centre = (centre - (-inside).median()) / 2
        deviation = (inside - centre).abs().mean().clamp(min=LEAST_DEVIATION)
        images.append(torch.where(valid, (image - centre) / deviation, 0))
    return torch.stack(images)


def labelled_loss(
    prediction: Map, target: Map, mask: Mask, median: Median = "middle", ignored: float = 0.0
) -> Float[Tensor, ""]:
    """L_l, eq. 1: the mean over an image's pixels of ρ, then over the batch.

    Args:
        prediction: see `residuals`.
        target: likewise.
        mask: an image without a valid pixel counts 0.
        median: see `residuals`.
        ignored: share of an image's pixels, those with the largest ρ, that are left out: V2's 10 % rule for pseudo
            labels (V2, section 5.2), mean of what is below the quantile.
    """
    return mean_over_processes(_image_means(residuals(prediction, target, mask, median), mask, ignored))


def cutmix_loss(
    student: Map,
    teacher_inside: Map,
    teacher_outside: Map,
    inside: Mask,
    valid: Mask | None = None,
    median: Median = "middle",
    ignored: float = 0.0,
) -> Float[Tensor, ""]:
    """L_u, eqs. 5 to 8: both parts of a mixed image by their own median and scale, weighted by their areas.

    Args:
        student: prediction for the mixed image u_a ⊙ M + u_b ⊙ (1 − M).
        teacher_inside: the label of u_a, all of it.
        teacher_outside: that of u_b.
        inside: M; where it is True nowhere (or everywhere), the image is not mixed, and one part has all the weight.
        valid: pixels whose label counts; None: all.
        median: see `residuals`.
        ignored: as in `labelled_loss`, of each part.
    """
    valid = torch.ones_like(inside) if valid is None else valid
    share = inside.to(student.dtype).mean((1, 2, 3))
    total = torch.zeros_like(share)
    for teacher, part, weight in ((teacher_inside, inside, share), (teacher_outside, ~inside, 1 - share)):
        total = total + weight * _image_means(residuals(student, teacher, part & valid, median), part & valid, ignored)
    return mean_over_processes(total)


def feature_alignment_loss(
    student: Float[Tensor, "b n c"],
    frozen: Float[Tensor, "b n c"],
    tolerance: float = TOLERANCE,
    over: Literal["kept", "all"] = "kept",
) -> Float[Tensor, ""]:
    """L_feat, eq. 9: 1 − the cosine between tokens of the student and of the frozen encoder, where they differ.

    Args:
        student: last tokens of the student's encoder.
        frozen: those of the one it began as.
        tolerance: α; a token whose cosine is larger is dropped: it differs as much as depth needs it to.
        over: the mean runs over the tokens that are `kept` (0 if none is), or over `all` of them; the paper does not
            say which.
    """
    cosine = F.cosine_similarity(student, frozen, dim=-1)
    kept = cosine <= tolerance
    count = kept.sum() if over == "kept" else kept.new_tensor(kept.numel(), dtype=torch.long)
    return sum_over_processes(torch.where(kept, 1 - cosine, 0).sum()) / sum_over_processes(count).clamp(min=1)


def _image_means(rho: Map, mask: Mask, ignored: float) -> Float[Tensor, " b"]:
    """Each image's mean inside the mask, without the share of the largest values; 0 for an empty mask."""
    means = []
    for values in (r[m] for r, m in zip(rho, mask, strict=True)):
        kept = values
        if ignored and len(values):
            kept = values[values < torch.quantile(values.detach(), 1 - ignored)]
        means.append(kept.sum() / max(1, len(kept)))
    return torch.stack(means)
