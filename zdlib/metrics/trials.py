"""Comparing trainings: paired seeds as the sample, alone or together with the scenes that they were judged on.

A training differs from the next by its seed, a mean over test images by which scenes were drawn. An interval over
seeds alone says nothing of other scenes, one over scenes alone nothing of other seeds; `seeds_and_scenes` resamples
both at once (Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007). Its percentiles are too narrow for
fewer than about ten pairs; the t-interval over seeds is the one to quote then.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy import stats

from zdlib.metrics.intervals import RESAMPLES

Differences = Float64[np.ndarray, " pairs"]


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided t-tests against a margin (Schuirmann, 1987).

    Attributes:
        p_value: the larger of the two; below the level, the mean difference lies within ±margin.
        low, high: the interval that goes with it, of 1 − 2 · level.
    """

    p_value: float
    low: float
    high: float


def equivalence(differences: Differences, margin: float, level: float = 0.05) -> Equivalence:
    """Whether the mean of paired differences is smaller than a margin that was chosen beforehand.

    Args:
        differences: one per pair of trainings, at least two that are not all equal.
        margin: the largest mean difference that does not matter, in the metric's unit.
        level: of each one-sided test.
    """
    not_lower = stats.ttest_1samp(differences, -margin, alternative="greater")
    not_higher = stats.ttest_1samp(differences, margin, alternative="less")
    interval = stats.ttest_1samp(differences, 0.0).confidence_interval(1 - 2 * level)
    return Equivalence(
        max(float(not_lower.pvalue), float(not_higher.pvalue)), float(interval.low), float(interval.high)
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values of one family of tests, in the given order.

    The i-th smallest of n is multiplied by n − i, and none falls below a smaller one's.
    """
    order = np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values, np.float64)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(value) for value in adjusted]


def deviation_interval(values: Float64[np.ndarray, " n"], level: float = 0.95) -> tuple[float, float, float]:
    """Standard deviation of a sample and the ends of its interval (χ², for normal values).

    Args:
        values: at least two.
        level: coverage aimed at.
    """
    n, deviation = len(values), float(np.std(values, ddof=1))
    upper, lower = stats.chi2.ppf([(1 + level) / 2, (1 - level) / 2], n - 1)
    return deviation, deviation * float(np.sqrt((n - 1) / upper)), deviation * float(np.sqrt((n - 1) / lower))


def seeds_and_scenes(
    differences: Float64[np.ndarray, "pairs images"],
    scenes: Sequence[str],
    rng: np.random.Generator,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Mean difference over pairs and images, and its percentile interval with both seeds and scenes resampled.

    Args:
        differences: second arm minus first, per pair of trainings and per image; finite.
        scenes: the scene of each image; whole scenes are drawn.
        rng: where resamples are drawn from.
        level: coverage aimed at.

    Raises:
        ValueError: a difference is not finite, or there is nothing to resample.
    """
    pairs, images = differences.shape
    if not differences.size or not np.isfinite(differences).all() or len(scenes) != images:
        raise ValueError("seeds_and_scenes: needs finite differences, and the scene of every image")
    names = {name: number for number, name in enumerate(dict.fromkeys(scenes))}
    member = np.array([names[name] for name in scenes])
    counts = np.bincount(member)
    sums = np.stack([np.bincount(member, row, minlength=len(names)) for row in differences])  # pairs scenes
    times_pairs = rng.multinomial(pairs, np.full(pairs, 1 / pairs), RESAMPLES)
    times_scenes = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    totals = np.einsum("rp,ps,rs->r", times_pairs, sums, times_scenes)
    means = totals / (pairs * (times_scenes @ counts))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(differences.mean()), float(low), float(high)
