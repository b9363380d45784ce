"""Inputs of the fixtures of self-supervision (tests/golden/self_supervised), made from seeds alone."""

import csv
from pathlib import Path

import numpy as np
import torch
from golden.weights_recipe import fill_recipe, recipe_image
from torch import Tensor

FIXTURES = Path(__file__).parent / "golden" / "self_supervised"
MEAN = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
STD = np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]


def frames(height, width, seed):
    """Frames 0, -1 and +1, (3, h, w) in [0, 1]: the others shifted by 2 pixels and blended with noise."""
    now = recipe_image(height, width, seed)
    others = [
        (0.8 * np.roll(now, step, axis=2) + 0.2 * recipe_image(height, width, seed + number)).astype(np.float32)
        for step, number in ((2, 100), (-2, 200))
    ]
    return now, *others


def disparity(height, width, seed, scale=0):
    """(h >> scale, w >> scale) in [0.02, 0.12], like a sigmoid's output."""
    return (0.02 + 0.1 * recipe_image(height >> scale, width >> scale, seed + 300 + scale)[0]).astype(np.float32)


def intrinsics(height, width):
    """KITTI's, in proportion, as monodepth2 has them: 4x4."""
    matrix = np.eye(4, dtype=np.float32)
    matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2] = 0.58 * width, 1.92 * height, 0.5 * width, 0.5 * height
    return matrix


def motion(seed):
    """Axis-angle (2, 3) and translation (2, 3); row 0 belongs to frame -1 (inverted), row 1 to frame +1."""
    z = np.random.default_rng([seed, 7]).standard_normal((2, 2, 3))
    return (0.02 * z[0]).astype(np.float32), (0.05 * z[1]).astype(np.float32)


def labels(height, width, seed):
    """(h, w) int64: 8x8 blocks of 0..18, 3 % of pixels 255."""
    rng = np.random.default_rng([height, width, seed, 5])
    grid = rng.integers(0, 19, (height // 8 + 1, width // 8 + 1))
    out = np.kron(grid, np.ones((8, 8), int))[:height, :width]
    return np.where(rng.random((height, width)) < 0.03, 255, out).astype(np.int64)


def scene(height, width, seed):
    """`recipe_image` with an almost flat left part."""
    image = recipe_image(height, width, seed).copy()
    edge = int(np.random.default_rng([height, width, seed, 21]).integers(width // 4, width // 2))
    image[:, :, :edge] = 0.5 + 0.02 * (image[:, :, :edge] - 0.5)
    return image.astype(np.float32)


def normalise(image):
    """By ImageNet's mean and deviation."""
    return ((image - MEAN) / STD).astype(np.float32)


def official_state(keys: str, seed: int, weight_scale: float) -> dict[str, Tensor]:
    """The authors' state dict with the recipe's weights, those of convolutions scaled; statistics 0 and 1."""
    with open(FIXTURES / f"keys_{keys}.tsv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    state = {}
    for row in rows:
        shape = () if row["shape"] == "scalar" else tuple(int(side) for side in row["shape"].split("x"))
        state[row["key"]] = torch.zeros(shape, dtype=getattr(torch, row["dtype"]))
    fill_recipe(state, seed)
    for key, value in state.items():
        if key.endswith("running_var"):
            value.fill_(1)
        elif value.ndim >= 2 and value.is_floating_point():
            value.mul_(weight_scale)
    return state


def check_sample(golden, name, value, tolerance):
    """Hold a tensor to the fixture's sample of it, and to the whole's mean; as a share of the range.

    A network's values are compared in the fixture's own steps.
    """
    found = value.detach().numpy()
    if name in golden:
        expected = golden[name]
    else:
        assert found.shape == tuple(golden[f"{name}_shape"])
        expected = golden[f"{name}_sample"]
        mean, _, low, high = golden[f"{name}_stats"]
        assert abs(float(found.mean(dtype=np.float64)) - mean) <= tolerance * (high - low)
        found = found[tuple(slice(None, None, int(step)) for step in golden[f"{name}_stride"])]
    assert np.abs(found - expected).max() <= tolerance * (expected.max() - expected.min())
