"""The two evaluations of the paper: every trained run and the baselines, judged under every protocol of a data set.

Each function takes what a run has predicted (`zdlib.paper.predicted`), writes the per-image metrics to
`results/<profile>/per_image/` and gives frames with one row per line of a table; notebooks only show them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zdlib.config import Profile
from zdlib.data.sets.ibims import IBimsReader
from zdlib.data.sets.nyu import NYU_FRAMES, OFFICIAL_TEST
from zdlib.errors import ZDError
from zdlib.evaluate.baselines import baseline_maps
from zdlib.evaluate.ibims import evaluate_ibims
from zdlib.evaluate.judge import (
    DepthMaps,
    depth_by_class,
    depth_by_distance,
    evaluate_depth,
    evaluate_segmentation,
    summarise,
)
from zdlib.evaluate.scaled import median_scaled
from zdlib.files import sha256, write_csv
from zdlib.labels import CLASS_NAMES
from zdlib.metrics import protocols
from zdlib.metrics.ibims import DISTANCE_EDGES
from zdlib.metrics.intervals import compare, image_intervals, interval_ends
from zdlib.models.inspection import count_parameters
from zdlib.paper import published
from zdlib.paper.original import trained_share
from zdlib.paper.predicted import predicted
from zdlib.paper.trained_runs import NYUData, inference, load_run, open_nyu
from zdlib.paths import RunPaths, resolve

NYU_PROTOCOLS = ("nyu/standard", "nyu/standard-291", "nyu/published", "nyu/published-291")
IBIMS_PROTOCOLS = ("ibims/zoedepth", "ibims/published")
SCALED = ("delta1_scaled", "abs_rel_scaled")  # with each image's scale put right by its median
TABLE_METRICS = ("delta1", "delta2", "delta3", "abs_rel", "rmse", "log10")
# What captions and rows call the two real data sets.
NYU, IBIMS = "NYU Depth v2", "iBims-1"
_TEST_FRAMES = {
    "nyu/standard": OFFICIAL_TEST,
    "nyu/published": NYU_FRAMES,
    "ibims/zoedepth": 100,
    "ibims/published": 100,
}


@dataclass(frozen=True)
class Study:
    """What an evaluation found.

    Attributes:
        depth: one row for each protocol and method: `protocol, method, data, images, trained_on` (percent of the images
            that shaped the model), metrics, `params_m`.
        segmentation: one row per run with a segmentation head (NYU's layout only).
        classes: `method, class, share, iou` on the test frames (NYU's layout only).
        by_distance, by_class: depth error pooled by true distance and by class, one frame per method.
        geometry: iBims-1's own metrics, one row per run (its layout only).
    """

    depth: pd.DataFrame
    segmentation: pd.DataFrame = field(default_factory=pd.DataFrame)
    classes: pd.DataFrame = field(default_factory=pd.DataFrame)
    by_distance: dict[str, pd.DataFrame] = field(default_factory=dict)
    by_class: dict[str, pd.DataFrame] = field(default_factory=dict)
    geometry: pd.DataFrame = field(default_factory=pd.DataFrame)


def nyu_study(profile: Profile, paths: RunPaths) -> Study:
    """Judge every run, and two baselines that do not look at the image, under NYU's four protocols.

    Raises:
        ZDError: the data or a checkpoint is missing or unreadable.
    """
    data = open_nyu(profile)
    everything = list(range(len(data.readers["raw"])))
    standard = protocols.get("nyu/standard")
    test = data.frames(standard)
    rows: list[dict[str, Any]] = []
    segmentation: list[dict[str, Any]] = []
    classes: list[pd.DataFrame] = []
    by_distance, by_class = {}, {}

    def judge(key: str, title: str, maps: DepthMaps, seen: Sequence[int], params_m: float | None) -> None:
        for name in NYU_PROTOCOLS:
            protocol = protocols.get(name)
            per_image = evaluate_depth(maps, data.readers, data.frames(protocol), protocol, seen)
            rows.append(_row(per_image, key, title, profile.data.nyu.title, params_m, paths))

    official = data.official.train.tolist()
    for title, depth_map in baseline_maps(data.readers["raw"], official).items():
        judge(title.replace(" ", "_"), title, dict.fromkeys(everything, depth_map), official, None)
    for key in profile.runs:
        run = load_run(profile, key, paths)
        maps = predicted(profile, run, paths, "nyu", data.readers["raw"])
        judge(key, run.title, maps, run.seen, count_parameters(run.model.network) / 1e6)
        by_distance[run.title] = depth_by_distance(maps, data.readers, test, standard)
        by_class[run.title] = depth_by_class(maps, data.readers, test, standard)
        if run.segments:
            summary, per_class = _segmentation(profile, key, data, test.tolist(), paths)
            segmentation.append(summary)
            classes.append(per_class)
    return Study(
        pd.DataFrame(rows),
        pd.DataFrame(segmentation),
        pd.concat(classes, ignore_index=True) if classes else pd.DataFrame(),
        by_distance,
        by_class,
    )


def ibims_study(profile: Profile, paths: RunPaths) -> Study:
    """Judge every run and the baselines (learnt from NYU's layout) on iBims-1's images under both protocols.

    The runs are also scored with iBims-1's own metrics, under the protocol of its authors.

    Raises:
        ZDError: the data or a checkpoint is missing or unreadable.
    """
    reader = IBimsReader(resolve(profile.data.ibims.root))
    frames = list(range(len(reader)))
    rows: list[dict[str, Any]] = []
    geometry: list[dict[str, Any]] = []
    by_distance = {}

    def judge(key: str, title: str, maps: DepthMaps, params_m: float | None) -> None:
        for name in IBIMS_PROTOCOLS:
            protocol = protocols.get(name)
            per_image = evaluate_depth(maps, reader, frames, protocol)
            scaled = evaluate_depth(median_scaled(maps, reader, frames, protocol), reader, frames, protocol)
            per_image = per_image.assign(**{column: scaled[column.removesuffix("_scaled")] for column in SCALED})
            rows.append(_row(per_image, key, title, profile.data.ibims.title, params_m, paths))

    data = open_nyu(profile)
    for title, depth_map in baseline_maps(data.readers["raw"], data.official.train).items():
        judge(title.replace(" ", "_"), title, dict.fromkeys(frames, depth_map), None)
    for key in profile.runs:
        run = load_run(profile, key, paths)
        maps = predicted(profile, run, paths, "ibims", reader)
        judge(key, run.title, maps, count_parameters(run.model.network) / 1e6)
        scores = evaluate_ibims(maps, reader, frames)
        write_csv(paths.per_image / f"ibims_geometry_{key}.csv", scores.per_image)
        write_csv(paths.per_image / f"ibims_planes_{key}.csv", scores.planes)
        counts = {"images": len(frames), "planes": len(scores.planes)}
        numbers = scores.summary() | scores.interval_ends()
        geometry.append({"method": run.title, "data": profile.data.ibims.title, **counts, **numbers})
        by_distance[run.title] = depth_by_distance(maps, reader, frames, protocols.get("ibims/koch"), DISTANCE_EDGES)
    return Study(pd.DataFrame(rows), by_distance=by_distance, geometry=pd.DataFrame(geometry))


def against_control(profile: Profile, paths: RunPaths, protocol: str) -> pd.DataFrame:
    """Every run with a segmentation branch against the control of the same recipe, image by image.

    Returns:
        One row per run and metric: `method, control, metric`, the two means, `difference` (run minus control) with its
        95 % bootstrap interval over scenes, and the p-value of a permutation test; empty if the profile has no control.
    """
    controls = {run.recipe: key for key, run in profile.runs.items() if run.is_control}
    tables = []
    for key, run in profile.runs.items():
        if not run.segments or run.recipe not in controls:
            continue
        control = controls[run.recipe]
        first, second = (load_per_image(paths, protocol, k) for k in (control, key))
        table = compare(first, second, np.random.default_rng(0), TABLE_METRICS)
        table.insert(0, "method", run.title)
        table.insert(1, "control", profile.runs[control].title)
        tables.append(table.drop(columns=["significant", "images"]))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def per_image_path(paths: RunPaths, protocol: str, key: str) -> Path:
    """Where the per-image metrics of a run (or baseline) under a protocol are."""
    return paths.per_image / f"{protocol.replace('/', '_')}_{key}.csv"


def load_per_image(paths: RunPaths, protocol: str, key: str) -> pd.DataFrame:
    """The per-image metrics of a run (or baseline) under a protocol, as notebook 04 or 05 wrote them.

    Raises:
        ZDError: they are not there.
    """
    path = per_image_path(paths, protocol, key)
    if not path.is_file():
        notebook = "04" if protocol.startswith("nyu/") else "05"
        raise ZDError(f"{path}: no such file: run notebook {notebook} first (./run_all.sh --status)")
    return pd.read_csv(path).fillna({"scene": ""})


def weights_note(profile: Profile, paths: RunPaths) -> str:
    """Which weights a table's rows come from, for its caption: the checkpoint files' SHA-256, shortened."""
    files = {run.title: paths.checkpoints / f"{key}.safetensors" for key, run in profile.runs.items()}
    return "Weights (SHA-256): " + ", ".join(f"{title} {sha256(path)[:12]}" for title, path in files.items()) + "."


def spread_frames(paths: RunPaths, protocol: str, key: str, count: int) -> list[int]:
    """Frames at evenly spaced ranks of a run's AbsRel, from its best image to its worst: nobody picked them."""
    frames = per_image_ranks(paths, protocol, key)
    ranks = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    return [frames[rank] for rank in ranks]


def per_image_ranks(paths: RunPaths, protocol: str, key: str) -> list[int]:
    """A run's frames from its lowest AbsRel to its highest."""
    table = load_per_image(paths, protocol, key).query("pixels > 0")
    return table.sort_values(["abs_rel", "frame"])["frame"].tolist()


def quoted(dataset: str) -> pd.DataFrame:
    """Published results of a data set in the columns of `Study.depth`, with their `source`.

    `trained_on` is known for the original repository only (1158 of its 1449 NYU frames).
    """
    rows = published.load(dataset).copy()
    rows["data"] = {"nyu": NYU, "ibims": IBIMS}[dataset]
    rows["images"] = rows["protocol"].map(_TEST_FRAMES)
    rows["trained_on"] = np.where(rows["protocol"] == "nyu/published", 100 * trained_share(), np.nan)
    return rows


def with_quoted(study: Study, dataset: str) -> pd.DataFrame:
    """Our rows (`source` is "this run") above the published ones, protocol by protocol, in the tables' columns."""
    rows = pd.concat([study.depth.assign(source="this run"), quoted(dataset)], ignore_index=True)
    shown = [*TABLE_METRICS, *(column for column in SCALED if column in rows)]
    metrics = [f"{metric}{end}" for metric in shown for end in ("", "_low", "_high")]
    columns = ["protocol", "data", "method", "images", "trained_on", *metrics, "params_m", "source"]
    order = {name: i for i, name in enumerate(protocols.PROTOCOLS)}
    rows = rows[columns].sort_values("protocol", key=lambda names: names.map(order), kind="stable")
    return rows.reset_index(drop=True)


def number_sources(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Mark each quoted method with the number of its source, and spell the numbers out for a caption."""
    found = [source for source in table["source"].unique() if source != "this run"]
    marks = dict(zip(found, "¹²³⁴⁵⁶⁷⁸⁹", strict=False))
    methods = [f"{m} {marks[s]}" if s in marks else m for m, s in zip(table["method"], table["source"], strict=True)]
    legend = "; ".join(f"{mark} {source}" for source, mark in marks.items())
    return table.assign(method=methods), f"Quoted: {legend}."


def _row(
    per_image: pd.DataFrame, key: str, title: str, data: str, params_m: float | None, paths: RunPaths
) -> dict[str, Any]:
    """One line of the depth table; the images behind it go to a file."""
    summary = summarise(per_image)
    ends = interval_ends(image_intervals(per_image, np.random.default_rng(0)))
    write_csv(per_image_path(paths, summary["protocol"], key), per_image)
    share = 100 * summary["trained_on"] / max(summary["images"], 1)
    metrics = {k: v for k, v in summary.items() if k not in ("protocol", "images", "trained_on", "skipped")}
    if present := [column for column in SCALED if column in per_image]:
        intervals = image_intervals(per_image, np.random.default_rng(0), present)
        metrics |= {name: interval.value for name, interval in intervals.items()}
        ends |= interval_ends(intervals)
    row = {"protocol": summary["protocol"], "method": title, "data": data, "images": summary["images"]}
    return {**row, "trained_on": share, **metrics, **ends, "params_m": params_m}


def _segmentation(
    profile: Profile, key: str, data: NYUData, test: list[int], paths: RunPaths
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Scores of a run's U-Net on the test frames, in all and by class."""
    run = load_run(profile, key, paths, segmentation=True)
    reader = data.readers["raw"]
    images = [reader[i].image for i in test]
    labels = run.model.predict_labels(images, inference(profile))
    scores = evaluate_segmentation(dict(zip(test, labels, strict=True)), reader, test, run.seen)
    write_csv(paths.per_image / f"nyu_segmentation_{key}.csv", scores.per_image)
    summary = scores.summary() | scores.interval_ends()
    total = {
        f"{name}{end}": summary[f"{name}{end}"]
        for name in ("miou", "pixel_accuracy", "mean_accuracy")
        for end in ("", "_low", "_high")
    }
    trained = 100 * float(scores.per_image["trained_on"].mean())
    row = {"method": run.title, "data": profile.data.nyu.title, "images": len(test), "trained_on": trained, **total}
    matrix = scores.matrices.sum(axis=0).astype(float)
    per_class = pd.DataFrame(
        {
            "method": run.title,
            "class": CLASS_NAMES[1:],
            "share": 100 * matrix[1:].sum(axis=1) / matrix.sum(),
            **{f"iou{end}": [summary[f"iou_{name}{end}"] for name in CLASS_NAMES[1:]] for end in ("", "_low", "_high")},
        }
    )
    return row, per_class
