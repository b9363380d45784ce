"""The embedded streets in numbers: classes, depths, masks, the scanner; and what has been scored on them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float32, Float64, UInt8
from scipy.ndimage import grey_dilation
from tqdm import tqdm

from zdlib.data.sample import Reader
from zdlib.data.street_classes import NAMES
from zdlib.data.streets import SCORED
from zdlib.data.streets.store import Store
from zdlib.errors import ZDError
from zdlib.paths import RunPaths

PARTS = ("train", "val", "test")
PERCENTILES = (5, 50, 95)
_NAMED = ("protocol", "data", "method", "images")
_SHOWN = tuple(
    f"{metric}{end}"
    for metric in ("delta1", "delta2", "delta3", "abs_rel", "rmse", "log10")
    for end in ("", "_low", "_high")
)
FAR = 80.0  # metres, where KITTI's evaluation ends


def summarise_streets(stores: Sequence[Store]) -> tuple[pd.DataFrame, dict[str, Float64[np.ndarray, "19"]]]:
    """Counts over the middle frame of every clip.

    Returns:
        One row per part of each store, and each store's share of its pixels in each of the 19 classes.

    Raises:
        ZDError: a store is damaged.
    """
    rows, shares = [], {}
    for store in stores:
        counts = np.zeros(len(NAMES))
        for part in (part for part in PARTS if store.of_split(part)):
            row, seen = _part(store, part)
            rows.append(row)
            counts += seen
        shares[store.name] = counts / counts.sum()
    return pd.DataFrame(rows), shares


def _part(store: Store, part: str) -> tuple[dict[str, object], Float64[np.ndarray, "19"]]:
    depths, counts, occluded, moving, still = [], np.zeros(len(NAMES)), [], [], 0
    clips = store.of_split(part)
    for clip in tqdm(clips, desc=f"{store.name}, {part}", unit="clip", mininterval=1):
        frame = store.frame(clip, store.frames // 2)
        depths.append(frame.depth[frame.depth > 0])
        counts += np.bincount(frame.labels.ravel(), minlength=256)[: len(NAMES)]
        occluded.append(float(frame.occluded.mean()))
        moving.append(float(frame.moving.mean()))
        still += store.clip(clip).speed < 0.01
    depth = np.concatenate(depths)
    row: dict[str, object] = {
        "data": store.name,
        "part": part,
        "clips": len(clips),
        "frames": len(clips) * store.frames,
    }
    row |= {f"depth {p} % [m]": float(np.percentile(depth, p)) for p in PERCENTILES}
    row |= {
        f"> {FAR:.0f} m [%]": 100 * float((depth > FAR).mean()),
        "right camera blind [%]": 100 * float(np.mean(occluded)) if store.baseline else np.nan,
        "moving [%]": 100 * float(np.mean(moving)),
        "camera at rest": still,
    }
    return row, counts


def scan_against_truth(sparse: Reader, dense: Reader) -> pd.DataFrame:
    """What a projected scan knows of a picture: how much of it, how well, and of which distances.

    Args:
        sparse: frames with the scan for depth.
        dense: the same frames with dense depth.

    Returns:
        One row for all distances and one for each band.
    """
    bands = {"all": (0.0, np.inf), "0–10 m": (0.0, 10.0), "10–30 m": (10.0, 30.0), "30–80 m": (30.0, FAR)}
    found: dict[str, list[Float64[np.ndarray, " n"]]] = {band: [] for band in bands}
    pixels = dict.fromkeys(bands, 0)
    for index in range(len(sparse)):
        scan, truth = sparse[index].depth, dense[index].depth
        for band, (near, far) in bands.items():
            inside = (truth > near) & (truth < far)
            pixels[band] += int(inside.sum())
            both = inside & (scan > 0)
            found[band].append(np.abs(scan[both] / truth[both].astype(np.float64) - 1))
    errors = {band: np.concatenate(parts) for band, parts in found.items()}
    return pd.DataFrame(
        {
            "distance": band,
            "measured [%]": 100 * len(error) / max(pixels[band], 1),
            "median error [%]": 100 * float(np.median(error)) if len(error) else np.nan,
            "off by > 10 % [%]": 100 * float((error > 0.1).mean()) if len(error) else np.nan,
        }
        for band, error in errors.items()
    )


def thickened(sparse: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """A projected scan whose echoes are two pixels high and wide, to be looked at."""
    return np.where(sparse > 0, sparse, grey_dilation(sparse, (2, 2)))


def scores(profiles: Sequence[str] = SCORED) -> pd.DataFrame:
    """The committed scores of profiles, in the columns of the paper's tables; rows that repeat are left out.

    Raises:
        ZDError: there is none.
    """
    files = [path for name in profiles for path in sorted((RunPaths(name).results / "evaluate").glob("*.csv"))]
    tables = [table for path in files if "method" in (table := pd.read_csv(path))]
    if not tables:
        raise ZDError(f"results/{SCORED[0]}/evaluate: holds no scores: restore it with git checkout")
    table = pd.concat(tables, ignore_index=True).drop_duplicates(["protocol", "data", "method"])
    table = table[[column for column in (*_NAMED, *_SHOWN) if column in table]]
    return table.sort_values(["data", "protocol"], kind="stable").reset_index(drop=True)


def shares_beside(
    shares: Mapping[str, Float64[np.ndarray, "19"]], palette: UInt8[np.ndarray, "256 3"]
) -> tuple[dict[str, Float64[np.ndarray, "19"]], Sequence[str], UInt8[np.ndarray, "19 3"]]:
    """Arguments of `zdlib.paper.plots.class_shares` for the 19 street classes."""
    return dict(shares), NAMES, palette[: len(NAMES)]
