"""Clips and labelled stills as a network is trained on them: every item is one of each, with its own augmentation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, Float64, Int64
from torch import Tensor
from torch.utils.data import Dataset

from zdlib.data.collection import Joined
from zdlib.data.sample import Reader
from zdlib.data.sequences import Clip, ClipReader
from zdlib.errors import ZDError
from zdlib.train.split import RunFrames

OFFSETS = (-1, 0, 1)
IGNORED = 255
FLIP_PROBABILITY = 0.5
JITTER_PROBABILITY = 0.5
BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.2, 0.2, 0.2, 0.1
STILL_ZOOM = 1.5
GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Place:
    """A frame of one of a run's data sets.

    Attributes:
        reader: of that data set alone.
        number: in that reader.
        index: in the run's frames, for messages.
    """

    reader: Any
    number: int
    index: int


def places(frames: RunFrames, numbers: Int64[np.ndarray, " n"], sets: Sequence[str], clips: bool) -> list[Place]:
    """The frames among `numbers` that belong to some data sets, and, for clips, have both neighbours.

    Raises:
        ZDError: none does, or a data set gives no clips.
    """
    reader = frames.reader
    readers, offsets = (reader.readers, reader.offsets) if isinstance(reader, Joined) else ([reader], [0])
    chosen: list[Place] = []
    for part, offset, used in zip(readers, offsets, frames.sets, strict=True):
        if used.set not in sets:
            continue
        inside = [int(number) for number in numbers if 0 <= number - offset < used.frames]
        if clips:
            if not isinstance(part, ClipReader):
                raise ZDError(
                    f"data.train: {used.title}: gives no clips: name other sets in options.clip_sets, no size"
                )
            targets = set(part.clip_targets(OFFSETS))
            inside = [number for number in inside if number - offset in targets]
        chosen += [Place(part, number - offset, number) for number in inside]
    if not chosen:
        what = "a frame with both neighbours" if clips else "a labelled frame"
        raise ZDError(f"{frames.source}: no set of {', '.join(sets)} has {what} here: change data.train or the options")
    return chosen


@dataclass(frozen=True)
class ColourJitter:
    """The same change of several pictures' colours; the default changes nothing.

    Attributes:
        brightness, contrast, saturation: factors.
        hue: turn of the colours, in full circles.
    """

    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0

    @staticmethod
    def draw(rng: np.random.Generator) -> "ColourJitter":
        """Draw the numbers of one clip: half of the time none."""
        if rng.random() >= JITTER_PROBABILITY:
            return ColourJitter()
        brightness, contrast, saturation = (
            float(rng.uniform(1 - most, 1 + most)) for most in (BRIGHTNESS, CONTRAST, SATURATION)
        )
        return ColourJitter(brightness, contrast, saturation, hue=float(rng.uniform(-HUE, HUE)))

    def __call__(self, images: Float32[Tensor, "n 3 h w"]) -> Float32[Tensor, "n 3 h w"]:
        """In this order: brightness, contrast (about the mean grey), saturation, hue (a turn of YIQ's colour plane)."""
        if self == ColourJitter():
            return images
        weights = images.new_tensor(GREY)[:, None, None]
        images = (images * self.brightness).clamp(0, 1)
        mean = (images * weights).sum(1, keepdim=True).mean((2, 3), keepdim=True)
        images = (mean + self.contrast * (images - mean)).clamp(0, 1)
        grey = (images * weights).sum(1, keepdim=True)
        images = (grey + self.saturation * (images - grey)).clamp(0, 1)
        return torch.einsum("ij,njhw->nihw", images.new_tensor(_hue_matrix(self.hue)), images).clamp(0, 1)


def _hue_matrix(turn: float) -> Float64[np.ndarray, "3 3"]:
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    cosine, sine = np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)
    rotation = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    matrix: Float64[np.ndarray, "3 3"] = np.linalg.inv(to_yiq) @ rotation @ to_yiq
    return matrix


class ClipSet(Dataset[dict[str, Any]]):
    """Clips of three frames, and a labelled still with each.

    An item holds `image`, `before`, `after`: float32 (3, H, W) in [0, 1]; `seen`, `seen_before`, `seen_after`: the same
    with other colours, for the networks; `intrinsics` (3, 3) of that size; `index`; with stills, `still` (3, H, W) and
    `labels` int64 (H, W), train ids, 255 = ignored; and what `extra` gives for the epoch. A clip's still is drawn anew
    in each epoch. Random numbers depend on seed, epoch and frame alone.

    Args:
        clips: which frames.
        stills: which labelled frames; none = clips alone.
        size: height and width.
        augment: mirror half of the clips and stills, change the colours of half of the clips, zoom into stills.
        seed: of the augmentation.
        extra: numbers that every item of an epoch has.
    """

    def __init__(
        self,
        clips: Sequence[Place],
        stills: Sequence[Place],
        size: tuple[int, int],
        augment: bool,
        seed: int,
        extra: Callable[[int], dict[str, Any]] = lambda epoch: {},
    ):
        self._clips, self._stills, self._size = list(clips), list(stills), size
        self._augment, self._seed, self._extra = augment, seed, extra
        self.epoch = 1

    def set_epoch(self, epoch: int) -> None:
        """Change the random numbers, and what the epoch's items carry."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, position: int) -> dict[str, Any]:
        """The item at `position` of the clips."""
        place = self._clips[position]
        rng = np.random.default_rng([self._seed, self.epoch, place.index])
        clip = self.clip(position)
        pictures = torch.from_numpy(clip.images).permute(0, 3, 1, 2)
        images = F.interpolate(pictures, self._size, mode="bilinear", antialias=True).float() / 255
        intrinsics = resized_intrinsics(clip.intrinsics, (pictures.shape[2], pictures.shape[3]), self._size)
        seen = images
        if self._augment:
            if rng.random() < FLIP_PROBABILITY:
                images, intrinsics = images.flip(-1), mirrored_intrinsics(intrinsics, self._size[1])
            seen = ColourJitter.draw(rng)(images)
        item = {"index": place.index, "intrinsics": torch.from_numpy(intrinsics.astype(np.float32))}
        for number, name in enumerate(("before", "image", "after")):
            item[name] = images[number]
            item["seen" if name == "image" else f"seen_{name}"] = seen[number]
        if self._stills:
            drawn = int(rng.integers(len(self._stills))) if self._augment else position % len(self._stills)
            item["still"], item["labels"] = self._still(self._stills[drawn], rng)
        return {**item, **self._extra(self.epoch)}

    def clip(self, position: int) -> Clip:
        """The clip at `position`, at its own size and with what is known of it."""
        place = self._clips[position]
        reader: ClipReader = place.reader
        return reader.clip(place.number, OFFSETS)

    def _still(self, place: Place, rng: np.random.Generator) -> tuple[Float32[Tensor, "3 h w"], Int64[Tensor, "h w"]]:
        """A window of a still, at least as wide and as high as the network's picture shows."""
        reader: Reader = place.reader
        sample = reader[place.number]
        if sample.labels is None:
            raise ZDError(f"{sample.name}: has no labels: name labelled sets in options.still_sets")
        image = torch.from_numpy(sample.image).permute(2, 0, 1)[None]
        labels = torch.from_numpy(sample.labels)[None, None]
        zoom = float(rng.uniform(1, STILL_ZOOM)) if self._augment else 1.0
        cover = max(want / have for want, have in zip(self._size, image.shape[2:], strict=True)) * zoom
        size = tuple(max(w, round(have * cover)) for w, have in zip(self._size, image.shape[2:], strict=True))
        down, across = rng.random(2).tolist() if self._augment else (0.5, 0.5)
        top, first = round(down * (size[0] - self._size[0])), round(across * (size[1] - self._size[1]))
        rows, columns = slice(top, top + self._size[0]), slice(first, first + self._size[1])
        picture = F.interpolate(image, size, mode="bilinear", antialias=True)[0, :, rows, columns].float() / 255
        classes = F.interpolate(labels, size, mode="nearest")[0, 0, rows, columns].long()
        if self._augment and rng.random() < FLIP_PROBABILITY:
            picture, classes = picture.flip(-1), classes.flip(-1)
        return picture, classes


def resized_intrinsics(
    matrix: Float64[np.ndarray, "3 3"], old: tuple[int, int], new: tuple[int, int]
) -> Float64[np.ndarray, "3 3"]:
    """Intrinsics of the resized picture: pixel areas scale, centres stay at whole numbers."""
    result = matrix.copy()
    for axis, factor in ((0, new[1] / old[1]), (1, new[0] / old[0])):
        result[axis, axis] *= factor
        result[axis, 2] = (matrix[axis, 2] + 0.5) * factor - 0.5
    return result


def mirrored_intrinsics(matrix: Float64[np.ndarray, "3 3"], width: int) -> Float64[np.ndarray, "3 3"]:
    """Intrinsics of the mirrored picture."""
    result = matrix.copy()
    result[0, 2] = width - 1 - matrix[0, 2]
    return result
