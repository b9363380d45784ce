"""The one record that every reader gives, and what a reader is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, SupportsIndex, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8


@dataclass(frozen=True)
class Sample:
    """One RGB-D frame, whatever data set it comes from.

    Attributes:
        name: unique within its data set, usable as a file name (`nyu_0012`, an iBims-1 image name).
        image: (h, w, 3) uint8 RGB.
        depth: (h, w) float32 planar depth in metres; 0 where there is no measurement.
        labels: (h, w) uint8 class ids 0..13 (`zdlib.data.classes`), 0 = unlabelled; of streets, train ids 0..18, 255 =
            ignored (`zdlib.data.street_classes`); None where the data set has none.
        mask: (h, w) bool, False where the data set itself says the pixel must not be judged (iBims-1's
            `mask_invalid` and `mask_transp`); None where it has no such mask. Protocols decide whether to apply it.
        scene: the scene this frame belongs to (frames of one scene are not independent).
        scene_type: `bedroom`, `kitchen`, …; empty where unknown.
        intrinsics: (3, 3) pinhole matrix in pixels of this frame; None where unknown.
    """

    name: str
    image: UInt8[np.ndarray, "h w 3"]
    depth: Float32[np.ndarray, "h w"]
    labels: UInt8[np.ndarray, "h w"] | None = None
    mask: Bool[np.ndarray, "h w"] | None = None
    scene: str = ""
    scene_type: str = ""
    intrinsics: Float64[np.ndarray, "3 3"] | None = None


@runtime_checkable
class Reader(Protocol):
    """Anything that gives a `Sample` for a frame number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


S = TypeVar("S", bound=Sample)


class Frames(ABC, Generic[S]):
    """Length and iteration of a reader that names its frames.

    Attributes:
        path: the file or folder it reads.
        names, scenes: one per frame.
        random_access: whether any frame is read in milliseconds, so that nobody needs to hold frames in memory.
    """

    path: Path
    names: list[str]
    scenes: list[str]
    random_access: bool = False

    @abstractmethod
    def __getitem__(self, index: SupportsIndex, /) -> S:
        """Read one frame; `index` is 0-based."""

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[S]:
        return (self[index] for index in range(len(self)))
