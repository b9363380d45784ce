"""A frame with the place of its camera."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from zdlib.data.sample import Sample


@dataclass(frozen=True)
class PosedSample(Sample):
    """One RGB-D frame.

    Attributes:
        pose: (4, 4) camera to world, metres, axes x right, y down, z forward; None where unknown.
    """

    pose: Float64[np.ndarray, "4 4"] | None = None
