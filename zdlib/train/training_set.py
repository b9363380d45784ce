"""Frames as a network is trained on them: a recipe's unit, range and resize, with reproducible augmentation."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Int64
from torch.utils.data import BatchSampler, Dataset, RandomSampler, Sampler

from zdlib.data.sample import Reader, Sample
from zdlib.distributed import processes, rank
from zdlib.errors import ZDError
from zdlib.recipes import Recipe
from zdlib.train.augmentation import Augmentation, Frame
from zdlib.train.method import Feed

MOST_HELD = 4 * 1024**3  # bytes of frames in memory, more than NYU's; of a larger set, each is read when it is wanted


class TrainingSet(Dataset[dict[str, Any]]):
    """Frames of a reader, as a torch data set: in memory; read when they are wanted if that is quick, or they are many.

    An item holds `image` float32 (3, H, W) in [0, 1]; `depth` float32 (1, H, W) in the recipe's unit; `mask` bool
    (1, H, W), True where the depth lies in the recipe's open interval; `labels` int64 (H, W) class ids 0..13 (0 stays:
    the loss decides about it); `index`, the frame's number in the reader. With `portrait_resize` the image alone is
    squeezed to (3, W, H).

    The random numbers of an item depend on the seed, the epoch and the frame number and on nothing else: neither on the
    order of frames nor on the number of workers.

    Args:
        reader: where frames come from (the recipe's `depth_source` is the reader's business).
        indices: frame numbers in the reader.
        recipe: unit, range and resize.
        augment: whether to augment.
        seed: of the augmentation.

    Raises:
        ZDError: the frames differ in size, or one has no depth in the recipe's range.
    """

    def __init__(self, reader: Reader, indices: Int64[np.ndarray, " n"], recipe: Recipe, augment: bool, seed: int):
        self.indices = indices
        self.recipe = recipe
        self.augment = augment
        self.seed = seed
        self.epoch = 0
        self._reader = reader if getattr(reader, "random_access", False) else None
        self._frames: list[Frame] = []
        shape, held = None, 0
        for number in indices.tolist():
            sample = reader[number]
            shape = shape or sample.depth.shape
            if sample.depth.shape != shape:
                raise ZDError(
                    f"{sample.name}: {sample.depth.shape} pixels, the first frame has {shape}: "
                    "give the profile's data.train one size: [height, width]"
                )
            if not self._mask(sample.depth / np.float32(recipe.metres_per_unit)).any():
                low, high = (limit * recipe.metres_per_unit for limit in (recipe.min_depth, recipe.max_depth))
                raise ZDError(f"{sample.name}: no depth between {low:g} and {high:g} m: leave this frame out")
            if self._reader is None:
                self._frames.append(_frame(sample))
                held += sum(picture.nbytes for picture in self._frames[-1])
                if held > MOST_HELD:
                    self._reader, self._frames = reader, []

    def set_epoch(self, epoch: int) -> None:
        """Change the augmentation's random numbers; call it before the epoch's loader starts its workers."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> dict[str, Any]:
        """The item at `position` of `indices`."""
        index = int(self.indices[position])
        augmentation = Augmentation()
        if self.augment:
            augmentation = Augmentation.draw(np.random.default_rng([self.seed, self.epoch, index]))
        frame = self._frames[position] if self._reader is None else _frame(self._reader[index])
        image, depth, labels = augmentation.move(frame)
        values = torch.from_numpy(augmentation.colour(image))
        if self.recipe.portrait_resize:
            _, height, width = values.shape
            values = F.interpolate(values[None], (width, height), mode="bilinear", align_corners=False)[0]
        target = depth / np.float32(self.recipe.metres_per_unit)
        return {
            "image": values,
            "depth": torch.from_numpy(target)[None],
            "mask": torch.from_numpy(self._mask(target))[None],
            "labels": torch.from_numpy(labels.astype(np.int64)),
            "index": index,
        }

    def _mask(self, depth: np.ndarray) -> np.ndarray:
        return (depth > self.recipe.min_depth) & (depth < self.recipe.max_depth)


def _frame(sample: Sample) -> Frame:
    labels = np.zeros(sample.depth.shape, np.uint8) if sample.labels is None else sample.labels
    return sample.image, sample.depth, labels


def shuffled_feed(items: TrainingSet, batch_size: int, order: torch.Generator) -> Feed:
    """What most methods feed their steps with: this process's share of every batch, in another order every epoch."""
    return Feed(items, Batches(len(items), batch_size, order, rank(), processes()))


class Batches(Sampler[list[int]]):
    """Positions of the frames of each step of an epoch, shuffled; this process's share of each.

    Args:
        frames: how many there are.
        batch_size: of all processes together.
        order: decides the order; an epoch draws from it.
        process, processes: which share.

    Attributes:
        skip: batches of the epoch that were done before; they are drawn and not given.
    """

    def __init__(self, frames: int, batch_size: int, order: torch.Generator, process: int, processes: int):
        self._all = BatchSampler(RandomSampler(range(frames), generator=order), batch_size, drop_last=False)
        self._process, self._processes = process, processes
        self.skip = 0

    def __iter__(self) -> Iterator[list[int]]:
        for number, batch in enumerate(self._all):
            if number >= self.skip:
                first, last = (len(batch) * (self._process + i) // self._processes for i in (0, 1))
                yield batch[first:last]

    def __len__(self) -> int:
        return len(self._all)
