"""Losses beyond the paper's: relative depth, depth edges, softmax segmentation, and learnt task weights.

The recipes use none of them; they are here to be compared with. Relative losses compare images up to a scale and a
shift, each image with its own, usually on inverse depth.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from zdlib.losses.zoe_distill import VOID, resize_to

Map = Float[Tensor, "b 1 h w"]
Mask = Bool[Tensor, "b 1 h w"]


def scale_shift_invariant_loss(prediction: Map, target: Map, mask: Mask) -> Float[Tensor, ""]:
    """½ · mean squared residual after the prediction's best affine fit to the target (MiDaS' "ssimse").

    Source: Ranftl et al., "Towards robust monocular depth estimation", TPAMI 2022, eqs. 1 to 4.

    Args:
        prediction: any affine function of the target's quantity.
        target: e.g. inverse depth.
        mask: True where the target is valid; at least two pixels of different prediction an image.
    """
    m = mask.to(prediction.dtype)
    count = m.sum((1, 2, 3), keepdim=True)
    mean_p = (prediction * m).sum((1, 2, 3), keepdim=True) / count
    mean_t = (target * m).sum((1, 2, 3), keepdim=True) / count
    p, t = (prediction - mean_p) * m, (target - mean_t) * m
    scale = (p * t).sum((1, 2, 3), keepdim=True) / p.square().sum((1, 2, 3), keepdim=True)
    return ((scale * p - t).square().sum((1, 2, 3)) / (2 * count[:, 0, 0, 0])).mean()


def affine_invariant_loss(prediction: Map, target: Map, mask: Mask, trim: float = 0.0) -> Float[Tensor, ""]:
    """Mean absolute difference of the two maps, each less its median and divided by its mean absolute deviation.

    Source: Yang et al., "Depth Anything", CVPR 2024, eqs. 1 to 3 (no trim). With `trim` 0.2, twice MiDaS' "ssitrim"
    (Ranftl et al. 2022, eqs. 5 to 7): an image's largest residuals count 0, as outliers of the target.

    Args:
        prediction: any affine function, of positive scale, of the target's quantity.
        target: e.g. inverse depth.
        mask: True where the target is valid; at least two pixels of different value an image.
        trim: share of the pixels of an image to leave out.
    """
    losses = []
    for p, t, m in zip(prediction, target, mask, strict=True):
        residuals = (_standardise(p[m]) - _standardise(t[m])).abs()
        kept = len(residuals) - int(trim * len(residuals))
        losses.append(residuals.sort().values[:kept].sum() / len(residuals))
    return torch.stack(losses).mean()


def _standardise(values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    centred = values - values.median()
    return centred / centred.abs().mean()


def gradient_matching_loss(prediction: Map, target: Map, mask: Mask, scales: int = 4) -> Float[Tensor, ""]:
    """Mean over valid pixels of |∂x R| + |∂y R|, R = prediction − target, summed over halved resolutions.

    Source: Li and Snavely, "MegaDepth", CVPR 2018; in the form of Ranftl et al. 2022, eq. 11 (4 scales, every second
    pixel each). Align prediction and target first if they are relative.
    """
    difference = (prediction - target) * mask
    total = prediction.new_zeros(())
    for level in range(scales):
        d, m = difference[..., :: 2**level, :: 2**level], mask[..., :: 2**level, :: 2**level]
        dx = (d[..., 1:] - d[..., :-1]).abs() * (m[..., 1:] & m[..., :-1])
        dy = (d[..., 1:, :] - d[..., :-1, :]).abs() * (m[..., 1:, :] & m[..., :-1, :])
        total = total + (dx.sum() + dy.sum()) / m.sum().clamp(min=1)
    return total


def gradient_loss(prediction: Map, target: Map, mask: Mask) -> Float[Tensor, ""]:
    """Mean absolute difference of the depth gradients' squared magnitudes, plus that of their angles.

    ZoeDepth's optional loss (`w_grad`, 0 in its published configurations). With g = (∂x, ∂y) from backward differences:
    magnitude ∂x² + ∂y², angle atan(∂y / (∂x + 1e-10)); where the pixel and its left and upper neighbours are valid.

    Args:
        prediction: depth, brought to the target's size by the caller.
        target: ground truth, same unit.
        mask: True where the target is valid; at least one pixel with both neighbours.
    """
    valid = mask[..., 1:, 1:] & mask[..., 1:, :-1] & mask[..., :-1, 1:]
    magnitude, angle = _polar_gradient(prediction)
    true_magnitude, true_angle = _polar_gradient(target)
    return F.l1_loss(magnitude[valid], true_magnitude[valid]) + F.l1_loss(angle[valid], true_angle[valid])


def _polar_gradient(x: Map) -> tuple[Float[Tensor, "b 1 h2 w2"], Float[Tensor, "b 1 h2 w2"]]:
    dx = x[..., 1:, 1:] - x[..., 1:, :-1]
    dy = x[..., 1:, 1:] - x[..., :-1, 1:]
    return dx.square() + dy.square(), torch.atan(dy / (dx + 1e-10))


def cross_entropy_loss(
    logits: Float[Tensor, "b c _ _"],
    labels: Int64[Tensor, "b h w"],
    class_weights: Float[Tensor, " c"] | None = None,
    ignore_void: bool = True,
) -> Float[Tensor, ""]:
    """Softmax cross-entropy, averaged with the classes' weights over the taught pixels; 0 if there is none.

    What the original's README says its segmentation does (its code takes the sigmoid of every class).

    Args:
        logits: brought to the labels' size.
        labels: class ids below c.
        class_weights: for instance `median_frequency_weights`; None = 1.
        ignore_void: leave unlabelled pixels (class 0) out.
    """
    logits = resize_to(logits, (labels.shape[-2], labels.shape[-1]))
    weights = logits.new_ones(logits.shape[1]) if class_weights is None else class_weights
    taught = weights[labels] * (labels != VOID if ignore_void else 1)
    losses = F.cross_entropy(logits, labels, reduction="none")
    return (losses * taught).sum() / taught.sum().clamp(min=torch.finfo(taught.dtype).tiny)


def median_frequency_weights(pixels: Int64[Tensor, "images c"]) -> Float[Tensor, " c"]:
    """Weight of each class: the median of the classes' frequencies, divided by its own; 0 for a class never seen.

    A class' frequency is its share of the pixels of those images that have it. Source: Eigen and Fergus, "Predicting
    depth, surface normals and semantic labels", ICCV 2015, section 4.3.

    Args:
        pixels: number of pixels of each class in each image.
    """
    count = pixels.double()
    where = (count > 0) * count.sum(1, keepdim=True)
    frequency = count.sum(0) / where.sum(0).clamp(min=1)
    seen = frequency > 0
    weights = torch.where(seen, frequency[seen].quantile(0.5) / frequency.clamp(min=1e-12), 0)
    return weights.float()


class UncertaintyWeights(nn.Module):
    """Learns the weights of tasks: Σ exp(−s)·L·(½ for regression, 1 for classification) + ½ s, s = ln σ² of each task.

    Source: Kendall, Gal and Cipolla, "Multi-task learning using uncertainty to weigh losses", CVPR 2018, eqs. 7 and 10.
    Derived for likelihoods; for SILog and Dice it is a rule of thumb.

    Args:
        regression: for each task whether it is a regression.
    """

    factor: Tensor

    def __init__(self, regression: tuple[bool, ...]):
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(len(regression)))
        self.register_buffer("factor", torch.tensor([0.5 if r else 1.0 for r in regression]), persistent=False)

    def forward(self, losses: Float[Tensor, " tasks"]) -> Float[Tensor, ""]:
        """The weighted total of the tasks' losses."""
        return (self.factor * torch.exp(-self.log_variance) * losses + 0.5 * self.log_variance).sum()
