"""A sitting person made of tubes, for bicycles and motorcycles."""

import numpy as np

from scenes.streets.geometry import Array, tube

# Hip, shoulder, hand, knee, foot in the frame of the vehicle (x right, y forward, z up), right side, metres.
JOINTS = {
    "bicycle": (
        (0, -0.28, 0.92),
        (0, 0.08, 1.42),
        (0.24, 0.42, 1.02),
        (0.12, 0.12, 0.72),
        (0.11, -0.02, 0.24),
    ),
    "motor": ((0, -0.35, 0.82), (0, -0.20, 1.34), (0.30, 0.35, 0.98), (0.20, 0.10, 0.78), (0.20, 0.12, 0.28)),
}
Part = tuple[tuple[Array, Array], Array]


def rider(kind: str, seed: int) -> list[Part]:
    """Tubes (corners, uv) with their sRGB colours; `kind` is a key of `JOINTS`, the seed chooses clothes."""
    rng = np.random.default_rng(seed)
    top, legs = rng.uniform(0.05, 0.7, 3), rng.uniform(0.04, 0.3, 3)
    skin, hair = np.array([0.62, 0.45, 0.36]) * rng.uniform(0.5, 1.1), rng.uniform(0.03, 0.5, 3)
    sleeves = top if rng.random() < 0.6 else skin
    hip, shoulder, hand, knee, foot = (np.array(joint, float) for joint in JOINTS[kind])
    parts: list[Part] = [
        (tube(hip - [0, 0, 0.05], shoulder, 0.15, 0.18, 10), top),
        (tube(shoulder, shoulder + np.array([0, 0.02, 0.12]), 0.055, 0.055), skin),
        (
            tube(shoulder + np.array([0, 0.03, 0.1]), shoulder + np.array([0, 0.05, 0.33]), 0.1, 0.085, 10),
            skin,
        ),
        (
            tube(shoulder + np.array([0, 0.0, 0.2]), shoulder + np.array([0, 0.02, 0.38]), 0.125, 0.07, 10),
            hair,
        ),
    ]
    for sign in (-1, 1):
        mirror = np.array([sign, 1, 1])
        # One pedal is up.
        lift = np.array([0, 0.1, 0.13]) * (sign > 0 and kind == "bicycle")
        arm = (shoulder + np.array([0.17, 0, -0.03])) * mirror
        elbow = (shoulder + np.array([0.2, 0, 0]) + hand) / 2 * mirror + np.array([sign * 0.06, -0.05, -0.06])
        thigh, bend, sole = (
            (hip + np.array([0.09, 0, 0])) * mirror,
            knee * mirror + lift,
            foot * mirror + lift,
        )
        parts += [
            (tube(arm, elbow, 0.06, 0.05), top),
            (tube(elbow, hand * mirror, 0.045, 0.04), sleeves),
            (tube(thigh, bend, 0.085, 0.06), legs),
            (tube(bend, sole, 0.06, 0.045), legs),
            (
                tube(sole + np.array([0, -0.06, -0.02]), sole + np.array([0, 0.16, -0.04]), 0.05, 0.04),
                np.full(3, 0.08),
            ),
        ]
    return parts
