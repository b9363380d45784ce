"""What self-supervision reads: two pictures of one moment, or one camera's pictures of several moments.

Pixel centres lie at whole numbers, as in `Sample`. Depth, labels and poses are for evaluation and for diagnosis: a
training without labels must not look at them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, UInt8


@dataclass(frozen=True)
class StereoPair:
    """The pictures of two rectified cameras at one moment.

    The right camera is the left one moved by `baseline` along its own x axis: what the left camera sees at column x and
    depth Z lies in the right picture at column x − disparity, in the same row.

    Attributes:
        name: unique within its data set, usable as a file name; that of the left camera's `Sample`.
        left, right: (h, w, 3) uint8 RGB.
        intrinsics: (3, 3) pinhole matrix in pixels, the same for both cameras.
        baseline: metres between the cameras.
        depth: (h, w) float32 planar depth of the left camera in metres, 0 where there is none; None where the data set
            gives none for this moment.
        scene: what the pair belongs to (pairs of one scene are not independent).
    """

    name: str
    left: UInt8[np.ndarray, "h w 3"]
    right: UInt8[np.ndarray, "h w 3"]
    intrinsics: Float64[np.ndarray, "3 3"]
    baseline: float
    depth: Float32[np.ndarray, "h w"] | None = None
    scene: str = ""

    @property
    def disparity(self) -> Float32[np.ndarray, "h w"] | None:
        """Of the left camera, pixels: f · baseline / depth; 0 where there is no depth, None without depth."""
        if self.depth is None:
            return None
        product = np.float32(self.intrinsics[0, 0] * self.baseline)
        return np.divide(product, self.depth, out=np.zeros_like(self.depth), where=self.depth > 0)


@dataclass(frozen=True)
class Clip:
    """One camera's pictures of a few moments around a target moment.

    Attributes:
        name: that of the target frame's `Sample`.
        images: (n, h, w, 3) uint8 RGB, in the order of `offsets`.
        offsets: frames from the target frame, the target's 0 among them: (-1, 0, 1).
        intrinsics: (3, 3) pinhole matrix in pixels, the same for all pictures.
        depth: (h, w) float32 planar depth of the target frame in metres, 0 where there is none; None where the data set
            gives none for it.
        labels: (h, w) uint8 train ids of the target frame (0..18, 255 = not scored); None where there are none.
        poses: (n, 4, 4) of each camera in the target camera's axes (x right, y down, z forward), metres: a point p seen
            by camera i lies at `poses[i] @ p` for the target camera, whose own pose is the identity. None where the
            data set does not know them.
        scene: what the clip belongs to.
    """

    name: str
    images: UInt8[np.ndarray, "n h w 3"]
    offsets: tuple[int, ...]
    intrinsics: Float64[np.ndarray, "3 3"]
    depth: Float32[np.ndarray, "h w"] | None = None
    labels: UInt8[np.ndarray, "h w"] | None = None
    poses: Float64[np.ndarray, "n 4 4"] | None = None
    scene: str = ""

    @property
    def target(self) -> UInt8[np.ndarray, "h w 3"]:
        """The picture of the target frame."""
        image: UInt8[np.ndarray, "h w 3"] = self.images[self.offsets.index(0)]
        return image


@runtime_checkable
class PairReader(Protocol):
    """Anything that gives a `StereoPair` for a frame number."""

    def __len__(self) -> int: ...

    def pair(self, index: int, /) -> StereoPair:
        """Both pictures of a frame; `index` is 0-based."""


@runtime_checkable
class ClipReader(Protocol):
    """Anything that gives a `Clip` around a frame, and knows which frames have the neighbours for one."""

    def clip(self, index: int, /, offsets: Sequence[int] = (-1, 0, 1)) -> Clip:
        """The frames at `offsets` from a frame, 0 among them."""

    def clip_targets(self, offsets: Sequence[int] = (-1, 0, 1)) -> list[int]:
        """The frames all of whose neighbours at `offsets` exist."""
