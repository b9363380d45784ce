"""How sure a mean over images is, and whether two models differ.

Frames of one scene are not independent, so scenes are what is resampled (the cluster bootstrap: Cameron, Gelbach and
Miller, 2008) and what is exchanged between two models (a permutation test on clusters). Percentile intervals of few
clusters are too narrow; the number of clusters is therefore always given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64
from scipy import stats

from zdlib.errors import ZDError
from zdlib.metrics.depth import GROUP_COLUMNS, METRICS, group_metrics
from zdlib.metrics.segmentation import segmentation_metrics

RESAMPLES = 2000
PERMUTATIONS = 10_000  # all sign patterns of up to 13 values


@dataclass(frozen=True)
class Interval:
    """A mean and its percentile bootstrap interval.

    Attributes:
        value: the statistic on all images.
        low, high: ends of the interval; NaN with fewer than two clusters.
        images, clusters: how many were resampled.
    """

    value: float
    low: float
    high: float
    images: int
    clusters: int


@dataclass(frozen=True)
class Difference:
    """What a second model gains on a first one, on the same images.

    Attributes:
        interval: of the mean difference, second minus first.
        p_value: two-sided, of a permutation test that exchanges the models within each cluster.
    """

    interval: Interval
    p_value: float

    @property
    def significant(self) -> bool:
        """At the 5 % level; False if it could not be tested."""
        return self.p_value < 0.05


def bootstrap_mean(
    values: Float64[np.ndarray, " n"],
    clusters: Sequence[str] | None,
    rng: np.random.Generator,
    level: float = 0.95,
) -> Interval:
    """Interval of the mean over images.

    Args:
        values: one an image, finite.
        clusters: the scene of each image; None or "" takes an image for a cluster of its own.
        rng: where resamples are drawn from.
        level: coverage aimed at.

    Raises:
        ValueError: no value, or one that is not finite.
    """
    if not values.size or not np.isfinite(values).all():
        raise ValueError("bootstrap_mean: needs finite values, at least one")
    member = _members(clusters, len(values))
    sums, counts = np.bincount(member, values), np.bincount(member)
    times = _resample(len(counts), rng)
    return _interval(float(values.mean()), (times @ sums) / (times @ counts), len(values), len(counts), level)


def bootstrap_ratio(
    first: Float64[np.ndarray, " n"],
    second: Float64[np.ndarray, " m"],
    clusters: tuple[Sequence[str] | None, Sequence[str] | None],
    rng: np.random.Generator,
    level: float = 0.95,
) -> Interval:
    """Interval of the ratio of two means over different images, `mean(first) / mean(second)`.

    The clusters of the two are drawn independently of each other.

    Args:
        first: one value per image, finite.
        second: likewise, of other images; its mean is not 0.
        clusters: the scene of each image, for both; None or "" takes an image for a cluster of its own.
        rng: where resamples are drawn from.
        level: coverage aimed at.
    """
    means, counts = [], []
    for values, names in zip((first, second), clusters, strict=True):
        member = _members(names, len(values))
        times = _resample(int(member.max()) + 1, rng)
        means.append((times @ np.bincount(member, values)) / (times @ np.bincount(member)))
        counts.append(times.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        resampled = means[0] / means[1]
    # A single cluster on either side says nothing about that side's spread.
    clusters_in_all = sum(counts) if min(counts) > 1 else 1
    ratio = float(first.mean() / second.mean())
    return _interval(ratio, resampled, len(first) + len(second), clusters_in_all, level)


def bootstrap_segmentation(
    matrices: Int64[np.ndarray, "n 14 14"],
    clusters: Sequence[str] | None,
    rng: np.random.Generator,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Intervals of `miou`, `pixel_accuracy`, `mean_accuracy` and each class's IoU, which are no means over images.

    Args:
        matrices: the confusion matrix of each image.
        clusters: the scene of each image; None or "" takes an image for a cluster of its own.
        rng: where resamples are drawn from.
        level: coverage aimed at.
    """
    member = _members(clusters, len(matrices))
    n_clusters = int(member.max()) + 1
    sums = np.zeros((n_clusters, *matrices.shape[1:]), np.int64)
    np.add.at(sums, member, matrices)
    times = _resample(n_clusters, rng).astype(np.int64)
    resampled = np.einsum("rc,cij->rij", times, sums)
    rows = pd.DataFrame([segmentation_metrics(matrix) for matrix in resampled])
    return {
        name: _interval(value, rows[name].to_numpy(), len(matrices), n_clusters, level)
        for name, value in segmentation_metrics(matrices.sum(axis=0)).items()
    }


def bootstrap_groups(
    sums: Float64[np.ndarray, "n groups 5"],
    clusters: Sequence[str] | None,
    rng: np.random.Generator,
    level: float = 0.95,
) -> dict[str, Float64[np.ndarray, " groups"]]:
    """Ends of the intervals of metrics that are pooled over the pixels of groups (classes, distance bins).

    Args:
        sums: `zdlib.metrics.depth.group_sums` of each image.
        clusters: the scene of each image; None or "" takes an image for a cluster of its own.
        rng: where resamples are drawn from.
        level: coverage aimed at.

    Returns:
        `<metric>_low` and `<metric>_high`; NaN for a group with pixels in fewer than two clusters.
    """
    member = _members(clusters, len(sums))
    totals = np.zeros((int(member.max()) + 1, *sums.shape[1:]))
    np.add.at(totals, member, sums)
    resampled = group_metrics(np.tensordot(_resample(len(totals), rng), totals, axes=1))
    present = np.count_nonzero(totals[..., GROUP_COLUMNS.index("pixels")], axis=0)  # resamples of one never differ
    del resampled["pixels"]
    ends: dict[str, Float64[np.ndarray, " groups"]] = {}
    for name, values in resampled.items():
        intervals = [_interval(0.0, c, len(sums), int(n), level) for c, n in zip(values.T, present, strict=True)]
        ends[f"{name}_low"] = np.array([i.low for i in intervals])
        ends[f"{name}_high"] = np.array([i.high for i in intervals])
    return ends


def paired_difference(
    first: Float64[np.ndarray, " n"],
    second: Float64[np.ndarray, " n"],
    clusters: Sequence[str] | None,
    rng: np.random.Generator,
    level: float = 0.95,
) -> Difference:
    """The mean of `second` − `first` over the same images, its interval, and a test of whether it is zero.

    If the models were alike, the sign of each cluster's summed difference would be arbitrary (`sign_flip_test`).

    Args:
        first: one value per image.
        second: the other model's, in the same order.
        clusters: the scene of each image; None or "" takes an image for a cluster of its own.
        rng: where resamples and signs are drawn from.
        level: coverage aimed at.
    """
    differences = second - first
    interval = bootstrap_mean(differences, clusters, rng, level)
    totals = np.bincount(_members(clusters, len(differences)), differences)
    return Difference(interval, sign_flip_test(totals, rng) if len(totals) > 1 else float("nan"))


def sign_flip_test(differences: Float64[np.ndarray, " n"], rng: np.random.Generator) -> float:
    """Two-sided p-value of the hypothesis that the sign of every difference is arbitrary.

    The share of sign patterns whose sum is as far from zero as the observed one: of all patterns where there are no
    more than `PERMUTATIONS`, else of as many random ones. Of n differences it cannot be smaller than 2 / 2ⁿ: five can
    never reach 0.05.

    Args:
        differences: at least two.
        rng: where random patterns are drawn from.
    """
    scale = float(np.abs(differences).sum()) or 1.0

    def distance(values: np.ndarray, axis: int) -> np.ndarray | np.float64:
        # Rounding must not decide whether a pattern as extreme as the observed one counts.
        return np.round(np.abs(values.sum(axis)) / scale, 12)

    test = stats.permutation_test(
        (differences,), distance, permutation_type="samples", n_resamples=PERMUTATIONS, alternative="greater", rng=rng
    )
    return float(test.pvalue)


def image_intervals(
    per_image: pd.DataFrame, rng: np.random.Generator, columns: Sequence[str] = METRICS, level: float = 0.95
) -> dict[str, Interval]:
    """Intervals of a per-image table's metrics (`zdlib.evaluate.judge.evaluate_depth`), scenes as clusters.

    Images without a pixel that counts are out.
    """
    counted = per_image[per_image["pixels"] > 0]
    scenes = counted["scene"].tolist()
    return {column: bootstrap_mean(counted[column].to_numpy(np.float64), scenes, rng, level) for column in columns}


def interval_table(
    per_image: pd.DataFrame, rng: np.random.Generator, columns: Sequence[str] = METRICS, level: float = 0.95
) -> pd.DataFrame:
    """`image_intervals`, one row per metric: `metric, value, low, high, images, clusters`."""
    intervals = image_intervals(per_image, rng, columns, level)
    return pd.DataFrame([{"metric": metric, **vars(interval)} for metric, interval in intervals.items()])


def interval_ends(intervals: Mapping[str, Interval]) -> dict[str, float]:
    """`<name>_low` and `<name>_high` of each, as tables keep them beside `<name>`."""
    return {f"{name}_{end}": getattr(i, end) for name, i in intervals.items() for end in ("low", "high")}


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    rng: np.random.Generator,
    columns: Sequence[str] = METRICS,
    level: float = 0.95,
) -> pd.DataFrame:
    """The difference between two models, metric by metric, from their per-image tables.

    Args:
        first: the reference's table.
        second: the other's, of the same protocol and frames.
        rng: where resamples and signs are drawn from.
        columns: which metrics.
        level: coverage aimed at.

    Returns:
        One row per metric: `metric, first, second, difference, low, high, p_value, significant, images, clusters`.

    Raises:
        ZDError: the tables are of other frames or protocols.
    """
    for column in ("protocol", "frame", "name"):
        if first[column].tolist() != second[column].tolist():
            raise ZDError(
                f"paired comparison: the two tables differ in {column}: evaluate both models on the same frames"
            )
    both = ((first["pixels"] > 0) & (second["pixels"] > 0)).to_numpy()
    scenes = first.loc[both, "scene"].tolist()
    rows = []
    for column in columns:
        a, b = (table.loc[both, column].to_numpy(np.float64) for table in (first, second))
        result = paired_difference(a, b, scenes, rng, level)
        rows.append(
            {
                "metric": column,
                "first": float(a.mean()),
                "second": float(b.mean()),
                "difference": result.interval.value,
                "low": result.interval.low,
                "high": result.interval.high,
                "p_value": result.p_value,
                "significant": result.significant,
                "images": result.interval.images,
                "clusters": result.interval.clusters,
            }
        )
    return pd.DataFrame(rows)


def _members(clusters: Sequence[str] | None, n: int) -> Int64[np.ndarray, " n"]:
    """The number of each image's cluster, in order of first appearance."""
    if clusters is None:
        return np.arange(n, dtype=np.int64)
    if len(clusters) != n:
        raise ValueError(f"{len(clusters)} clusters for {n} images")
    keys = [name or position for position, name in enumerate(clusters)]
    return pd.factorize(pd.Series(keys, dtype=object))[0].astype(np.int64)


def _resample(clusters: int, rng: np.random.Generator) -> Float64[np.ndarray, "r clusters"]:
    """How often each cluster is drawn in each resample."""
    return rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=RESAMPLES).astype(np.float64)


def _interval(value: float, resampled: Float64[np.ndarray, " r"], images: int, clusters: int, level: float) -> Interval:
    # A class that is in no image of a resample has no IoU there.
    resampled = resampled[np.isfinite(resampled)]
    if clusters < 2 or not resampled.size:
        return Interval(value, float("nan"), float("nan"), images, clusters)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), images, clusters)
