"""What the original's split, averaging and unit do to its numbers, as arithmetic anybody can repeat.

Facts about the original repository (commit 512f0ad): it trains on the first 1158 of NYU's 1449 labelled frames,
averages its NYU row over all 1449, and divides depths that are already in metres by 1000 while it compares them with
limits written for metres.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float32

from zdlib.data.sets.nyu import CONTIGUOUS_TRAIN as N_TRAINED
from zdlib.data.sets.nyu import NYU_FRAMES as N_LABELLED
from zdlib.data.sets.nyu import official_parts
from zdlib.metrics.depth import HIGHER_IS_BETTER


def split_overlap() -> pd.DataFrame:
    """The contiguous split of the original against the official one: number of frames in each cell, with totals."""
    parts = official_parts()
    trained, held_out = f"trained on (0–{N_TRAINED - 1})", f"held out ({N_TRAINED}–{N_LABELLED - 1})"
    original = np.where(parts.index < N_TRAINED, trained, held_out)
    counts = pd.crosstab(original, parts.to_numpy())
    counts = counts.loc[[trained, held_out], ["train", "test"]]
    counts.loc["all"] = counts.sum()
    counts["all"] = counts.sum(axis=1)
    counts.columns = pd.Index(["official train", "official test", "all"])
    return counts.rename_axis("original split").reset_index()


def trained_share() -> float:
    """Share of the frames averaged in the original's NYU row that its network was trained on: 1158/1449."""
    return N_TRAINED / N_LABELLED


def held_out_value(reported: float, on_trained: float) -> float:
    """The held-out mean that a reported mean over all frames implies, for an assumed mean on the trained frames.

    Solves `N · reported = n · on_trained + (N − n) · held_out` with N = 1449, n = 1158. Nobody published `on_trained`;
    this is what-if arithmetic, not a measurement.
    """
    return (N_LABELLED * reported - N_TRAINED * on_trained) / (N_LABELLED - N_TRAINED)


def vanishing_pixels(depth_m: Float32[np.ndarray, "h w"]) -> tuple[int, int]:
    """Pixels of a depth map that the original's unit removes: `(nearer than one metre, measured)`.

    The original keeps `d/1000 > 1e-3` with d in metres: everything at one metre or nearer is neither trained on nor
    scored. The intended test, `d > 1e-3`, keeps it.
    """
    measured = depth_m > 1e-3
    return int(np.count_nonzero(measured & (depth_m <= 1.0))), int(np.count_nonzero(measured))


def rmse_in_metres(printed: float) -> float:
    """Undo the scaling of the original's NYU notebook, which prints √mean(1000 · e²) with e in kilometres."""
    return printed / np.sqrt(1000.0) * 1000.0


def implied_by_ratio(reported: float, ratio: float) -> tuple[float, float]:
    """Mean errors on the trained and on the held-out frames, if the latter is `ratio` times the former.

    `reported` is a mean *error* over all frames (AbsRel, RMSE, 1 − δ1): with N = 1449 and n = 1158,
    `N · reported = n · e + (N − n) · ratio · e`. What-if arithmetic again.
    """
    on_trained = N_LABELLED * reported / (N_TRAINED + (N_LABELLED - N_TRAINED) * ratio)
    return on_trained, ratio * on_trained


def implied_means(reported: Mapping[str, float], ratios: Mapping[str, float]) -> dict[str, float]:
    """Each metric's held-out mean by `implied_by_ratio`, for its mean over all frames and its ratio of errors."""
    implied = {}
    for metric, ratio in ratios.items():
        higher = metric in HIGHER_IS_BETTER
        _, error = implied_by_ratio(1 - reported[metric] if higher else reported[metric], ratio)
        implied[metric] = 1 - error if higher else error
    return implied


def implied_table(reported: float, on_trained: Sequence[float]) -> pd.DataFrame:
    """What a reported δ1 over all frames says about the held-out ones, for assumed values on the trained ones.

    Returns:
        One row an assumption: `on_trained`, `held_out`, and the `ratio` of the error 1 − δ1 on held-out frames to
        that on trained ones (NaN where none is left on the trained ones).
    """
    trained = np.asarray(on_trained, np.float64)
    held_out = np.array([held_out_value(reported, value) for value in trained])
    with np.errstate(divide="ignore"):
        ratio = np.where(trained < 1, (1 - held_out) / (1 - trained), np.nan)
    return pd.DataFrame({"on_trained": trained, "held_out": held_out, "ratio": ratio})
