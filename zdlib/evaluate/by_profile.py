"""Judging a trained run on the test data sets of its profile: each entry of `data.tests` under its protocol."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from zdlib.config import DataSetConfig, KittiRawConfig, NYUConfig, Profile
from zdlib.data.registry import open_entry
from zdlib.data.sample import Frames
from zdlib.data.sets.nyu import contiguous_split, mat_file
from zdlib.data.splits import has_scenes, split_frames
from zdlib.errors import ZDError
from zdlib.evaluate.judge import DepthMap, Images, Readers, evaluate_depth, summarise
from zdlib.evaluate.truth import find_protocol
from zdlib.evaluate.viewed import ViewedReader
from zdlib.metrics.depth import METRICS
from zdlib.metrics.intervals import compare, image_intervals, interval_ends
from zdlib.metrics.protocols import Protocol
from zdlib.models.depth_model import DepthModel, Inference
from zdlib.paths import resolve

# Frames of a sequence without scenes that the bootstrap draws together: neighbours are not independent.
BLOCK = 5


@dataclass(frozen=True)
class Benchmark:
    """One test data set, opened.

    Attributes:
        entry: what the profile says of it.
        protocol: what counts.
        readers: the data set; for NYU both ground truths.
        frames: those that are judged: the protocol's of NYU's layout, else the held-out ones of the split, or all.
    """

    entry: DataSetConfig
    protocol: Protocol
    readers: Readers
    frames: list[int]

    @cached_property
    def reader(self) -> Frames[Any]:
        """What the model is shown."""
        shown: Any = self.readers["raw"] if isinstance(self.readers, Mapping) else self.readers
        return shown  # type: ignore[no-any-return]

    def judge(self, model: DepthModel, options: Inference) -> pd.DataFrame:
        """Metrics of each frame, see `zdlib.evaluate.judge.evaluate_depth`.

        `trained_on` marks the frames that shaped the model. Where frames have no scenes, `scene` is their block of
        `BLOCK` consecutive ones: what intervals take for independent.

        Raises:
            ZDError: a frame cannot be read, or no pixel counts.
        """
        maps = dict(zip(self.frames, self._depths(model, options), strict=True))
        return self.judge_maps(maps, self._seen(model.info))

    def judge_maps(self, maps: Mapping[int, DepthMap], seen: Sequence[int] = ()) -> pd.DataFrame:
        """As `judge`, of maps that are there already, by frame number; `seen` are frames that shaped them."""
        per_image = evaluate_depth(maps, self.readers, self.frames, self.protocol, seen)
        if not has_scenes(per_image["scene"].tolist()):
            per_image["scene"] = [f"frames {frame // BLOCK * BLOCK}" for frame in self.frames]
        return per_image

    def _depths(self, model: DepthModel, options: Inference) -> Iterable[DepthMap]:
        """Depth of each frame; one at a time with the lens of each where the model's metres depend on it."""
        if model.convention.canonical_focal is None:
            return model.predict(Images(self.reader, self.frames), options)
        samples = (self.reader[frame] for frame in self.frames)
        return (model(sample.image, replace(options, focal=_focal(sample.intrinsics))) for sample in samples)

    def _seen(self, info: Mapping[str, Any]) -> list[int]:
        """Frames of this data set among those that trained or selected the model, by the checkpoint's account."""
        seen, first = {*info.get("train_frames", ()), *info.get("selection_frames", ())}, 0
        for used in info.get("sets", ()):
            if (used["set"], used["root"]) == (self.entry.set, self.entry.frames_of):
                return [frame - first for frame in sorted(seen) if first <= frame < first + used["frames"]]
            first += used["frames"]
        # A checkpoint from before lists of data sets trained on NYU's layout, and says what its data are called.
        return sorted(seen) if "sets" not in info and info.get("data") == self.entry.title else []


def _focal(intrinsics: np.ndarray | None) -> float | None:
    """The focal length of a frame in pixels, the middle of its two; None where it is not known."""
    return None if intrinsics is None else float((intrinsics[0, 0] * intrinsics[1, 1]) ** 0.5)


def open_benchmarks(profile: Profile) -> list[Benchmark]:
    """The profile's test data sets.

    Raises:
        ZDError: an unknown protocol or one of another data set; a data set is missing or incomplete.
    """
    return [_open_benchmark(entry, f"data.tests.{number}.protocol") for number, entry in enumerate(profile.data.tests)]


def _open_benchmark(entry: DataSetConfig, place: str) -> Benchmark:
    protocol = find_protocol(entry.set, entry.protocol, place)
    if isinstance(entry, NYUConfig):
        raw, inpainted = open_entry(entry, "raw"), open_entry(entry, "inpainted")
        official = split_frames(raw, entry.split, mat_file(resolve(entry.root)))
        frames = protocol.select(len(raw), official.test, contiguous_split(len(raw)).test)
        return Benchmark(entry, protocol, {"raw": raw, "inpainted": inpainted}, frames.tolist())
    reader = open_entry(_with_depth_of(entry, protocol, place) if isinstance(entry, KittiRawConfig) else entry)
    chosen = range(len(reader)) if entry.split is None else split_frames(reader, entry.split).test.tolist()
    shown = ViewedReader(reader, protocol) if protocol.kitti_benchmark else reader
    return Benchmark(entry, protocol, shown, list(chosen))


def _with_depth_of(entry: KittiRawConfig, protocol: Protocol, place: str) -> KittiRawConfig:
    """KITTI's recordings with the ground truth that the protocol means."""
    wanted = protocol.kitti_depth
    if wanted is None or entry.depth == wanted:
        return entry
    if entry.depth is not None:
        raise ZDError(f"{place}: {protocol.name} judges by {wanted} depth, the entry names {entry.depth}: leave it out")
    return entry.model_copy(update={"depth": wanted})


def row(benchmark: Benchmark, method: str, per_image: pd.DataFrame) -> dict[str, Any]:
    """One line of the table, in the columns of the paper's: means over images and their 95 % intervals."""
    summary = summarise(per_image)
    share = 100 * summary["trained_on"] / max(summary["images"], 1)
    ends = interval_ends(image_intervals(per_image, np.random.default_rng(0)))
    names = {"protocol": benchmark.protocol.name, "data": benchmark.entry.title, "method": method}
    return {**names, "images": summary["images"], "trained_on": share, **{m: summary[m] for m in METRICS}, **ends}


def gains(benchmark: Benchmark, first: pd.DataFrame, second: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """What `second` gains on `first`, frame by frame: see `zdlib.metrics.intervals.compare`."""
    table = compare(first, second, np.random.default_rng(0), metrics)
    table.insert(0, "data", benchmark.entry.title)
    return table.drop(columns="significant")
