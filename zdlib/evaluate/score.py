"""Scoring predictions that are files, of any model, with the code behind the paper's own tables.

Ground truth comes from a copy of the data set, predictions from a folder (`NAME.npy`, `NAME.npz` or 16-bit `NAME.png`)
or one file that holds them all. Everything that is wrong with the predictions is told at once, by name, before
anything is written.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from zdlib.data.registry import data_set, nyu_mat
from zdlib.data.sets.folder import FolderReader
from zdlib.data.sets.ibims import IBimsReader
from zdlib.data.sets.nyu import NYU_FRAMES, NYUReader, Splits, contiguous_split, official_parts, read_splits
from zdlib.errors import ZDError
from zdlib.evaluate.ibims import IBimsScores, evaluate_ibims
from zdlib.evaluate.judge import Readers, depth_by_class, depth_by_distance, evaluate_depth, summarise
from zdlib.evaluate.prediction_files import Predictions, Source, check
from zdlib.evaluate.viewed import ViewedReader
from zdlib.files import write_csv, write_json
from zdlib.metrics import protocols
from zdlib.metrics.as_text import HEADERS, markdown
from zdlib.metrics.depth import METRICS
from zdlib.metrics.ibims import DISTANCE_EDGES
from zdlib.metrics.intervals import interval_table
from zdlib.metrics.protocols import Protocol

TrainedOn = Literal["official", "contiguous", "none"]
_ENDS = ("value", "low", "high")
_GT = "--gt (or ZD_DATA)"  # what names the copy, for the readers' messages


@dataclass(frozen=True)
class Truth:
    """Ground truth, opened.

    Attributes:
        dataset: a name of `zdlib.data.registry`, or `folder`.
        readers: as `zdlib.evaluate.judge` takes them.
        names: of all frames, by frame number; prediction files are called like them.
        data: what tables call it; a copy that is not the whole data set is not called by the data set's name.
        size: height and width of a frame.
        numbered: whether a prediction may also be called by its frame's number.
        official, contiguous: splits, NYU's layout only.
    """

    dataset: str
    readers: Readers
    names: list[str]
    data: str
    size: Callable[[int], tuple[int, ...]]
    numbered: bool = False
    official: Splits | None = None
    contiguous: Splits | None = None

    def frames(self, protocol: Protocol) -> list[int]:
        """The frames that a protocol averages over."""
        official, contiguous = (None if split is None else split.test for split in (self.official, self.contiguous))
        return [int(frame) for frame in protocol.select(len(self.names), official, contiguous)]

    def viewed(self, protocol: Protocol) -> "Truth":
        """The parts of the frames that a protocol with KITTI's benchmark crop shows the model."""
        if isinstance(self.readers, Mapping):
            raise TypeError(f"{protocol.name}: NYU's frames have no benchmark crop")
        return replace(self, readers=ViewedReader(self.readers, protocol), size=lambda _: protocols.KITTI_BENCHMARK)

    def seen(self, trained_on: TrainedOn | None) -> list[int]:
        """The training frames of a split.

        Raises:
            ZDError: the data set has no such split.
        """
        if trained_on in (None, "none"):
            return []
        split = self.official if trained_on == "official" else self.contiguous
        if split is None:
            raise ZDError(f"--trained-on {trained_on}: only data in NYU's layout have this split: leave it out")
        return split.train.tolist()


@dataclass(frozen=True)
class Score:
    """What a model scored.

    Attributes:
        depth: one row, in the columns of the paper's tables; `trained_on` is empty where nobody said.
        intervals: `metric, value, low, high, images, clusters`, 95 % bootstrap over scenes.
        per_image: one row a frame.
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


# ---------------------------------------------------------------------------------------------------- ground truth
def open_truth(
    dataset: str,
    gt: Path | None,
    *,
    splits: Path | None = None,
    list_file: Path | None = None,
    metres_per_unit: float = 0.001,
) -> Truth:
    """Open a data set's ground truth.

    Args:
        dataset: a name of `zdlib.data.registry`, or `folder` (`zdlib.data.sets.folder`).
        gt: where it is; None looks into `$ZD_DATA` (nyu and ibims).
        splits: NYU's `splits.mat`; None takes the one beside the `.mat`, else, for the 1449 frames of NYU, the official
            split that this library holds.
        list_file: of a folder: pairs of image and depth, one a line.
        metres_per_unit: of a folder's depth maps.

    Raises:
        ZDError: no such data set, or it is not there or not readable.
    """
    if dataset == "nyu":
        return _open_nyu(_located(gt, "nyu_depth_v2_labeled.mat"), splits)
    reader: Any
    if dataset == "folder":
        gt = _located(gt, "")
        reader, data = FolderReader(gt, list_file, metres_per_unit=metres_per_unit), gt.resolve().name
    else:
        if dataset == "ibims":
            reader = IBimsReader(_located(gt, "ibims1"), argument=_GT)
        else:
            reader = data_set(dataset).open(_located(gt, ""), True)
        data = _called(dataset, len(reader))
    return Truth(dataset, reader, reader.names, data, lambda frame: reader[frame].depth.shape)


def _open_nyu(gt: Path, splits: Path | None) -> Truth:
    mat = nyu_mat(gt)
    raw, inpainted = NYUReader(mat, "raw", _GT), NYUReader(mat, "inpainted", _GT)
    beside = mat.with_name("splits.mat")
    if splits is None and not beside.is_file() and len(raw) == NYU_FRAMES:
        parts = official_parts()
        official = Splits(*(parts.index[parts == part].to_numpy(np.int64) for part in ("train", "test")))
    else:
        official = read_splits(splits or beside, len(raw), "--splits")
    return Truth(
        "nyu",
        {"raw": raw, "inpainted": inpainted},
        raw.names,
        _called("nyu", len(raw)),
        lambda _: raw.shape,
        numbered=True,
        official=official,
        contiguous=contiguous_split(len(raw)),
    )


def _located(gt: Path | None, name: str) -> Path:
    """`gt`, or by default what `$ZD_DATA` holds under `name` (nothing if that is empty)."""
    if gt is not None:
        return gt
    if not name:
        raise ZDError("--gt: name the folder of the ground truth")
    folder = os.environ.get("ZD_DATA")
    if not folder:
        raise ZDError(f"--gt: name {name}, or set ZD_DATA to the folder that holds it")
    return Path(folder) / name


def _called(dataset: str, frames: int) -> str:
    """A number on some other images in a data set's layout must not pass for a number on the data set."""
    known = data_set(dataset)
    name = known.title.partition(",")[0]
    return name if frames in known.frames else f"{frames} frames in the layout of {name}"


def find_protocol(dataset: str, name: str | None) -> Protocol:
    """The protocol of this name, with or without its data set (`standard`, `nyu/standard`); None is the usual one.

    A folder has no protocol of its own: any other's pixel rules (`nyu/standard`) are applied to all its frames.

    Raises:
        ZDError: no such protocol, or one of another data set; none is named for a folder.
    """
    if dataset == "folder":
        if name is None:
            raise ZDError("--protocol: name the protocol whose pixel rules apply to the folder (nyu/standard, …)")
        rules = protocols.get(name)
        return replace(rules, name=f"folder/{name.replace('/', '-')}", frames="all", depth_source="only")
    name = name or data_set(dataset).protocol
    protocol = protocols.get(name if "/" in name else f"{dataset}/{name}")
    if protocol.dataset != dataset:
        raise ZDError(f"--protocol {name}: is not a protocol of {dataset}: see zdlib/metrics/protocols.py")
    return protocol


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
    far = protocol.max_depth
    edges = list(range(int(far) + 1)) if far <= 80 else list(DISTANCE_EDGES)
    by_distance = depth_by_distance(maps, truth.readers, frames, protocol, edges)
    by_class = depth_by_class(maps, truth.readers, frames, protocol) if truth.dataset == "nyu" else None
    geometry, notes = None, list(findings.notes)
    if isinstance(truth.readers, IBimsReader) and not findings.sizes:
        geometry = evaluate_ibims(maps, truth.readers, frames)
    elif truth.dataset == "ibims":
        notes.append("iBims-1's own metrics are left out: ibims/koch takes predictions at the ground truth's size only")
    means = summarise(per_image)
    share = None if trained_on is None else 100 * means["trained_on"] / means["images"]
    if means["skipped"]:
        notes.append(f"no pixel counts in {', '.join(means['skipped'])}")
    metrics = {metric: means[metric] for metric in METRICS}
    row = {"protocol": protocol.name, "data": truth.data, "method": method, "images": means["images"]}
    summary = {
        **row,
        "what_counts": protocol.describe(*truth.size(frames[0])),
        "note": protocol.note,
        "source": protocol.source,
        "skipped": means["skipped"],
        "trained_on": share,
        "predictions": {"name": source.path.name, "sha256": findings.sha256},
        "scenes": int(intervals["clusters"].iloc[0]),
        "interval": "95 %, percentile bootstrap over scenes",
        "metrics": {r["metric"]: {end: _plain(r[end]) for end in _ENDS} for r in intervals.to_dict("records")},
        "geometry": None if geometry is None else {k: _plain(v) for k, v in geometry.summary().items()},
        "notes": notes,
    }
    depth = pd.DataFrame([{**row, "trained_on": np.nan if share is None else share, **metrics}])
    return Score(depth, intervals, per_image, by_distance, summary, by_class, geometry)


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
