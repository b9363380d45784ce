"""Networks on real pictures: absolute and after median scaling, by stretch of the walk and by distance.

`python -m zdlib.paper.photographs` judges all `contestants()` on the fetched pictures (`zdlib data fetch`) and writes
`results/photographs/per_image/NAME_{images,distance}.csv`, which git keeps; notebook 11 only reads them. No
picture is written. Predictions are without padding and with flip averaging; every network is given what it can use: the
focal length where the data set knows it.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32

from zdlib.config import Profile, load_profile
from zdlib.data.registry import open_entry
from zdlib.data.sample import Frames, Sample
from zdlib.data.splits import has_scenes, split_frames
from zdlib.errors import ZDError
from zdlib.evaluate.baselines import baseline_maps
from zdlib.evaluate.by_profile import BLOCK
from zdlib.files import sha256, write_csv, write_json, write_text
from zdlib.metrics import protocols
from zdlib.metrics.depth import depth_metrics, distance_bins, group_metrics, group_sums
from zdlib.metrics.intervals import bootstrap_mean, compare
from zdlib.metrics.protocols import Protocol
from zdlib.models.choice import PACKAGED_CARD, PACKAGED_FILE
from zdlib.models.depth_model import DepthModel, Inference
from zdlib.models.factory import load_depth_model
from zdlib.models.released import meter_file, released_meter
from zdlib.paths import RunPaths

PROFILE, WALK = "photographs", "real-hololens"
METRICS = ("delta1", "abs_rel", "rmse", "log10")
SCALES = ("absolute", "median-scaled")
EDGES = (0.3, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0, 40.0, 80.0)  # metres
Predict = Callable[[Sample], Float32[np.ndarray, "_ _"]]


@dataclass(frozen=True)
class Scores:
    """What was judged.

    Attributes:
        images: one row per frame and scale.
        distances: errors in metres, pooled over the pixels of each distance.
    """

    images: pd.DataFrame
    distances: pd.DataFrame


@dataclass(frozen=True)
class Contestant:
    """A network that is judged.

    Attributes:
        title: in tables.
        seen: what shaped it, in words.
        weights: its file; None fetches METER's.
        model: `meter_nyu` or `meter_kitti`; None for a checkpoint of ours.
        scenes: what it was made for: `indoor`, `outdoor` or `any`.
        lens: whether it is told the focal length where that is known.
    """

    title: str
    seen: str
    weights: Path | None = None
    model: str | None = None
    scenes: str = "indoor"
    lens: bool = True

    def load(self) -> DepthModel:
        """Ready to predict.

        Raises:
            ZDError: its weights cannot be had.
        """
        return load_depth_model(self.file) if self.model is None else released_meter(self.model, self.file)

    @property
    def file(self) -> Path:
        """Its weights on this disk."""
        if self.weights is not None:
            return self.weights
        assert self.model is not None
        return meter_file(self.model)


def contestants() -> dict[str, Contestant]:
    """Those whose numbers the notebook shows, by the name of their files; the demo's two must have been trained."""
    demo, here = RunPaths("demo").checkpoints, RunPaths(PROFILE).checkpoints
    walk = "the walk's first stretch (trained) and its middle one (selected)"
    other, rooms = "none of these pictures, as far as is known", "rendered rooms alone"
    return {
        "zoe_light": Contestant("zoe_light", walk, PACKAGED_FILE, scenes="any"),
        "meter_nyu": Contestant("METER (NYU)", f"NYU Depth v2; {other}", model="meter_nyu"),
        "distill": Contestant("Zoe-Distill (rooms)", rooms, demo / "distill.safetensors"),
        "control": Contestant("control (rooms)", rooms, demo / "control.safetensors"),
        "without_real": Contestant(
            "without real depth", "the walk's middle stretch (selected)", here / "without_real.safetensors"
        ),
        "lens_not_told": Contestant("zoe_light, lens not told", walk, PACKAGED_FILE, lens=False),
        "meter_kitti": Contestant("METER (KITTI)", f"KITTI; {other}", model="meter_kitti", scenes="outdoor"),
    }


def judge_contestant(profile: Profile, entry: Contestant) -> Scores:
    """One network on every test of the profile that it was made for.

    Raises:
        ZDError: pictures or weights are not there.
    """
    predict = network(entry.load(), entry.lens)
    return _judge_methods(profile, {entry.title: predict}, entry.scenes)


def judge_baselines(profile: Profile) -> Scores:
    """The constant and the mean map of the walk's first stretch: what this building's depth is without looking.

    Raises:
        ZDError: the pictures are not there.
    """
    walk = next(entry for entry in profile.data.train if entry.set == WALK)
    reader = open_entry(walk)
    maps = baseline_maps(reader, [number for number, scene in enumerate(reader.scenes) if scene == "first"])
    methods = {title: _always(depth) for title, depth in maps.items()}
    return _judge_methods(profile, methods, "indoor")


def _always(depth: Float32[np.ndarray, "h w"]) -> Predict:
    return lambda sample: depth


def _judge_methods(profile: Profile, methods: Mapping[str, Predict], scenes: str) -> Scores:
    images, distances = [], []
    for test in profile.data.tests:
        reader, protocol = open_entry(test), protocols.get(test.protocol or f"{test.set}/indoor")
        if scenes not in ("any", protocol.name.partition("/")[2]):
            continue
        chosen = range(len(reader)) if test.split is None else split_frames(reader, test.split).test.tolist()
        for title, predict in methods.items():
            rows, sums = [], np.zeros((len(EDGES) - 1, 5))
            for frame, sample in frames(reader, list(chosen)):
                judged = judge(frame, sample, predict(sample), protocol)
                rows += judged.rows
                sums += judged.by_distance
            images.append(pd.DataFrame(rows).assign(data=test.title, method=title))
            pooled = pd.DataFrame({"from_m": EDGES[:-1], "to_m": EDGES[1:], **group_metrics(sums)})
            distances.append(pooled.assign(data=test.title, method=title))
    columns = ["data", "method", "scale", "frame", "name", "scene", "focal_known", "ratio", *METRICS]
    return Scores(pd.concat(images, ignore_index=True)[columns], pd.concat(distances, ignore_index=True))


def network(model: DepthModel, lens: bool = True) -> Predict:
    """Depth of a sample at the network's resolution; `lens`: whether the model is told the focal length."""

    def predict(sample: Sample) -> Float32[np.ndarray, "_ _"]:
        k = sample.intrinsics
        focal = float((k[0, 0] * k[1, 1]) ** 0.5) if lens and k is not None else None
        return model(sample.image, Inference(flip=True, focal=focal))

    return predict


def frames(reader: Frames[Any], chosen: list[int]) -> Iterator[tuple[int, Sample]]:
    """Number and sample; where the chosen frames have no scenes, theirs are blocks of consecutive frames."""
    scened = has_scenes([reader.scenes[number] for number in chosen])
    for number in chosen:
        sample: Sample = reader[number]
        scene = sample.scene if scened else f"frames {number // BLOCK * BLOCK}"
        yield number, replace(sample, scene=scene)


@dataclass(frozen=True)
class Judged:
    """A frame's rows, one per scale, and the sums of its absolute errors by distance."""

    rows: list[dict[str, Any]]
    by_distance: np.ndarray


def judge(frame: int, sample: Sample, depth: Float32[np.ndarray, "_ _"], protocol: Protocol) -> Judged:
    """The metrics of one prediction, as it is and scaled to the true median."""
    absolute, valid = protocol.prepare(depth, sample)
    ratio = float(np.median(sample.depth[valid]) / max(float(np.median(absolute[valid])), 1e-6))
    rows = []
    for scale, factor in zip(SCALES, (1.0, ratio), strict=True):
        pred, _ = protocol.prepare(depth * np.float32(factor), sample)
        metrics = depth_metrics(pred, sample.depth, valid)
        here = {"scale": scale, "frame": frame, "name": sample.name, "scene": sample.scene, "ratio": ratio}
        rows.append({**here, "focal_known": sample.intrinsics is not None, **{m: metrics[m] for m in METRICS}})
    bins = distance_bins(sample.depth, EDGES)
    return Judged(rows, group_sums(absolute, sample.depth, valid, bins, len(EDGES) - 1))


# ------------------------------------------------------------------------------------------------------ statistics
def load_scores(paths: RunPaths | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What `main` has left: per-image rows, and errors by distance.

    Raises:
        ZDError: it has not run.
    """
    folder = (paths or RunPaths(PROFILE)).per_image
    tables = []
    for kind in ("images", "distance"):
        files = [folder / f"{key}_{kind}.csv" for key in (*contestants(), "baselines")]
        there = [pd.read_csv(file) for file in files if file.is_file()]
        if not there:
            raise ZDError(f"{files[0]}: no such file: python -m zdlib.paper.photographs makes it from fetched pictures")
        tables.append(pd.concat(there, ignore_index=True))
    return tables[0], tables[1]


def summary(images: pd.DataFrame, scale: str) -> pd.DataFrame:
    """Means over images, 95 % intervals over stretches (blocks of frames, or places); one row per data and method."""
    rows = []
    for (data, method), group in images[images["scale"] == scale].groupby(["data", "method"], sort=False):
        row: dict[str, Any] = {"data": data, "method": method, "images": len(group)}
        row["stretches"] = group["scene"].nunique()
        for metric in METRICS:
            scenes, rng = group["scene"].tolist(), np.random.default_rng(0)
            interval = bootstrap_mean(group[metric].to_numpy(np.float64), scenes, rng)
            row |= {metric: interval.value, f"{metric}_low": interval.low, f"{metric}_high": interval.high}
        rows.append(row)
    return pd.DataFrame(rows)


def gains(images: pd.DataFrame, scale: str, against: str, method: str = "zoe_light") -> pd.DataFrame:
    """What a network gains on another, frame by frame, per data set (see `zdlib.metrics.intervals.compare`)."""
    tables = []
    for data, group in images[images["scale"] == scale].groupby("data", sort=False):
        first, second = (
            group[group["method"] == name].assign(pixels=1, protocol=scale).reset_index(drop=True)
            for name in (against, method)
        )
        tables.append(compare(first, second, np.random.default_rng(0), ("abs_rel", "delta1")).assign(data=data))
    return pd.concat(tables, ignore_index=True)


def all_gains(images: pd.DataFrame) -> pd.DataFrame:
    """AbsRel at both scales, of the comparisons that notebook 11 speaks of.

    METER and zoe_light against the rooms-only network; zoe_light against METER, and against the same training
    without real depth.
    """
    rooms, meter, rendered = "Zoe-Distill (rooms)", "METER (NYU)", "without real depth"
    indoors = images[images["data"] != "real-streets"]
    tables = []
    for first, second in ((rooms, meter), (rooms, "zoe_light"), (meter, "zoe_light"), (rendered, "zoe_light")):
        for scale in SCALES:
            table = gains(indoors, scale, first, second).assign(first=first, second=second, scale=scale)
            tables.append(table[table["metric"] == "abs_rel"])
    columns = ["data", "scale", "first", "second", "difference", "low", "high", "p_value"]
    return pd.concat(tables, ignore_index=True)[columns]


def scale_errors(images: pd.DataFrame) -> pd.DataFrame:
    """Quartiles over frames of true over predicted median depth: 1 is the right scale."""
    rows = images[images["scale"] == SCALES[0]].groupby(["data", "method"], sort=False)["ratio"]
    table = rows.quantile(np.array([0.25, 0.5, 0.75])).unstack()
    table.columns = pd.Index(["lower quartile", "median", "upper quartile"])
    return table.reset_index()


CARD_BEGIN = "<!-- numbers: begin (python -m zdlib.paper.photographs) -->"
CARD_END = "<!-- numbers: end -->"


def card_numbers(images: pd.DataFrame) -> str:
    """The table of zoe_light's card: AbsRel and δ1 of every network at both scales, with half intervals."""
    lines = ["| data | network | frames | AbsRel, metres | δ1 | AbsRel, median-scaled | δ1 |"]
    lines.append("|---|---|---:|---|---|---|---|")
    absolute, scaled = (summary(images, scale) for scale in SCALES)
    for (_, first), (_, second) in zip(absolute.iterrows(), scaled.iterrows(), strict=True):
        cells = [_cell(row, metric) for row in (first, second) for metric in ("abs_rel", "delta1")]
        lines.append(f"| {first['data']} | {first['method']} | {first['images']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: pd.Series, metric: str) -> str:
    half = (row[f"{metric}_high"] - row[f"{metric}_low"]) / 2
    return f"{row[metric]:.3f}" + (f" ±{half:.3f}" if np.isfinite(half) else "")


def update_card(images: pd.DataFrame, card: Path = PACKAGED_CARD) -> None:
    """Put the present numbers between the card's two marks.

    Raises:
        ZDError: it has no such marks.
    """
    text = card.read_text(encoding="utf-8")
    before, begin, rest = text.partition(CARD_BEGIN)
    _, end, after = rest.partition(CARD_END)
    if not begin or not end:
        raise ZDError(f"{card}: has not the marks that numbers go between: restore them")
    write_text(card, f"{before}{begin}\n{card_numbers(images)}\n{end}{after}")


def main(names: Sequence[str] = ()) -> None:
    """Judge some contestants, or all and the baselines; write scores, weights' hashes, and the numbers of the card."""
    profile, paths, known = load_profile(PROFILE), RunPaths(PROFILE), contestants()
    for key in names or (*known, "baselines"):
        scores = judge_baselines(profile) if key == "baselines" else judge_contestant(profile, known[key])
        write_csv(paths.per_image / f"{key}_images.csv", scores.images.round(6))
        write_csv(paths.per_image / f"{key}_distance.csv", scores.distances.round(6))
        if key != "baselines":
            entry = known[key]
            record = {"title": entry.title, "sha256": sha256(entry.file), "seen": entry.seen}
            write_json(paths.results / "weights" / f"{key}.json", record)
    images, _ = load_scores(paths)
    update_card(images)
    for scale in SCALES:
        print(scale, summary(images, scale).round(3).to_string(), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
