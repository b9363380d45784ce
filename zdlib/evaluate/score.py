"""Scoring predictions that are files, of any model, with the code behind the paper's own tables.

Ground truth comes from a copy of the data set, predictions from a folder (`NAME.npy`, `NAME.npz` or 16-bit `NAME.png`)
or one file that holds them all. Everything that is wrong with the predictions is told at once, by name, before
anything is written.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zdlib.data.sets.ibims import IBimsReader
from zdlib.evaluate.ibims import IBimsScores, evaluate_ibims
from zdlib.evaluate.judge import depth_by_class, depth_by_distance, evaluate_depth, summarise
from zdlib.evaluate.prediction_files import Predictions, Source, check
from zdlib.evaluate.truth import TrainedOn, Truth
from zdlib.files import write_csv, write_json
from zdlib.metrics import protocols
from zdlib.metrics.as_text import HEADERS, markdown
from zdlib.metrics.depth import METRICS
from zdlib.metrics.ibims import DISTANCE_EDGES
from zdlib.metrics.intervals import interval_table
from zdlib.metrics.protocols import Protocol

_ENDS = ("value", "low", "high")
_TABLES = ("depth", "intervals", "per_image", "by_distance", "by_class", "geometry", "planes")
FILES = (*(f"{table}.csv" for table in _TABLES), "summary.json")  # what `Score.write` may write


@dataclass(frozen=True)
class Score:
    """What a model scored.

    Attributes:
        depth: one row, in the columns of the paper's tables; `trained_on` is empty where nobody said.
        intervals: `metric, value, low, high, images, clusters`, 95 % bootstrap over scenes.
        per_image: one row per frame.
        by_distance, by_class: pooled over pixels; the latter only where the data set has labels.
        geometry: iBims-1's own metrics.
        summary: what was compared with what, the intervals, and notes on what is unusual; ready for JSON.
    """

    depth: pd.DataFrame
    intervals: pd.DataFrame
    per_image: pd.DataFrame
    by_distance: pd.DataFrame
    summary: dict[str, Any]
    by_class: pd.DataFrame | None = None
    geometry: IBimsScores | None = None

    def text(self) -> str:
        """The tables as GitHub's Markdown, and the notes."""
        tables = {self.summary["what_counts"]: self.depth}
        if self.geometry is not None:
            row = {"method": self.summary["method"], "data": self.summary["data"]} | self.geometry.summary()
            tables["ibims/koch: iBims-1's own metrics"] = pd.DataFrame([row])
        scenes = f"Means over images, with 95 % bootstrap intervals over {self.summary['scenes']} scenes"
        tables[scenes] = self.intervals[["metric", *_ENDS]].replace({"metric": HEADERS})
        parts = [
            markdown(
                {"rows": t.to_dict("records"), "columns": list(t), "compare": None, "hide": [], "caption": caption}
            )
            for caption, t in tables.items()
        ]
        return "\n".join([*parts, *(f"note: {note}" for note in self.summary["notes"])])

    def write(self, folder: Path) -> None:
        """`depth.csv`, `intervals.csv`, `per_image.csv`, `by_distance.csv`, …, and last `summary.json`."""
        tables = {
            "depth": self.depth,
            "intervals": self.intervals,
            "per_image": self.per_image,
            "by_distance": self.by_distance,
            "by_class": self.by_class,
        }
        if self.geometry is not None:
            tables |= {"geometry": self.geometry.per_image, "planes": self.geometry.planes}
        for name, table in tables.items():
            if table is not None:
                write_csv(folder / f"{name}.csv", table)
        write_json(folder / "summary.json", self.summary)


# ---------------------------------------------------------------------------------------------------------- scoring
def score(
    truth: Truth,
    protocol: Protocol,
    source: Source,
    method: str,
    *,
    units_per_metre: float | None = None,
    first: int = 0,
    trained_on: TrainedOn | None = None,
) -> Score:
    """Judge predictions under a protocol.

    Predictions for a protocol with KITTI's benchmark crop show either this crop or the whole frame, at its own size.

    Args:
        truth: the ground truth.
        protocol: what counts.
        source: the predictions (`zdlib.evaluate.prediction_files.open_source`).
        method: the row's name.
        units_per_metre: of the stored predictions; None is metres, and is refused for PNG files.
        first: the number of the first frame in files that are called by a number.
        trained_on: the split on whose training part the model was trained; None if not known.

    Raises:
        PredictionsError: predictions are missing, extra, unreadable, of another size or not finite; all are named.
        ZDError: the ground truth is unreadable, or the predictions' unit is not known.
    """
    frames, seen = truth.frames(protocol), truth.seen(trained_on)
    maps = Predictions(
        source, truth.names, frames, numbered=truth.numbered, first=first, units_per_metre=units_per_metre
    )
    own_size = protocol.own_size and not protocol.kitti_benchmark
    if protocol.kitti_benchmark and any(maps.shape(frame) == protocols.KITTI_BENCHMARK for frame in frames[:1]):
        truth = truth.viewed(protocol)
    findings = check(maps, frames, truth.size, protocol.name, own_size)
    per_image = evaluate_depth(maps, truth.readers, frames, protocol, seen)
    intervals = interval_table(per_image, np.random.default_rng(0))
    by_distance = depth_by_distance(maps, truth.readers, frames, protocol, _edges(protocol.max_depth))
    by_class = depth_by_class(maps, truth.readers, frames, protocol) if truth.dataset == "nyu" else None
    geometry, left_out = _geometry(maps, truth, frames, bool(findings.sizes))
    notes = [*findings.notes, *left_out]
    means = summarise(per_image)
    share = None if trained_on is None else 100 * means["trained_on"] / means["images"]
    if means["skipped"]:
        notes.append(f"no pixel counts in {', '.join(means['skipped'])}")
    row = {"protocol": protocol.name, "data": truth.data, "method": method, "images": means["images"]}
    summary = {
        **row,
        "what_counts": protocol.describe(*truth.size(frames[0])),
        "note": protocol.note,
        "source": protocol.source,
        "skipped": means["skipped"],
        "trained_on": share,
        "predictions": {"name": source.path.name, "sha256": findings.sha256},
        **_numbers(intervals, geometry),
        "notes": notes,
    }
    row |= {"trained_on": np.nan if share is None else share, **{metric: means[metric] for metric in METRICS}}
    return Score(pd.DataFrame([row]), intervals, per_image, by_distance, summary, by_class, geometry)


def _edges(far: float) -> list[int] | list[float]:
    """Ends of the distance bins, metres: whole metres up to the protocol's largest depth, where it has one."""
    return list(range(int(far) + 1)) if far <= 80 else list(DISTANCE_EDGES)


def _geometry(
    maps: Predictions, truth: Truth, frames: list[int], resized: bool
) -> tuple[IBimsScores | None, list[str]]:
    """iBims-1's own metrics, and of iBims-1 why there are none."""
    if truth.dataset != "ibims":
        return None, []
    if isinstance(truth.readers, IBimsReader) and not resized:
        return evaluate_ibims(maps, truth.readers, frames), []
    return None, ["iBims-1's own metrics are left out: ibims/koch takes predictions at the ground truth's size only"]


def _numbers(intervals: pd.DataFrame, geometry: IBimsScores | None) -> dict[str, Any]:
    """What a summary says of the metrics, ready for JSON."""
    return {
        "scenes": int(intervals["clusters"].iloc[0]),
        "interval": "95 %, percentile bootstrap over scenes",
        "metrics": {r["metric"]: {end: _plain(r[end]) for end in _ENDS} for r in intervals.to_dict("records")},
        "geometry": None if geometry is None else {k: _plain(v) for k, v in geometry.summary().items()},
    }


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
