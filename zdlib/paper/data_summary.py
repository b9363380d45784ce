"""What a data set in NYU's layout holds, counted in one pass: depth, holes, classes, and what the units remove."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64
from tqdm import tqdm

from zdlib.data.sets.nyu import NYUReader, Splits, contiguous_split
from zdlib.labels import CLASS_NAMES, N_CLASSES
from zdlib.paper.original import vanishing_pixels

BIN_EDGES: Float64[np.ndarray, " edges"] = np.linspace(0, 10, 101)


@dataclass(frozen=True)
class DataSummary:
    """Counts over a data set.

    Attributes:
        frames: one row per frame: `frame, scene, scene_type, official, contiguous` (part in each split), `pixels`,
            `measured` (pixels with a raw depth), `near` (of those, at 1 m or nearer), `far` (beyond 10 m),
            `unlabelled`, `median` (raw depth, m).
        histogram: measured pixels in each 10 cm bin from 0 to 10 m, all frames.
        classes: official part → share of its pixels in each of the 14 classes.
    """

    frames: pd.DataFrame
    histogram: Int64[np.ndarray, " bins"]
    classes: dict[str, Float64[np.ndarray, "14"]]

    def parts(self) -> pd.DataFrame:
        """One row a part of the official split: frames, scenes, and percentages over its pixels."""
        rows = []
        for name in ("train", "test"):
            part = self.frames[self.frames["official"] == name]
            measured = part["measured"].sum()
            rows.append(
                {
                    "part": name,
                    "frames": len(part),
                    "scenes": part["scene"].nunique(),
                    "scene types": part["scene_type"].nunique(),
                    "median depth [m]": float(part["median"].median()),
                    "no measurement [%]": 100 * (1 - measured / part["pixels"].sum()),
                    "≤ 1 m [%]": 100 * part["near"].sum() / measured,
                    "> 10 m [%]": 100 * part["far"].sum() / measured,
                    "unlabelled [%]": 100 * part["unlabelled"].sum() / part["pixels"].sum(),
                }
            )
        return pd.DataFrame(rows)

    def overlap(self) -> pd.DataFrame:
        """Frames of each official part in each part of the original's contiguous split, and scenes on both sides."""
        counts = pd.crosstab(self.frames["contiguous"], self.frames["official"]).reindex(
            index=["train", "test"], columns=["train", "test"], fill_value=0
        )
        counts["all"] = counts.sum(axis=1)
        counts.index = pd.Index(["first 79.9 % (trained on)", "last 20.1 % (held out)"], name="original split")
        counts.columns = pd.Index(["official train", "official test", "all"])
        return counts.reset_index()

    def shared_scenes(self) -> int:
        """Scenes that the contiguous split cuts in two."""
        parts = self.frames.groupby("scene")["contiguous"].nunique()
        return int((parts > 1).sum())

    def most_vanishing(self, count: int) -> list[int]:
        """The frames that lose the largest share of their measured pixels at 1 m or nearer, one a scene."""
        share = (self.frames["near"] / self.frames["measured"]).rename("share")
        ordered = self.frames.assign(share=share).sort_values(["share", "frame"], ascending=[False, True])
        return ordered.drop_duplicates("scene")["frame"].head(count).tolist()


def summarise_nyu(reader: NYUReader, official: Splits) -> DataSummary:
    """Count `reader` (raw depth) once through.

    Raises:
        ZDError: a frame cannot be read.
    """
    train, contiguous = set(official.train.tolist()), set(contiguous_split(len(reader)).train.tolist())
    histogram = np.zeros(len(BIN_EDGES) - 1, np.int64)
    classes = {"train": np.zeros(N_CLASSES), "test": np.zeros(N_CLASSES)}
    rows = []
    for index in tqdm(range(len(reader)), desc="reading", unit="frame", mininterval=1):
        sample = reader[index]
        near, measured = vanishing_pixels(sample.depth)
        depth = sample.depth[sample.depth > 1e-3]
        histogram += np.histogram(depth, BIN_EDGES)[0]
        part = "train" if index in train else "test"
        labels = sample.labels if sample.labels is not None else np.zeros(sample.depth.shape, np.uint8)
        counts = np.bincount(labels.ravel(), minlength=len(CLASS_NAMES))
        classes[part] += counts
        rows.append(
            {
                "frame": index,
                "scene": sample.scene,
                "scene_type": sample.scene_type,
                "official": part,
                "contiguous": "train" if index in contiguous else "test",
                "pixels": sample.depth.size,
                "measured": measured,
                "near": near,
                "far": int(np.count_nonzero(depth > 10)),
                "unlabelled": int(counts[0]),
                "median": float(np.median(depth)),
            }
        )
    shares = {part: counts / max(counts.sum(), 1) for part, counts in classes.items()}
    return DataSummary(pd.DataFrame(rows), histogram, shares)
