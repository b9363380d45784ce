"""Predictions with each picture's scale put right by its median: what is left of the error is not one factor.

MiDaS-style evaluation of networks without metric scale (Zhou et al., 2017). It uses the ground truth to correct the
prediction, so a number made this way is never a result of a metric network: it says how much of one is scale.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from zdlib.data.sample import Reader
from zdlib.evaluate.judge import DepthMap, DepthMaps
from zdlib.metrics.protocols import Protocol


def median_scaled(
    predictions: DepthMaps, reader: Reader, frames: Iterable[int], protocol: Protocol
) -> dict[int, DepthMap]:
    """Each prediction times median(truth) / median(prediction), both over the pixels that the protocol counts.

    Args:
        predictions: metres at any resolution, by frame number.
        reader: the data set.
        frames: which frames.
        protocol: whose pixels count. Its clamping comes after the scaling, when the maps are judged.

    Returns:
        The maps by frame number, at their own resolution; one without a pixel that counts is left as it is.
    """
    unclamped = replace(protocol, clip=None)
    scaled = {}
    for frame in frames:
        prediction = np.asarray(predictions[frame], np.float32)
        sample = reader[frame]
        seen, valid = unclamped.prepare(prediction, sample)
        factor = np.median(sample.depth[valid]) / np.median(seen[valid]) if valid.any() else 1.0
        scaled[frame] = prediction * np.float32(factor)
    return scaled


def deeper_than(reader: Reader, limit: float) -> list[str]:
    """Names of the frames with a pixel that may be judged (the data set's own mask) deeper than `limit` metres."""
    samples = (reader[frame] for frame in range(len(reader)))
    return [s.name for s in samples if (s.depth > limit)[s.mask if s.mask is not None else ...].any()]
