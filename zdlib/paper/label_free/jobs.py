"""Train and judge the grid of profile `stereo` or `video`, one job after the other; a stopped one continues.

    python -m zdlib.paper.label_free.jobs stereo            # all jobs that are not done, then what needs no training
    python -m zdlib.paper.label_free.jobs video depth_only_1 --train

Each job leaves `results/PROFILE/per_image/KEY_*.csv` and the logs of its training; notebooks 15 and 16 read nothing
else. Weights stay on this disk.
"""

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch

from zdlib.config import Profile, load_profile
from zdlib.data.streets.export import prepare_what_is_read
from zdlib.errors import ZDError
from zdlib.files import write_csv
from zdlib.models.garg.checkpoints import load_depth_model as load_garg
from zdlib.models.sgdem.checkpoints import load_depth_model as load_sgdem
from zdlib.paper.label_free import stereo_scores, video_scores
from zdlib.paper.label_free.judged import PICTURES, QUARTERS
from zdlib.paths import RunPaths
from zdlib.train.run import train


def score_stereo(key: str, paths: RunPaths) -> dict[str, pd.DataFrame]:
    """A job's tables by name; the disparities of a few test frames go to `results/stereo/pictures`."""
    model = load_garg(paths.checkpoints / f"{key}.safetensors")
    scores = stereo_scores.score_stereo(model)
    arrays = {}
    for frame in stereo_scores.street_frames():
        if frame.number in PICTURES:
            width = frame.disparity.shape[1]
            for level, widths in enumerate(stereo_scores.predicted(model, frame.sample.image)):
                quarters = np.clip(np.rint(widths * width * QUARTERS), 0, 255).astype(np.uint8)
                arrays[f"frame_{frame.number}_level_{level}"] = quarters
    _write_arrays(paths, key, arrays)
    return dict(vars(scores))


def score_video(key: str, paths: RunPaths) -> dict[str, pd.DataFrame]:
    """A job's tables by name; maps of a few test frames go to `results/video/pictures`."""
    model = load_sgdem(paths.checkpoints / f"{key}.safetensors")
    scores = video_scores.score_video(model)
    _write_arrays(paths, key, video_scores.pictures(model))
    tables = {"images": scores.images, "places": scores.places, "poses": scores.poses}
    return tables | ({} if scores.confusion.empty else {"confusion": scores.confusion})


SCORERS: dict[str, Callable[[str, RunPaths], dict[str, pd.DataFrame]]] = {"stereo": score_stereo, "video": score_video}


def score_without_training(profile: Profile, paths: RunPaths) -> None:
    """What needs no picture, and what the loss says of the truth; for stereo also the acceptance test of the pairs."""
    if profile.name == "stereo":
        _write(paths, "pairs", stereo_scores.accept_pairs())
        _write(paths, "costs", stereo_scores.loss_at_levels())
        _write(paths, "baselines", stereo_scores.score_baselines())
    else:
        _write(paths, "baselines", video_scores.score_baselines())
        _write(paths, "signal", video_scores.score_signal())


def _write_arrays(paths: RunPaths, key: str, arrays: dict[str, np.ndarray]) -> None:
    folder = paths.results / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / f"{key}.npz", **arrays)  # type: ignore[arg-type]  # numpy's stub wants no keywords


def _write(paths: RunPaths, name: str, table: pd.DataFrame) -> None:
    write_csv(paths.per_image / f"{name}.csv", table.round(5))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run jobs.

    Raises:
        ZDError: no such profile or job.
    """
    parser = argparse.ArgumentParser(prog="python -m zdlib.paper.label_free.jobs", description=__doc__)
    parser.add_argument("profile", choices=sorted(SCORERS))
    parser.add_argument("jobs", nargs="*", metavar="JOB", help="ARM_SEED; none = all, by seed and arm")
    parser.add_argument("--train", action="store_true", help="train only, and judge later")
    options = parser.parse_args(arguments)
    profile, paths = load_profile(options.profile), RunPaths(options.profile)
    if profile.study is None:
        raise ZDError(f"profiles/{profile.name}.yaml: has no study: name its arms")
    torch.set_num_threads(1)
    prepare_what_is_read(profile.data)
    keys = options.jobs or sorted(profile.study.jobs(), key=lambda key: int(key.rpartition("_")[2]))
    for key in keys:
        result = train(profile.job(key), key, paths)
        _write(paths, f"{key}_validations", result.validations.drop(columns="best"))
        if options.train:
            continue
        for name, table in SCORERS[profile.name](key, paths).items():
            _write(paths, f"{key}_{name}", table)
    if not options.jobs and not options.train:
        score_without_training(profile, paths)


if __name__ == "__main__":
    main()
