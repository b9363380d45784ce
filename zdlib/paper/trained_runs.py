"""A profile's trained runs, ready to predict, and the data that they are judged on.

Apart from the evaluations of the paper, so that a job of the study depends on no quoted number and no table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64

from zdlib.config import Profile
from zdlib.data.sets.nyu import NYUReader, Splits, contiguous_split
from zdlib.data.splits import split_frames
from zdlib.evaluate.judge import DepthMaps, Images, Reader
from zdlib.metrics import protocols
from zdlib.models.depth_model import Inference
from zdlib.models.factory import load_depth_model
from zdlib.models.zoe.depth_model import ZoeDepthModel
from zdlib.paths import RunPaths, resolve


@dataclass(frozen=True)
class TrainedRun:
    """A run's checkpoint, ready to predict.

    Attributes:
        key, title: its key in the profile and its name in tables.
        segments: whether it was trained with a segmentation head.
        model: of a network in eval mode, on the GPU if there is one; its `info` says how it was trained.
        seen: frames whose gradients or errors shaped it.
    """

    key: str
    title: str
    segments: bool
    model: ZoeDepthModel
    seen: list[int]


@dataclass(frozen=True)
class NYUData:
    """NYU's layout opened for evaluation: both ground truths and both splits."""

    readers: Mapping[str, NYUReader]
    official: Splits
    contiguous: Splits

    def frames(self, protocol: protocols.Protocol) -> Int64[np.ndarray, " k"]:
        """The frames a protocol averages over."""
        return protocol.select(len(self.readers["raw"]), self.official.test, self.contiguous.test)


def open_nyu(profile: Profile) -> NYUData:
    """The data set in NYU's layout that the profile names."""
    path = resolve(profile.data.nyu.root)
    raw, inpainted = NYUReader(path, depth="raw"), NYUReader(path, depth="inpainted")
    official = split_frames(raw, profile.data.nyu.split, official=raw.path)
    return NYUData({"raw": raw, "inpainted": inpainted}, official, contiguous_split(len(raw)))


def load_run(profile: Profile, key: str, paths: RunPaths, segmentation: bool = False) -> TrainedRun:
    """The checkpoint of a run; with `segmentation` its U-Net comes with it.

    Raises:
        ZDError: the checkpoint is missing, damaged, or has no U-Net.
    """
    run = profile.runs[key]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    path = paths.checkpoints / f"{key}.safetensors"
    model = load_depth_model(path, device=device, segmentation=segmentation)
    seen = sorted({*model.info["train_frames"], *model.info["selection_frames"]})
    return TrainedRun(key, run.title, run.segments, model, seen)


def inference(profile: Profile) -> Inference:
    """How the profile's `evaluate` section predicts."""
    config = profile.evaluate
    return Inference(batch_size=config.batch_size, flip=config.flip, precision=config.precision)


def predict_run(run: TrainedRun, reader: Reader, frames: Sequence[int], profile: Profile) -> DepthMaps:
    """Metric depth of the given frames, by frame number, as the profile's `evaluate` section asks."""
    maps = run.model.predict(Images(reader, frames), inference(profile))
    return dict(zip(frames, maps, strict=True))
