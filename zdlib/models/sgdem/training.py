"""What trains: the network, and the state of its masks, which belongs to what a stopped run resumes from."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from zdlib.cameras import depth_between, pose_matrix
from zdlib.losses.patches import fused, window_depth, windows
from zdlib.losses.semantics import masked_share, moving_threshold
from zdlib.losses.video import Reprojection, Views, moving_mask, warped_labels, warped_sources
from zdlib.models.sgdem.network import SGDEM


@dataclass(frozen=True)
class Masking:
    """When to leave out what moves; epochs count from 0.

    Attributes:
        first: before whose end nothing is masked; clips are compared from it on.
        steps: epochs until the share is 0.
        linear: the share of masked clips falls from there; otherwise it is `constant`.
        constant: that share.
    """

    first: int
    steps: int
    linear: bool = True
    constant: float = 0.1

    def share(self, epoch: int) -> float:
        """Share of clips that the epoch after this one masks."""
        return masked_share(epoch, self.first, self.steps, self.linear, self.constant)


@dataclass(frozen=True)
class PatchTeaching:
    """Patch distillation by the network's own earlier self.

    Attributes:
        first: epoch, from 0, at whose begin the teacher is copied; it then stays as it is.
        side, stride: of the windows, pixels of the network's input.
    """

    first: int
    side: int = 128
    stride: int = 48


class VideoTraining(nn.Module):
    """The network, and what the masks' threshold of an epoch is made from.

    Args:
        network: that trains.
        clips: how many an epoch has.
        masking: None = no masks.
        reprojection: how depth and pose place pixels.
        patches: None = no teacher.

    Attributes:
        teacher: an earlier state of the network, frozen; `taught`: whether it is one yet.
        agreements: intersections over union of this epoch's clips so far, `count` of them.
        epoch: they are of, from 0; -1 before the first.
        threshold: below which a clip of this epoch is masked.
    """

    agreements: Tensor
    count: Tensor
    epoch: Tensor
    threshold: Tensor
    taught: Tensor

    def __init__(
        self,
        network: SGDEM,
        clips: int,
        masking: Masking | None,
        reprojection: Reprojection,
        patches: PatchTeaching | None = None,
    ):
        super().__init__()
        self.network = network
        self.masking, self.reprojection, self.patches = masking, reprojection, patches
        self.teacher = deepcopy(network).requires_grad_(False) if patches else None
        self.register_buffer("taught", torch.tensor(False))
        self.register_buffer("agreements", torch.zeros(clips))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("epoch", torch.tensor(-1))
        self.register_buffer("threshold", torch.zeros(()))

    def forward(
        self,
        images: Float[Tensor, "b 3 h w"],
        before: Float[Tensor, "b 3 h w"],
        after: Float[Tensor, "b 3 h w"],
        intrinsics: Float[Tensor, "b 3 3"],
        still: Float[Tensor, "s 3 h w"] | None = None,
        epoch: int | None = None,
        classify: bool = False,
    ) -> dict[str, Any]:
        """Everything that the loss needs of the networks, in one call.

        Args:
            images: the target frames, as the networks see them.
            before: the frames before them.
            after: those after them.
            intrinsics: of all three.
            still: pictures to segment.
            epoch: of the training, from 0, which may mask; None masks nothing and notes nothing.
            classify: whether the target frames' classes are wanted though nothing is masked.

        Returns:
            `disparities`; `logits` of the stills, or None; `poses` to the frame before and to the one after; `classes`
            of the target frames, or None; `keep`: 1 where a pixel counts, 0 where it moves, or None; `patches`: the
            teacher's disparity pasted into the network's, and where, or None.
        """
        compare = epoch is not None and self._begin(epoch)
        classes: list[Tensor] = []
        if compare or classify:
            with evaluating(self.network), torch.no_grad():
                classes = [self.classes(frame) for frame in ((images, before, after) if compare else (images,))]
        joint = images if still is None else torch.cat([images, still])
        out = self.network(joint, 0 if still is None else len(still))
        # The frames in the order of time; the first pose is wanted the other way.
        back, ahead = self.network.motion(before, images), self.network.motion(images, after)
        poses = [
            pose_matrix(back[0].float(), back[1].float(), invert=True),
            pose_matrix(ahead[0].float(), ahead[1].float()),
        ]
        keep = None
        if compare:
            views = Views(images, [before, after], intrinsics, poses)
            keep = self._keep(out.disparities[0], views, classes)
        return {
            "disparities": out.disparities,
            "logits": out.logits,
            "poses": poses,
            "classes": classes[0] if classes else None,
            "keep": keep,
            "patches": None if epoch is None else self._pasted(epoch, images, out.disparities[0]),
        }

    def classes(self, images: Float[Tensor, "b 3 h w"]) -> Int64[Tensor, "b h w"]:
        """The most likely class of each pixel."""
        logits = self.network(images, len(images)).logits
        assert logits is not None
        return logits.argmax(1)

    def _begin(self, epoch: int) -> bool:
        """Whether an epoch's clips are compared; at its first batch the threshold is made from the last epoch's."""
        if self.masking is None:
            return False
        if int(self.epoch) != epoch:
            share = self.masking.share(epoch - 1)
            agreements = self.agreements[: int(self.count)].tolist()
            masks = epoch > self.masking.first and share > 0
            self.threshold.fill_(moving_threshold(agreements, share) if masks else 0.0)
            self.count.zero_()
            self.epoch.fill_(epoch)
        return epoch >= self.masking.first

    def _pasted(self, epoch: int, images: Tensor, disparity: Tensor) -> tuple[Tensor, Tensor] | None:
        """For each picture the disparity with the teacher's windows in it, and the union of those."""
        if self.patches is None or self.teacher is None or epoch < self.patches.first:
            return None
        if not self.taught:
            self.teacher.load_state_dict(self.network.state_dict())
            self.taught.fill_(True)
        teacher, side, stride = self.teacher.eval(), self.patches.side, self.patches.stride
        results = []
        with torch.no_grad():
            for image, base in zip(images, disparity.detach().double().cpu().numpy()[:, 0], strict=True):
                chosen = windows(image.cpu().numpy(), side, stride, side // 2)
                pieces = [(w, window_depth(lambda x: teacher(x).disparities[0].float(), image, w), 1.0) for w in chosen]
                results.append(fused(base, pieces))
        targets, unions = (torch.from_numpy(np.stack(maps))[:, None] for maps in zip(*results, strict=True))
        return targets.to(disparity.device, torch.float32), unions.to(disparity.device)

    def _keep(self, disparity: Tensor, views: Views, classes: list[Tensor]) -> Float[Tensor, "b 1 h w"]:
        """1 where a pixel counts; the clips' agreements are noted for the next epoch's threshold."""
        options = self.reprojection
        with torch.no_grad(), torch.autocast(disparity.device.type, enabled=False):
            _, depth = depth_between(disparity.float(), options.nearest, options.farthest)
            placed = warped_sources(depth, views, options.align_corners)
            warped = [
                warped_labels(there, pixels, options.align_corners)
                for there, (_, pixels) in zip(classes[1:], placed, strict=True)
            ]
            keep, agreements = moving_mask(classes[0], warped, float(self.threshold))
        begin = int(self.count)
        end = min(begin + len(agreements), len(self.agreements))
        self.agreements[begin:end] = agreements[: end - begin]
        self.count.fill_(end)
        return keep


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode within; every module's own mode comes back."""
    modes = [module.training for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in zip(network.modules(), modes, strict=True):
            module.training = training
