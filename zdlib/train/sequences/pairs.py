"""Stereo pairs as a network is trained on them, with reproducible augmentation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from zdlib.data.sequences import PairReader, StereoPair
from zdlib.errors import ZDError
from zdlib.train.split import RunFrames

MOST_HELD = 2 * 1024**3  # bytes of pictures in memory; of a larger set, each is read when it is wanted
GAINS = (0.9, 1.1)
ZOOM = (1.0, 1.6)
SWAP_PROBABILITY = 0.5

Picture = UInt8[Tensor, "3 h w"]


def pair_reader(frames: RunFrames) -> PairReader:
    """The reader of a run's frames, which must know pairs.

    Raises:
        ZDError: it gives single pictures only, or frames of several data sets or of another size.
    """
    reader = frames.reader
    if not isinstance(reader, PairReader):
        raise ZDError(
            f"{frames.source}: gives no stereo pairs: name one data set that has them (kitti_raw) in data.train, "
            "without size"
        )
    return reader


@dataclass(frozen=True)
class PairAugmentation:
    """The random numbers of one pair; the default changes nothing.

    Attributes:
        gains: factor of each colour, the same in both pictures.
        zoom: enlargement; a window of 1 / zoom of the picture is kept.
        place: of that window, from 0 (top, left) to 1 (bottom, right).
        swap: the right picture, mirrored, becomes the left one and the other way about: disparity stays positive.
    """

    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    zoom: float = 1.0
    place: tuple[float, float] = (0.0, 0.0)
    swap: bool = False

    @staticmethod
    def draw(rng: np.random.Generator) -> "PairAugmentation":
        """Draw the numbers of one pair."""
        red, green, blue = rng.uniform(*GAINS, size=3).tolist()
        zoom, (down, across) = float(rng.uniform(*ZOOM)), rng.random(2).tolist()
        return PairAugmentation((red, green, blue), zoom, (down, across), bool(rng.random() < SWAP_PROBABILITY))

    def apply(self, left: Float32[Tensor, "3 h w"], right: Float32[Tensor, "3 h w"]) -> tuple[Tensor, Tensor]:
        """The changed pair, of the same size."""
        both = torch.stack([left, right])
        if self.swap:
            both = both.flip(0).flip(-1)
        if self.zoom > 1:
            size = both.shape[2:]
            height, width = (round(side / self.zoom) for side in size)
            top, first = (round(p * (a - b)) for p, a, b in zip(self.place, size, (height, width), strict=True))
            window = both[:, :, top : top + height, first : first + width]
            both = F.interpolate(window, size, mode="bilinear", align_corners=False)
        gained = (both * both.new_tensor(self.gains)[:, None, None]).clamp(0, 1)
        return gained[0], gained[1]


class PairSet(Dataset[dict[str, Any]]):
    """Pairs of a reader at one size.

    An item holds `image` (the left picture) and `source` (the right one), float32 (3, H, W) in [0, 1]; `index`, the
    frame's number; with `truth`, `disparity` (1, H, W) of the left picture in widths, 0 where it is not known; and what
    `extra` gives for the epoch. Random numbers depend on seed, epoch and frame alone.

    Args:
        reader: where pairs come from.
        indices: frame numbers in the reader.
        size: height and width.
        seed: of the augmentation.
        augmented: whether an epoch's pairs are augmented.
        extra: tensors or numbers that every item of an epoch has.
        truth: give the true disparity too, for supervised training; of pairs that are not augmented.

    Attributes:
        metres: f·B / width of the pairs, their mean: a disparity of so many widths is `metres` divided by it.

    Raises:
        ZDError: the pairs' f·B / width differs by more than a tenth: one network cannot serve them all.
    """

    def __init__(
        self,
        reader: PairReader,
        indices: Int64[np.ndarray, " n"],
        size: tuple[int, int],
        seed: int,
        augmented: Callable[[int], bool] = lambda epoch: False,
        extra: Callable[[int], dict[str, Any]] = lambda epoch: {},
        truth: bool = False,
    ):
        self._reader, self.indices, self._size, self._seed = reader, indices, size, seed
        self._augmented, self._extra, self._truth = augmented, extra, truth
        self.epoch = 1
        self._held: list[UInt8[Tensor, "2 3 h w"]] = []
        metres = []
        for number in indices.tolist():
            pair = reader.pair(number)
            metres.append(pair.intrinsics[0, 0] * pair.baseline / pair.left.shape[1])
            if self._held is not None and len(self._held) * 6 * size[0] * size[1] < MOST_HELD:
                self._held.append(self._resized(pair))
        if max(metres) > 1.1 * min(metres):
            raise ZDError(
                f"pairs: f·B / width is from {min(metres):.3g} to {max(metres):.3g} m: train on pairs of one camera"
            )
        self.metres = float(np.mean(metres))

    def set_epoch(self, epoch: int) -> None:
        """Change the augmentation's random numbers, and what the epoch's items carry."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> dict[str, Any]:
        """The item at `position` of `indices`."""
        number = int(self.indices[position])
        held = position < len(self._held)
        left, right = (self._held[position] if held else self._resized(self._reader.pair(number))).float() / 255
        if self._augmented(self.epoch):
            drawn = PairAugmentation.draw(np.random.default_rng([self._seed, self.epoch, number]))
            left, right = drawn.apply(left, right)
        item = {"image": left, "source": right, "index": number, **self._extra(self.epoch)}
        return item | ({"disparity": self._true_disparity(number)} if self._truth else {})

    def pair(self, position: int) -> StereoPair:
        """The pair at `position`, at its own size and with what is known of it: for evaluation."""
        return self._reader.pair(int(self.indices[position]))

    def _true_disparity(self, number: int) -> Float32[Tensor, "1 h w"]:
        """Nearest values: a mean over a depth edge is nobody's disparity."""
        pair = self._reader.pair(number)
        if pair.disparity is None:
            raise ZDError(f"{pair.name}: has no depth to be supervised by: name a data set that has it")
        widths = torch.from_numpy(pair.disparity / pair.disparity.shape[1])[None, None]
        return F.interpolate(widths, self._size, mode="nearest")[0]

    def _resized(self, pair: StereoPair) -> UInt8[Tensor, "2 3 h w"]:
        both = torch.from_numpy(np.stack([pair.left, pair.right])).permute(0, 3, 1, 2)
        if both.shape[2:] == self._size:
            return both.contiguous()
        return F.interpolate(both, self._size, mode="bilinear", antialias=True)
