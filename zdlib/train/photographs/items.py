"""Frames of any size as a network for photographs is trained on them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch.utils.data import Dataset

from zdlib.config import Frozen
from zdlib.data.sample import Reader, Sample
from zdlib.geometry import assumed_focal
from zdlib.recipes import RECIPES
from zdlib.train.photographs.views import View, as_photographed, random_box, view

HELD_SIDE = 480  # larger frames are reduced once; views are taken at half of that and less


class Kind(Frozen):
    """What frames of one data set mean.

    Attributes:
        min_depth, max_depth: metres between which depth counts.
        metric: whether its scale teaches; else its shape alone.
        repeats: how often a frame appears in an epoch, each time as another view.
    """

    min_depth: float = Field(ge=0)
    max_depth: float = Field(gt=0)
    metric: bool = True
    repeats: int = Field(default=1, ge=0)


class PhotographItems(Dataset[dict[str, Any]]):
    """Views of frames, in memory.

    An item holds `image` float32 (3, H, W) in [0, 1], `depth` float32 (1, H, W) in metres of the canonical camera,
    `mask` bool, `metric` bool, and `index`, the frame's number in the reader.

    Args:
        reader: where frames come from.
        frames: number and kind of each.
        size: height and width of the items.
        canonical_focal: pixels; None leaves depth as it is.
        augment: random views and looks; else the frame as it is.
        seed: of the augmentation.
    """

    recipe = RECIPES["corrected"]  # metres

    def __init__(
        self,
        reader: Reader,
        frames: Sequence[tuple[int, Kind]],
        size: tuple[int, int],
        canonical_focal: float | None,
        augment: bool,
        seed: int,
    ):
        self._held: dict[int, Sample] = {}
        self._places = [(number, kind) for number, kind in frames for _ in range(kind.repeats if augment else 1)]
        self._size, self._canonical = size, canonical_focal
        self._augment, self._seed, self._epoch = augment, seed, 0
        for number, _ in frames:
            self._held[number] = _reduced(reader[number])

    def set_epoch(self, epoch: int) -> None:
        """Change the random numbers, before an epoch's workers start."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, position: int) -> dict[str, Any]:
        """The item at a position. Its random numbers depend on seed, epoch and position alone."""
        number, kind = self._places[position]
        sample = self._held[number]
        focal = focal_of(sample)
        if self._augment:
            rng = np.random.default_rng([self._seed, self._epoch, position])
            seen = self._random_view(rng, sample, focal)
            image = as_photographed(rng, seen.image)
        else:
            seen = view(sample.image, sample.depth, focal, self._size)
            image = (seen.image / np.float32(255)).astype(np.float32)
        mask = (seen.depth > kind.min_depth) & (seen.depth < kind.max_depth)
        factor = np.float32(1 if self._canonical is None else self._canonical / seen.focal)
        return {
            "image": torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))),
            "depth": torch.from_numpy(seen.depth * factor)[None],
            "mask": torch.from_numpy(mask)[None],
            "metric": torch.tensor(kind.metric),
            "index": number,
        }

    def _random_view(self, rng: np.random.Generator, sample: Sample, focal: float) -> View:
        height, width = sample.depth.shape
        seen = view(sample.image, sample.depth, focal, self._size, random_box(rng, height, width, self._size))
        if rng.random() < 0.5:
            return replace(seen, image=seen.image[:, ::-1], depth=np.ascontiguousarray(seen.depth[:, ::-1]))
        return seen


def focal_of(sample: Sample) -> float:
    """A frame's focal length in pixels, that of the middle of its two; assumed where nothing is known of its camera."""
    if sample.intrinsics is None:
        return assumed_focal(*sample.depth.shape)
    return float((sample.intrinsics[0, 0] * sample.intrinsics[1, 1]) ** 0.5)


def _reduced(sample: Sample) -> Sample:
    """A frame whose shorter side is at most `HELD_SIDE`."""
    height, width = sample.depth.shape
    factor = HELD_SIDE / min(height, width)
    if factor >= 1:
        return sample
    size = round(height * factor), round(width * factor)
    smaller = view(sample.image, sample.depth, focal_of(sample), size)
    return replace(
        sample, image=smaller.image, depth=smaller.depth, intrinsics=np.diag([smaller.focal, smaller.focal, 1.0])
    )
