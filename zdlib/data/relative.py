"""Frames whose depth is known up to scale and shift only, as that of films, of web stereo or of other networks is.

What is left of a frame's depth is the shape of its inverse. The classes of maps that differ by a scale and a shift of
the inverse depth have one member each whose inverse goes from 1 (the farthest pixel) to 2 (the nearest), and that one
takes the place of the depth: whatever reads it, no metre can be had from it.
"""

from dataclasses import replace
from typing import Any, SupportsIndex

import numpy as np
from jaxtyping import Bool, Float32

from zdlib.data.sample import Frames, Sample


class WithoutScale(Frames[Sample]):
    """The frames of a reader without the scale and shift of their inverse depth; everything else is as it was.

    `Sample.depth` becomes 1 / (1 + u), u the inverse depth moved and stretched to [0, 1] within the frame, so that it
    lies in [½, 1] and has no unit; 0 stays "no measurement", and so do pixels that the data set's mask leaves out. A
    frame at one distance becomes 1. Intrinsics are taken away too: with the size of a thing they would give metres.

    Args:
        reader: frames with depth in metres.
    """

    def __init__(self, reader: Frames[Any]):
        self._reader = reader
        self.path, self.names, self.scenes = reader.path, reader.names, reader.scenes
        self.random_access = reader.random_access

    def __getitem__(self, index: SupportsIndex) -> Sample:
        """Read one frame; `index` is 0-based.

        Raises:
            ZDError: the reader cannot read it.
        """
        sample: Sample = self._reader[index]
        valid = (sample.depth > 0) & np.isfinite(sample.depth)
        if sample.mask is not None:
            valid &= sample.mask
        return replace(sample, depth=without_scale(sample.depth, valid), intrinsics=None)


def without_scale(depth: Float32[np.ndarray, "h w"], valid: Bool[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """The one map of [½, 1] whose inverse is, up to scale and shift, that of `depth`; 0 outside `valid`.

    Args:
        depth: metres; positive and finite where valid.
        valid: pixels with a depth.
    """
    inverse = np.divide(1.0, depth, out=np.zeros(depth.shape), where=valid)
    inside = inverse[valid]
    if inside.size == 0:
        return np.zeros_like(depth)
    low, high = float(inside.min()), float(inside.max())
    # What rounding leaves of one distance is no shape.
    flat = high - low <= np.finfo(np.float32).eps * high
    shape = np.zeros_like(inverse) if flat else (inverse - low) / (high - low)
    return np.where(valid, 1 / (1 + shape), 0).astype(np.float32)
