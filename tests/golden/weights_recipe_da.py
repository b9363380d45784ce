"""Deterministic weights for Depth Anything state dicts: `weights_recipe.fill_recipe` plus two documented changes.

1. LayerScale (`*.ls1.gamma`, `*.ls2.gamma`): 0.3 + 0.1 z, as for BEiT's gamma_1/gamma_2 (the base recipe would read
   them as biases, 0.05 z, and the transformer blocks would hardly matter).
2. The head's last convolution (`*depth_head.scratch.output_conv2.2`): weight times `out_gain` (a power of two, exact in
   float32), then `out_bias` added to the bias, so that the final ReLU (V2 metric: the sigmoid) is neither dead nor
   saturated. Every fixture stores the `seed`, `out_gain` and `out_bias` it used.

`weights_recipe.py` is the file of the ZoeDepth fixtures. Keys are always the official ones (state_dict_keys/*.tsv).
"""

import zlib

import numpy as np
from golden.weights_recipe import fill_recipe


def recipe_gamma(key: str, shape, seed: int = 0) -> np.ndarray:
    """LayerScale gain, float32: the same random stream as `recipe_tensor(key, shape, seed)`, other scale and offset."""
    rng = np.random.default_rng([zlib.crc32(key.encode()), seed])
    return (0.3 + 0.1 * rng.standard_normal(tuple(shape)).astype(np.float32)).astype(np.float32)


def fill_recipe_da(state_dict, seed: int = 0, out_gain: float = 1.0, out_bias: float = 0.0):
    """Fill a Depth Anything state dict (V1, V2, V2 metric, or ZoeDepth on Depth Anything) in place."""
    import torch

    done = fill_recipe(state_dict, seed)
    with torch.no_grad():
        for key, value in state_dict.items():
            if key.endswith((".ls1.gamma", ".ls2.gamma")):
                value.copy_(torch.from_numpy(recipe_gamma(key, value.shape, seed)))
            elif key.endswith("depth_head.scratch.output_conv2.2.weight"):
                value *= out_gain
            elif key.endswith("depth_head.scratch.output_conv2.2.bias"):
                value += out_bias
    return done
