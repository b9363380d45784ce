"""Small made-up stereo pairs with true depth: textured planes."""

from pathlib import Path

import numpy as np

from zdlib.data.sequences import StereoPair
from zdlib.train.split import FrameRoles, RunFrames

FOCAL, BASELINE = 60.0, 0.5


def texture(rng, columns, rows, waves=8):
    """Colours at real positions, the same wherever they are asked for: (h, w, 3) in [0, 1]."""
    colours = np.zeros((*columns.shape, 3))
    for channel in range(3):
        for _ in range(waves):
            fx, fy, phase = 0.5 ** rng.uniform(1, 6), 0.3 * rng.uniform(-1, 1), rng.uniform(0, 6.28)
            colours[..., channel] += np.sin(fx * columns + fy * rows + phase)
    return 0.5 + colours / (2.5 * waves)


def pair(seed, height=48, width=96):
    """A slanted road plane and a wall, seen by two cameras; disparities of 2 to 10 pixels, brighter where nearer.

    The texture hangs on the left picture, so the right one is read where the left one's pixels come from.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(float)
    disparity = np.maximum(rng.uniform(2, 4), 8 * (y / height) + rng.uniform(0, 2))
    state = rng.bit_generator.state
    left = texture(rng, x, y)
    rng.bit_generator.state = state
    right = texture(rng, x + disparity, y)  # rows have one disparity: what is at x + d on the left is here at x
    shade = (0.2 + 0.8 * disparity / 10)[..., None]
    images = [np.clip(255 * image * shade, 0, 255).astype(np.uint8) for image in (left, right)]
    intrinsics = np.array([[FOCAL, 0, (width - 1) / 2], [0, FOCAL, (height - 1) / 2], [0, 0, 1]])
    depth = (FOCAL * BASELINE / disparity).astype(np.float32)
    return StereoPair(f"pair_{seed:04d}", *images, intrinsics, BASELINE, depth, f"scene_{seed // 2}")


class Pairs:
    """A reader of such pairs."""

    def __init__(self, count, height=48, width=96):
        self.pairs = [pair(seed, height, width) for seed in range(count)]

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        raise NotImplementedError

    def pair(self, index):
        return self.pairs[index]


def run_frames(reader, train, selection):
    """Roles of a reader's frames."""
    return RunFrames(reader, FrameRoles(np.array(train), np.array(selection), True), Path("made up"))
