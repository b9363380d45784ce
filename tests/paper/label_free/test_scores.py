"""Scores of networks without depth labels, on a few frames of the streets in git."""

import numpy as np
import pandas as pd
import pytest
import torch

from zdlib.data.streets.store import Store
from zdlib.metrics import protocols
from zdlib.models.depth_model import Convention
from zdlib.models.garg.architecture import LEVELS, GargArchitecture
from zdlib.models.garg.depth_model import GargDepthModel
from zdlib.models.garg.network import GargNet
from zdlib.models.sgdem.architecture import SGDEMArchitecture
from zdlib.models.sgdem.depth_model import SGDEMDepthModel
from zdlib.models.sgdem.network import SGDEM
from zdlib.paper.label_free import judged, stereo_scores, video_scores
from zdlib.paths import RunPaths


@pytest.fixture(scope="module")
def frames():
    store = judged.street_store()
    clip = store.of_split("test")[0]
    return [judged.street_frame(store, clip, moment, moment) for moment in (0, 1)]


@pytest.fixture(autouse=True)
def few(frames, monkeypatch):
    monkeypatch.setattr(stereo_scores, "street_frames", lambda part="test": iter(frames))
    monkeypatch.setattr(stereo_scores, "zero_shot", lambda: iter(()))


def test_the_true_disparity_has_no_error_and_explains_its_pair(frames):
    widths = frames[0].disparity / frames[0].disparity.shape[1]
    errors, unlike = stereo_scores.disparity_errors(widths, frames[0])
    assert errors.max() < 1e-4
    _, unlike_of_half = stereo_scores.disparity_errors(widths / 2, frames[0])
    seen = stereo_scores.places(frames[0])["both cameras see"]
    assert unlike[seen].mean() < 0.5 * unlike_of_half[seen].mean()
    hidden = stereo_scores.places(frames[0])["occluded"]
    assert unlike[hidden].mean() > 2 * unlike[seen].mean()


def test_a_pair_is_accepted_at_its_true_disparity():
    table = stereo_scores.accept_pairs(("test",))
    assert len(table) == 2
    assert (table["x1"] < table[["x0.9", "x0.95", "x1.05", "x1.1"]].min(axis=1)).all()
    assert (table["identity"] > 3 * table["x1"]).all()


def test_a_network_is_scored_by_level_place_and_scale(frames):
    torch.manual_seed(0)
    network = GargNet(GargArchitecture(input_size=(128, 416), width=0.05)).eval()
    torch.nn.init.constant_(network.c7.bias, 0.5)
    network.metres.fill_(0.314)
    scores = stereo_scores.score_stereo(GargDepthModel(network, Convention(max_depth=80)))
    assert list(scores.levels["level"]) == 2 * list(LEVELS)
    assert set(scores.images["scale"]) == set(judged.SCALES)
    assert set(scores.images["protocol"]) == {judged.DENSE, judged.EIGEN}
    assert (scores.roads["far"] <= scores.roads["pixels"]).all()
    assert scores.roads["found"].isna().equals(scores.roads["far"] == 0)
    pixels = scores.photometric.groupby("place")["pixels"].sum()
    assert pixels["all"] == pixels["both cameras see"] + pixels["occluded"]
    valid = sum(protocols.get(judged.DENSE).valid(frame.sample).sum() for frame in frames)
    assert pixels["all"] == valid
    assert np.isfinite(scores.levels.drop(columns=["level", "scene"])).all(axis=None)


def test_the_article_s_smoothness_costs_the_truth_more_than_the_mean_map():
    costs = stereo_scores.loss_at_levels(every=1).set_index(["level", "disparity"])
    finest = costs.loc["L12"]
    assert finest.loc["true disparity", "photometric"] < finest.loc["zero", "photometric"]
    assert finest.loc["true disparity", "smoothness"] > finest.loc["zero", "smoothness"] == 0


def test_places_of_a_frame_scaled_as_a_whole(frames):
    twice = video_scores.place_rows(2 * np.where(frames[0].sample.depth > 0, frames[0].sample.depth, 100), frames[0])
    rows = pd.DataFrame(twice).set_index("place")
    assert rows["abs_rel"].max() < 1e-5  # twice the truth is the truth, after scaling
    valid = protocols.get(judged.DENSE).valid(frames[0].sample).sum()
    assert rows.loc[["at class boundaries", "away from them"], "pixels"].sum() == valid


def test_the_loss_prefers_the_truth_to_what_needs_no_picture(monkeypatch, frames):
    first = Store.of_split
    monkeypatch.setattr(Store, "of_split", lambda self, split: first(self, split)[:1])
    constant = np.full_like(frames[1].sample.depth, 15.0)
    monkeypatch.setattr(video_scores, "baseline_depths", lambda: iter([("constant depth", constant, frames[1])]))
    table = video_scores.score_signal(sizes=[(64, 192)]).set_index("depth")
    assert list(table.index) == ["the truth", "constant depth"]
    assert table["error"]["the truth"] < 0.7 * table["error"]["constant depth"] < table["no_warp"].iloc[0]
    assert (table["error"] <= table["unmasked"]).all()
    assert table["teaches"]["the truth"] > 0.6
    assert table["consistency"]["constant depth"] == 0 < table["consistency"]["the truth"]


@pytest.mark.parametrize("classes", [0, 20])
def test_maps_to_be_looked_at_are_of_the_network_s_size(classes, monkeypatch):
    torch.manual_seed(0)
    config = SGDEMArchitecture(
        encoder="tf_efficientnet_lite0", pose_encoder="cnn", input_size=(64, 96), decoder_channels=(8,) * 5,
        classes=classes,
    )  # fmt: skip
    monkeypatch.setattr(video_scores, "PICTURED", (1,))
    arrays = video_scores.pictures(SGDEMDepthModel(SGDEM(config).eval(), Convention(kind="relative", void="ignore")))
    assert arrays["frame_1_inverse"].shape == (64, 96)
    assert ("frame_1_movable" in arrays) == bool(classes)
    if classes:
        here = (arrays["frame_1_classes"] >= 11) & (arrays["frame_1_classes"] < 100)
        assert (arrays["frame_1_movable"] >= here).all()


def test_mean_intersection_over_union_is_of_the_classes_that_occur():
    confusion = pd.DataFrame({"true": [0, 0, 1], "found": [0, 1, 1], "pixels": [3, 1, 4]})
    assert video_scores.miou(confusion) == pytest.approx((3 / 4 + 4 / 5) / 2)


def test_the_scan_is_the_truth_of_the_eigen_rules_alone(frames):
    frame = frames[0]
    assert frame.truth(judged.DENSE) is frame.sample
    scan = frame.truth(judged.EIGEN)
    known = scan.depth > 0
    assert 0.05 < known.mean() < 0.3
    close = np.abs(scan.depth[known] / np.where(frame.sample.depth > 0, frame.sample.depth, np.inf)[known] - 1) < 0.02
    assert close.mean() > 0.8


@pytest.mark.parametrize("profile", ["stereo", "video"])
def test_scores_in_git_of_the_two_protocols_are_not_the_same_rows(profile):
    for path in RunPaths(profile).per_image.glob("*_images.csv"):
        table = pd.read_csv(path).query("data == 'Streets-K'")
        by_protocol = table.groupby("protocol")["abs_rel"].mean()
        if not path.name.startswith("snippet"):
            assert abs(by_protocol["streets/eigen"] - by_protocol["streets/dense"]) > 1e-4, path.name
