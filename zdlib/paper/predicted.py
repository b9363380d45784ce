"""Metric depth of the paper's two test sets as each run predicts it: predicted once, judged by several notebooks.

A step of the pipeline predicts as soon as a run is trained, beside the trainings that are still under way. Where that
has not happened, or for other weights, data or code, or for another `evaluate` section, whoever asks first predicts.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from zdlib.config import Profile
from zdlib.data.sample import Reader
from zdlib.data.sets.ibims import IBimsReader
from zdlib.evaluate.judge import DepthMap
from zdlib.files import atomic_path, sha256
from zdlib.paper.trained_runs import TrainedRun, inference, load_run, open_nyu, predict_run
from zdlib.paths import RunPaths, resolve
from zdlib.source_closure import fingerprint_of, fingerprints

TestSet = Literal["nyu", "ibims"]


def predict_test_sets(profile: Profile, key: str, paths: RunPaths) -> None:
    """Predict every frame of both test sets, or leave predictions that are there.

    Raises:
        ZDError: the data or the run's checkpoint is missing or unreadable.
    """
    run = load_run(profile, key, paths)
    predicted(profile, run, paths, "nyu", open_nyu(profile).readers["raw"])
    predicted(profile, run, paths, "ibims", IBimsReader(resolve(profile.data.ibims.root)))


def predicted(profile: Profile, run: TrainedRun, paths: RunPaths, name: TestSet, reader: Reader) -> list[DepthMap]:
    """Metres at the network's resolution of every frame of a test set, in its order.

    Raises:
        ZDError: a frame cannot be read.
    """
    path = predictions_path(paths, run.key, name)
    origin = _origin(profile, paths, run.key, name)
    maps = _read(path, origin)
    if maps is None:
        made = predict_run(run, reader, range(len(reader)), profile)
        maps = [made[frame] for frame in range(len(reader))]
        _write(path, origin, maps)
    return maps


def predictions_path(paths: RunPaths, key: str, name: TestSet) -> Path:
    """Where a run's predictions of a test set are."""
    return paths.results / "predictions" / f"{key}_{name}.h5"


def _origin(profile: Profile, paths: RunPaths, key: str, name: TestSet) -> str:
    """What predictions depend on, in a line to compare; data by date and size, as gigabytes take long to hash."""
    root = resolve(profile.data.nyu.root if name == "nyu" else profile.data.ibims.root)
    files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    origin = {
        "weights": sha256(paths.checkpoints / f"{key}.safetensors"),
        "inference": asdict(inference(profile)),
        "data": [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files],
        "code": fingerprint_of(fingerprints(Path(__file__))),
    }
    return json.dumps(origin)


def _read(path: Path, origin: str) -> list[DepthMap] | None:
    """The maps of a file; None where it is absent, damaged or of another origin."""
    if not path.is_file():
        return None
    try:
        with h5py.File(path, "r") as file:
            if file["origin"].asstr()[()] != origin:
                return None
            return [file[f"depth/{frame:06d}"][()] for frame in range(len(file["depth"]))]
    except (OSError, KeyError, AttributeError, RuntimeError):  # what HDF5 makes of a damaged file
        return None


def _write(path: Path, origin: str, maps: Sequence[DepthMap]) -> None:
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file["origin"] = origin
        for frame, depth in enumerate(maps):  # their sizes may differ
            file.create_dataset(f"depth/{frame:06d}", data=np.asarray(depth, np.float32), fletcher32=True)
