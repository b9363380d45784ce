"""Deterministic weights for a state dict, from key names alone.

The same recipe, run on any model whose state dict has the same keys and shapes, gives the same weights,
so a port can be compared with the reference implementation without shipping gigabytes of parameters.
Only NumPy's Philox/PCG streams are used; they are stable across NumPy versions (>= 1.17).
"""

import math
import zlib

import numpy as np


def recipe_tensor(key: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """float32 array of `shape` for state-dict entry `key` (see `fill_recipe` for the rules)."""
    rng = np.random.default_rng([zlib.crc32(key.encode()), seed])
    z = rng.standard_normal(shape).astype(np.float32)
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "logit_scale":  # Swin V2 cosine attention temperature
        return (math.log(10.0) + 0.3 * z).astype(np.float32)
    if leaf == "relative_position_bias_table":  # BEiT, Swin
        return z
    if leaf in ("gamma_1", "gamma_2"):  # BEiT layer scale
        return (0.3 + 0.1 * z).astype(np.float32)
    if leaf in ("cls_token", "pos_embed"):
        return (0.2 * z).astype(np.float32)
    if len(shape) <= 1:
        if leaf == "weight":  # normalisation gains
            return (0.8 + 0.1 * z).astype(np.float32)
        return (0.05 * z).astype(np.float32)  # every bias
    fan_in = int(np.prod(shape[1:]))
    gain = 1.6 if not key.startswith("core.") else 1.2
    return (gain * z / math.sqrt(fan_in)).astype(np.float32)


def fill_recipe(
    state_dict,
    seed: int = 0,
    skip=(
        "relative_position_index",
        "relative_coords_table",
        "attn_mask",
        "k_bias",
        "k_idx",
        "K_minus_1",
        "num_batches_tracked",
        "running_mean",
        "running_var",
    ),
):
    """Fill every floating tensor of `state_dict` in place, except buffers named in `skip`. Returns the keys filled."""
    import torch

    done = []
    for key, value in state_dict.items():
        if any(s in key for s in skip) or not torch.is_floating_point(value):
            continue
        with torch.no_grad():
            value.copy_(torch.from_numpy(recipe_tensor(key, tuple(value.shape), seed)))
        done.append(key)
    return done


def recipe_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A (3, height, width) float32 image in [0, 1]: smooth colour waves plus fine noise."""
    rng = np.random.default_rng([height, width, seed])
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    img = np.zeros((3, height, width))
    for c in range(3):
        for _ in range(6):
            fx, fy = rng.uniform(-0.06, 0.06, 2)
            img[c] += rng.uniform(0.2, 1.0) * np.sin(2 * np.pi * (fx * x + fy * y) + rng.uniform(0, 6.28))
    img = (img - img.min()) / (img.max() - img.min())
    img = 0.85 * img + 0.15 * rng.random(img.shape)
    return img.astype(np.float32)


def recipe_depth(height: int, width: int, seed: int = 0, holes: float = 0.08):
    """A ground truth and a prediction, (height, width) float32 metres, that look like a room.

    Five planes and a few boxes between 0.4 and 12 m; `holes` of the ground truth is 0 (no measurement). The
    prediction is smooth, biased and noisy, and holds a few extreme values (0, negative, inf, nan).
    """
    rng = np.random.default_rng([height, width, seed, 77])
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    u, v = (x + 0.5) / width - 0.5, (y + 0.5) / height - 0.5
    walls = [
        rng.uniform(5, 12) * np.ones_like(u),
        rng.uniform(1.2, 2.0) / np.maximum(v, 1e-3),
        rng.uniform(1.2, 2.0) / np.maximum(-v, 1e-3),
        rng.uniform(1.5, 3.0) / np.maximum(u, 1e-3),
        rng.uniform(1.5, 3.0) / np.maximum(-u, 1e-3),
    ]
    gt = np.minimum.reduce(walls)
    for _ in range(8):
        cx, cy, w, h = rng.uniform(-0.5, 0.5), rng.uniform(-0.2, 0.5), rng.uniform(0.05, 0.2), rng.uniform(0.05, 0.3)
        box = (abs(u - cx) < w) & (abs(v - cy) < h)
        gt = np.where(box, np.minimum(gt, rng.uniform(0.4, 5.0) + 0.8 * u), gt)
    pred = (
        gt
        * rng.uniform(0.85, 1.15)
        * np.exp(0.1 * np.sin(9 * u + rng.uniform(0, 6)) + 0.06 * rng.standard_normal(gt.shape))
    )
    gt = np.where(rng.random(gt.shape) < holes, 0.0, gt)
    flat = rng.choice(gt.size, 40, replace=False)
    pred.flat[flat[:10]], pred.flat[flat[10:20]], pred.flat[flat[20:30]], pred.flat[flat[30:]] = (
        0.0,
        -1.0,
        np.inf,
        np.nan,
    )
    return gt.astype(np.float32), pred.astype(np.float32)


def recipe_features(seed: int = 0, batch: int = 2, height: int = 24, width: int = 32):
    """Decoder features for a metric head alone: [rel_depth, out_conv, l4_rn, r4, r3, r2, r1], float32.

    rel_depth (b, h, w) and out_conv (b, 32, h, w) are non-negative; the others have 256 channels at
    (2, 3), (3, 4), h/4, h/2 and h: what matters is that the sizes are uneven.
    """
    rng = np.random.default_rng([seed, 99])
    sizes = [(2, 3), (3, 4), (height // 4, width // 4), (height // 2, width // 2), (height, width)]
    rel = 3 * rng.random((batch, height, width))
    out_conv = np.maximum(rng.standard_normal((batch, 32, height, width)), 0)
    return [a.astype(np.float32) for a in [rel, out_conv, *(rng.standard_normal((batch, 256, *s)) for s in sizes)]]
