"""Boundary F1 of a grid's networks at several resolutions: where a soft map has edges that can be compared.

    python -m zdlib.paper.label_budget.edge_scales       # of all networks of profile label_budget that are on this disk

Depth Pro's score asks of neighbouring pixels whether one hides the other. A map that was enlarged five times changes by
less than the least threshold from pixel to pixel, whatever it knows: its F1 is 0 because of its resolution. Between
pixels that lie further apart the same edge is a step again. So both maps are read at every pixel, at every fourth and
at every sixteenth.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Float32

from zdlib.config import Profile, load_profile
from zdlib.data.sets.ibims import IBimsReader, IBimsSample
from zdlib.errors import ZDError
from zdlib.evaluate.judge import DepthMaps
from zdlib.files import write_csv
from zdlib.metrics import protocols
from zdlib.metrics.ibims import boundary_f1
from zdlib.paper.trained_runs import load_run, predict_run
from zdlib.paths import RunPaths, resolve

PROFILE = "label_budget"
NAME = "edge_scales"  # of the table in per_image
STRIDES = (1, 4, 16)
TRUTH = "the truth at the network's size"


def f1_at_strides(
    maps: DepthMaps, reader: IBimsReader | Sequence[IBimsSample], frames: Iterable[int]
) -> dict[int, float]:
    """Mean boundary F1 (`zdlib.metrics.ibims.boundary_f1`) of the pixels in every so many-th row and column.

    Args:
        maps: metres at any resolution, by frame.
        reader: the data set.
        frames: which of its frames; judged by ibims/koch.
    """
    rules, scores = protocols.get("ibims/koch"), []
    for frame in frames:
        sample = reader[frame]
        pred, valid = rules.prepare(maps[frame], sample)
        every = [(slice(stride // 2, None, stride),) * 2 for stride in STRIDES]
        scores.append([boundary_f1(pred[one], sample.depth[one], valid[one]) for one in every])
    return dict(zip(STRIDES, np.mean(scores, axis=0).tolist(), strict=True))


def reduced(depth: Float32[np.ndarray, "h w"], size: tuple[int, int]) -> Float32[np.ndarray, "_ _"]:
    """A true map as a network of this input size could have it at best: means over the pixels with depth."""
    known = torch.from_numpy(depth > 0)[None, None].float()
    whole = torch.from_numpy(depth)[None, None]
    mean = F.interpolate(whole * known, size, mode="area") / F.interpolate(known, size, mode="area").clamp(min=1e-6)
    values: Float32[np.ndarray, "_ _"] = mean[0, 0].numpy()
    return values


def judged(profile: Profile, paths: RunPaths) -> Iterator[dict[str, float | int | str]]:
    """A row for the truth, and one for each network that is on this disk: `arm, seed` and F1 by stride."""
    reader = IBimsReader(resolve(profile.data.ibims.root))
    frames = range(len(reader))
    ideal = {frame: np.maximum(reduced(reader[frame].depth, profile.model.input_size), 1e-3) for frame in frames}
    yield {"arm": TRUTH, "seed": 0, **_named(f1_at_strides(ideal, reader, frames))}
    assert profile.study is not None
    for key in profile.study.jobs():
        if not (paths.checkpoints / f"{key}.safetensors").is_file():
            continue
        arm, _, seed = key.rpartition("_")
        maps = predict_run(load_run(profile.job(key), key, paths), reader, list(frames), profile)
        yield {"arm": arm, "seed": int(seed), **_named(f1_at_strides(maps, reader, frames))}


def _named(scores: Mapping[int, float]) -> dict[str, float]:
    return {f"f1_{stride}": round(score, 5) for stride, score in scores.items()}


def load(paths: RunPaths) -> pd.DataFrame:
    """What `judge` has written.

    Raises:
        ZDError: nothing.
    """
    path = paths.per_image / f"{NAME}.csv"
    if not path.is_file():
        raise ZDError(f"{path}: no such file: python -m zdlib.paper.label_budget.edge_scales makes it")
    return pd.read_csv(path)


def judge(profile: Profile, paths: RunPaths) -> pd.DataFrame:
    """Judge the networks on this disk, and keep them with the rows of those that are not; without any, `load`."""
    assert profile.study is not None
    if not any((paths.checkpoints / f"{key}.safetensors").is_file() for key in profile.study.jobs()):
        return load(paths)
    table, path = pd.DataFrame(judged(profile, paths)), paths.per_image / f"{NAME}.csv"
    if path.is_file():
        table = pd.concat([pd.read_csv(path), table]).drop_duplicates(["arm", "seed"], keep="last")
    table = table.sort_values(["arm", "seed"], ignore_index=True)
    write_csv(path, table)
    return table


if __name__ == "__main__":
    torch.set_num_threads(1)
    judge(load_profile(PROFILE), RunPaths(PROFILE))
