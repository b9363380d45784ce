"""A job of Depth Anything's study: label what its teacher sees, train one arm with one seed, tune it to metres, judge.

The teacher of a seed is the arm without unlabelled pictures of that seed, so that seeds are independent from the first
step to the last. Every arm begins with the same first weights and takes as many steps. Afterwards encoder and decoder
go on as a ZoeDepth with a new metric head, on the labelled rooms alone, as the authors tune theirs on NYU.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32

from zdlib.config import DataSetConfig, ModelConfig, Profile
from zdlib.data.registry import open_entry
from zdlib.data.sample import Sample
from zdlib.data.splits import has_scenes, split_frames
from zdlib.errors import ZDError
from zdlib.evaluate.by_profile import BLOCK
from zdlib.files import write_csv
from zdlib.metrics import protocols
from zdlib.metrics.depth import depth_metrics
from zdlib.metrics.protocols import Protocol
from zdlib.metrics.zero_shot import zero_shot_metrics
from zdlib.models.catalogue import load_depth_model
from zdlib.models.checkpoints import save_checkpoint
from zdlib.models.depth_anything.network import DepthAnything
from zdlib.models.depth_model import Convention, DepthModel, Inference
from zdlib.models.factory import build_model
from zdlib.models.released import released_meter
from zdlib.paper.unlabelled.pictures import write_pictures
from zdlib.paths import RunPaths, resolve
from zdlib.train.pseudo_labels import write_pseudo_labels
from zdlib.train.run import train
from zdlib.train.setup import seed_everything

TEACHER = "labelled"  # the arm whose training of the same seed labels the pictures
SEED = "$SEED"  # in the root of a data set: the job's
METRIC_RUN = "metric"
METER, CONSTANT = REFERENCES = ("meter", "constant")  # keys of scores that no training here has made
SCALES = ("depth", "disparity", "metric")  # aligned and compared as depths, as disparities; and metres as they are
METRICS = ("abs_rel", "delta1")
Predict = Callable[[Sample], Float32[np.ndarray, "_ _"]]


def jobs(profile: Profile) -> list[str]:
    """The grid's jobs, seed by seed, so that what is cut off has left whole seeds; a teacher before its students."""
    assert profile.study is not None
    runs = profile.study.jobs()
    arms = list(profile.study.arms)
    return sorted(runs, key=lambda key: (runs[key].seed, arms.index(key.rpartition("_")[0])))


def run_job(profile: Profile, tuning: Profile, key: str, paths: RunPaths) -> pd.DataFrame:
    """Train a job and its metric stage (or reuse what has ended); write its scores, `study_<key>.csv`.

    Args:
        profile: the study's.
        tuning: the metric stage's.
        key: of the job.
        paths: of the study.

    Returns:
        One row per frame and scale (see `SCALES`): `data, frame, scene, scale, abs_rel, delta1`.

    Raises:
        ZDError: no such job, its teacher has not been trained, or data cannot be read.
        Stopped: a training was interrupted, with its state saved.
    """
    job = arm_profile(profile, key)
    run = job.runs[key]
    if run.options.get("pseudo"):
        write_labels(paths, run.seed)
    train(job, key, paths)
    student = load_depth_model(paths.checkpoints / f"{key}.safetensors")
    tables = [judge_relative(lambda sample: student(sample.image), profile)]
    begun = paths.checkpoints / f"{key}_begun.safetensors"
    write_metric_start(begun, student, tuning.model, run.seed)
    tuned = metric_profile(tuning, f"{key}_{METRIC_RUN}", run.seed, begun)
    train(tuned, f"{key}_{METRIC_RUN}", paths)
    metric = load_depth_model(paths.checkpoints / f"{key}_{METRIC_RUN}.safetensors")
    tables.append(judge_metric(metric, tuning))
    scores = pd.concat(tables, ignore_index=True)
    write_csv(paths.per_image / f"study_{key}.csv", scores)
    return scores


def judge_reference(name: str, profile: Profile, tuning: Profile, paths: RunPaths) -> pd.DataFrame:
    """What the trainings are beside, on the same tests.

    Args:
        name: `meter`, METER itself (NYU's weights), aligned and in metres: what a real teacher knows; or `constant`,
            the best depth per picture that is the same everywhere: what alignment gives without a network.
        profile: the study's.
        tuning: the metric stage's.
        paths: of the study.

    Raises:
        ZDError: METER's weights cannot be had, or data cannot be read.
    """
    if name == CONSTANT:
        scores = judge_relative(lambda sample: np.ones(sample.depth.shape, np.float32), profile)
        write_csv(paths.per_image / f"{name}.csv", scores)
        return scores
    meter = released_meter("meter_nyu")
    whole = Inference(flip=True, full_size=True)
    relative = judge_relative(lambda sample: 1 / np.maximum(meter(sample.image, whole), np.float32(0.1)), profile)
    scores = pd.concat([relative, judge_metric(meter, tuning)], ignore_index=True)
    write_csv(paths.per_image / f"{name}.csv", scores)
    return scores


# -------------------------------------------------------------------------------------------------------- trainings
def arm_profile(profile: Profile, key: str) -> Profile:
    """The profile of one training: its arm's values, and of the sets with pseudo labels those of this arm and seed.

    Raises:
        ZDError: no such training.
    """
    alone = profile.job(key)
    assert profile.study is not None
    run = alone.runs[key]
    pseudo = {name for arm in profile.study.arms.values() for name in arm.options.get("pseudo", ())}
    kept = [e for e in alone.data.train if e.title not in pseudo or e.title in run.options.get("pseudo", ())]
    sets = tuple(entry.model_copy(update={"root": entry.root.replace(SEED, str(run.seed))}) for entry in kept)
    return alone.model_copy(update={"data": alone.data.model_copy(update={"train": sets})})


def metric_profile(tuning: Profile, key: str, seed: int, begun: Path) -> Profile:
    """The metric stage of one training."""
    run = tuning.runs[METRIC_RUN].model_copy(update={"seed": seed, "start_from": str(begun)})
    return tuning.model_copy(update={"runs": {key: run}})


def prepare(paths: RunPaths) -> dict[str, int]:
    """Write the pictures of the study, see `zdlib.paper.unlabelled.pictures`."""
    return write_pictures(data_folder(paths), resolve("$ZD_DATA/real_data"))


def data_folder(paths: RunPaths) -> Path:
    """Where they are; git keeps none of them."""
    return paths.results / "data"


def write_labels(paths: RunPaths, seed: int) -> None:
    """The maps of a seed's teacher, of photographs and of rendered views.

    Raises:
        ZDError: it has not been trained.
    """
    weights = paths.checkpoints / f"{TEACHER}_{seed}.safetensors"
    if not weights.is_file():
        raise ZDError(f"{weights}: no such file: train {TEACHER}_{seed} first, it labels the pictures of this seed")
    teacher, folder = load_depth_model(weights), data_folder(paths)
    for kind in ("real", "rendered"):
        write_pseudo_labels(teacher, weights, folder / "pictures" / kind, folder / f"pseudo_{seed}" / kind)


def write_metric_start(path: Path, student: DepthModel, model: ModelConfig, seed: int) -> None:
    """A ZoeDepth with the student's encoder and decoder and a new head, to begin the metric stage with."""
    network = student.network
    assert isinstance(network, DepthAnything)
    seed_everything(seed)
    zoe = build_model(model)
    zoe.encoder.load_state_dict(network.encoder.state_dict())
    zoe.decoder.load_state_dict(network.decoder.state_dict())
    save_checkpoint(path, zoe, model, {"convention": Convention(kind="relative").model_dump(mode="json")})


# ---------------------------------------------------------------------------------------------------------- judging
def judge_relative(predict: Predict, profile: Profile) -> pd.DataFrame:
    """Relative inverse depth at the frame's size, aligned image by image: see `zdlib.metrics.zero_shot`."""
    rows = []
    for entry in profile.data.tests:
        protocol = protocols.get(entry.protocol or "")
        for place, sample in frames(entry):
            valid, inverse = protocol.valid(sample), predict(sample)
            for space in ("depth", "disparity"):
                values = zero_shot_metrics(inverse, sample.depth, protocol.max_depth, space, valid)
                rows.append({**place, "scale": space, **{metric: values[metric] for metric in METRICS}})
    return pd.DataFrame(rows).round(6)


def judge_metric(model: DepthModel, tuning: Profile) -> pd.DataFrame:
    """Metres as they are, mirrored predictions averaged."""
    rows = []
    for entry in tuning.data.tests:
        protocol: Protocol = protocols.get(entry.protocol or "")
        for place, sample in frames(entry):
            depth, valid = protocol.prepare(model(sample.image, Inference(flip=True)), sample)
            values = depth_metrics(depth, sample.depth, valid)
            rows.append({**place, "scale": "metric", **{metric: values[metric] for metric in METRICS}})
    return pd.DataFrame(rows).round(6)


def frames(entry: DataSetConfig) -> Iterator[tuple[dict[str, Any], Sample]]:
    """The frames of a test with what names them; scenes are places, or blocks of frames of one walk."""
    reader = open_entry(entry)
    chosen = range(len(reader)) if entry.split is None else split_frames(reader, entry.split).test.tolist()
    scened = has_scenes([reader.scenes[number] for number in chosen])
    for number in chosen:
        sample: Sample = reader[number]
        scene = sample.scene if scened else f"frames {number // BLOCK * BLOCK}"
        yield {"data": entry.title, "frame": number, "scene": scene}, sample
