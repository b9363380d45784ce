"""The grid of Depth Anything's study: order, data of each arm, the metric stage's beginning, judging."""

import numpy as np
import pytest
import torch

from zdlib.config import load_profile
from zdlib.data.real.hololens import stretch
from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.models.checkpoints import load_checkpoint
from zdlib.models.depth_anything.architecture import DepthAnythingConfig
from zdlib.models.depth_anything.depth_model import DepthAnythingModel
from zdlib.models.depth_anything.network import DepthAnything
from zdlib.models.depth_model import Convention
from zdlib.paper.unlabelled import job
from zdlib.paper.unlabelled.job import arm_profile, jobs, judge_relative, metric_profile, write_labels
from zdlib.paths import RunPaths
from zdlib.train.method import find_method

PROFILE, TUNING = load_profile("depth_anything_study"), load_profile("depth_anything_study_metric")


def test_a_cut_off_leaves_whole_seeds_and_a_teacher_comes_first() -> None:
    keys = jobs(PROFILE)
    seeds = [int(key.rpartition("_")[2]) for key in keys]
    assert seeds == sorted(seeds)
    assert len(keys) == 24
    assert next(key for key in keys if key.endswith("_2")) == "labelled_2"
    assert keys[-3:] == ["labelled_5", "plain_5", "perturbed_5"]


def test_every_arm_trains_on_its_own_sets() -> None:
    sets = {key: {e.title: e.root for e in arm_profile(PROFILE, key).data.train} for key in jobs(PROFILE)}
    assert set(sets["labelled_1"]) == {"Rooms-N", "Streets-K"}
    assert set(sets["aligned_3"]) == {"Rooms-N", "Streets-K", "real", "rendered"}
    assert set(sets["meter_3"]) == {"Rooms-N", "Streets-K", "METER", "rendered"}
    assert sets["plain_4"]["real"].endswith("/pseudo_4/real")
    assert not any("$SEED" in root for of_job in sets.values() for root in of_job.values())


@pytest.mark.parametrize("key", [key for key in jobs(PROFILE) if key.endswith("_1")])
def test_the_method_takes_every_arm_s_options(key: str) -> None:
    alone = arm_profile(PROFILE, key)
    find_method(alone, alone.runs[key])


def test_no_test_frame_trains() -> None:
    """What is judged of the walk lies behind what is looked at; the other tests are in no list of pictures."""
    tested = next(entry for entry in PROFILE.data.tests if entry.set == "real-hololens")
    assert tested.split is not None
    assert tested.split.scenes == ("last",)
    assert {stretch(number) for number in range(125)} == {"first", "between", "middle", "last"}
    assert not {entry.set for entry in PROFILE.data.train} & {"real-hololens", "real-mix", "real-streets"}
    for profile in (PROFILE, TUNING):
        rooms = [entry for entry in profile.data.train if entry.set == "rooms"]
        assert all(entry.root.endswith("rooms_n.h5") for entry in rooms)


def test_without_its_teacher_a_student_says_so(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    (tmp_path / "profiles").mkdir()
    with pytest.raises(ZDError, match="train labelled_2 first"):
        write_labels(RunPaths("depth_anything_study"), 2)


def test_the_metric_stage_begins_with_the_student(tmp_path) -> None:
    torch.manual_seed(0)
    config = DepthAnythingConfig(encoder=PROFILE.model.encoder, decoder_channels=64, shortest_side=96)
    student = DepthAnything(config)
    path = tmp_path / "begun.safetensors"
    job.write_metric_start(path, DepthAnythingModel(student, Convention(kind="relative")), TUNING.model, 3)
    zoe, info = load_checkpoint(path)
    assert info["convention"]["kind"] == "relative"
    for part in ("encoder", "decoder"):
        ours = getattr(zoe, part).state_dict()
        assert all(torch.equal(value, ours[key]) for key, value in getattr(student, part).state_dict().items())
    tuned = metric_profile(TUNING, "x_1_metric", 3, path)
    method = find_method(tuned, tuned.runs["x_1_metric"])
    network = method.network(torch.device("cpu"))
    method.start_from(network, path)
    assert torch.equal(network.state_dict()["decoder.out_depth.weight"], student.decoder.out_depth.weight)


def test_judging_is_blind_to_scale_and_shift_and_counts_what_may_count(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.5, 8, (12, 16)).astype(np.float32)
    depth[0] = 0
    sample = Sample("a", np.zeros((12, 16, 3), np.uint8), depth, scene="s")
    monkeypatch.setattr(job, "frames", lambda entry: iter([({"data": entry.title, "frame": 0, "scene": "s"}, sample)]))
    exact = 3 / np.where(depth > 0, depth, 1) + 2
    table = judge_relative(lambda sample: exact.astype(np.float32), PROFILE)
    indoors = table[table["data"].isin(["HoloLens", "real-mix", "Rooms-I"])]
    assert len(table) == 2 * len(PROFILE.data.tests)
    assert indoors["abs_rel"].max() < 1e-4
    flat = judge_relative(lambda sample: np.ones_like(depth), PROFILE)
    assert flat["abs_rel"].min() > 0.2
