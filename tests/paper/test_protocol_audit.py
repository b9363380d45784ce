"""The audit's path: it ends where it should, its bars add up, and each point is what the paper's evaluation gives."""

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_evaluations import COUNT, TEST

from zdlib.config import RunConfig
from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.evaluate.judge import evaluate_depth, summarise
from zdlib.metrics import protocols
from zdlib.metrics.depth import METRICS, pooled_metrics
from zdlib.models.checkpoints import save_checkpoint
from zdlib.models.depth_model import Inference, border, with_border
from zdlib.models.factory import build_model
from zdlib.paper import evaluations, protocol_audit
from zdlib.paths import RunPaths

NYU_PATH = protocol_audit.path_ways("nyu/standard", protocol_audit.NYU_STEPS)
IBIMS_PATH = protocol_audit.path_ways("ibims/zoedepth", protocol_audit.IBIMS_STEPS)


@pytest.fixture(scope="module")
def evaluated(made):
    """The profile of test_study with a third run, and notebook 04's results.

    The third has seen half of the test frames, and one of the two frames of the last fifth.
    """
    profile, paths = made
    run = RunConfig(title="as published", recipe="published")
    profile = profile.model_copy(update={"runs": {**profile.runs, "published": run}})
    torch.manual_seed(7)
    model = build_model(profile.model, segmentation=True)
    info = {"train_frames": [0, 1, 2, 3, 4, 5], "selection_frames": [9]}
    save_checkpoint(paths.checkpoints / "published.safetensors", model, profile.model, info)
    evaluations.nyu_study(profile, paths)
    return profile, paths


@pytest.fixture(scope="module")
def path(evaluated):
    return protocol_audit.nyu_path(*evaluated, "published")


@pytest.fixture(scope="module")
def changes(evaluated):
    return protocol_audit.nyu_excursions(*evaluated, "distill")


# ------------------------------------------------------------------------------------------------------- protocols
@pytest.mark.parametrize(("ways", "end"), [(NYU_PATH, "nyu/published"), (IBIMS_PATH, "ibims/published")])
def test_a_path_ends_at_the_named_protocol_itself(ways, end):
    assert ways[-1].protocol is protocols.get(end)
    assert len({way.protocol.name for way in ways}) == len(ways)


@pytest.mark.parametrize("ways", [NYU_PATH, IBIMS_PATH], ids=["nyu", "ibims"])
def test_each_step_changes_one_thing(ways):
    about = {"name", "note", "source"}
    for before, after in pairwise(ways):
        changed = {
            f.name
            for f in fields(protocols.Protocol)
            if f.name not in about and getattr(before.protocol, f.name) != getattr(after.protocol, f.name)
        }
        assert changed in ({"depth_source"}, {"use_mask"}, {"frames"}, {"min_depth", "clip"}, {"max_depth", "clip"})


def test_only_named_protocols_bear_a_name():
    for way in (*NYU_PATH, *IBIMS_PATH):
        if way.protocol.name in protocols.PROTOCOLS:
            assert way.protocol is protocols.get(way.protocol.name)
    assert [way.protocol.name for way in NYU_PATH][3] == (
        "nyu/standard, in-painted ground truth, 1 m floor, no 10 m cap"
    )
    assert NYU_PATH[4].protocol is protocols.get("nyu/published-291")


def test_a_floor_needs_clamping_protocols():
    with pytest.raises(ValueError, match="needs two protocols that clamp"):
        protocol_audit.take(protocols.get("ibims/koch"), protocol_audit.IBIMS_STEPS[1])


@pytest.mark.parametrize(("flip", "label"), [(True, "no flip averaging"), (False, "flip averaging")])
def test_excursions_start_from_the_standard(flip, label):
    ways = protocol_audit.excursion_ways("nyu/standard", protocol_audit.NYU_STEPS[:-1], flip)
    assert label in [way.label for way in ways]
    assert ways[3].protocol is protocols.get("nyu/standard-291")
    assert len(set(ways)) == len(ways)


# ------------------------------------------------------------------------------------------------------- on frames
@pytest.mark.slow
def test_bars_are_differences_of_evaluated_numbers_and_add_up(path):
    table = protocol_audit.path_table(path, METRICS)
    assert table["change"].tolist()[1:] == [step.label for step in protocol_audit.NYU_STEPS]
    for metric in METRICS:
        values = [point.values()[metric] for point in path]
        assert table[metric].tolist() == values
        bars = table[f"{metric}_change"].to_numpy()
        assert np.isnan(bars[0])
        assert bars[1:].tolist() == [after - before for before, after in pairwise(values)]
        assert values[0] + bars[1:].sum() == pytest.approx(values[-1], rel=1e-14, abs=1e-15)


@pytest.mark.slow
def test_frames_that_were_trained_on_count_at_the_end_alone(path, evaluated):
    profile, paths = evaluated
    assert [point.per_image["frame"].tolist() for point in path] == [[6, 7]] * 4 + [[8]] + [list(range(COUNT))]
    assert protocol_audit.path_table(path)["trained_on"].tolist() == [0, 0, 0, 0, 0, 70]
    stored = evaluations.load_per_image(paths, "nyu/standard", "published").set_index("frame")
    assert path[0].values()["abs_rel"] == pytest.approx(stored.loc[[6, 7], "abs_rel"].mean(), rel=1e-5)
    rows = evaluations.nyu_study(profile, paths).depth.set_index(["protocol", "method"])
    for metric in METRICS:
        assert path[-1].values()[metric] == pytest.approx(rows.loc[("nyu/published", "as published"), metric], rel=1e-5)


@pytest.mark.slow
def test_a_network_that_has_seen_them_all_has_no_path(evaluated):
    with pytest.raises(ZDError, match="distilled: has seen all frames of nyu/published-291"):
        protocol_audit.nyu_path(*evaluated, "distill")


def test_which_runs_are_audited(evaluated):
    profile, _ = evaluated
    assert protocol_audit.audited_runs(profile) == ("published", "distill")
    alone = profile.model_copy(update={"runs": {"control": profile.runs["control"]}})
    assert protocol_audit.audited_runs(alone) == ("control", "control")


@pytest.mark.slow
def test_an_evaluation_in_bfloat16_is_audited_in_bfloat16(evaluated):
    """Notebook 04's tables and the audit's are of one precision, or the audit would refuse them."""
    profile, paths = evaluated
    evaluate = profile.evaluate.model_copy(update={"precision": "bf16"})
    half = profile.model_copy(update={"evaluate": evaluate})
    start = "nyu/standard"
    exact = evaluations.load_per_image(paths, start, "distill")["abs_rel"].to_numpy()
    try:
        evaluations.nyu_study(half, paths)
        stored = evaluations.load_per_image(paths, start, "distill")["abs_rel"].to_numpy()
        found = protocol_audit.nyu_excursions(half, paths, "distill")[0].per_image["abs_rel"].to_numpy()
        assert np.abs(found - stored).max() < 0.2 * np.abs(exact - stored).max()
    finally:
        evaluations.nyu_study(profile, paths)


@pytest.mark.slow
def test_points_agree_with_the_papers_evaluation(changes, evaluated):
    """Frame by frame judging gives what `evaluate_depth` gives, for every way on the test frames."""
    profile, paths = evaluated
    data, run = evaluations.open_nyu(profile), evaluations.load_run(profile, "distill", paths)
    images = [data.readers["raw"][i].image for i in TEST]
    maps = {
        flip: dict(zip(TEST, run.model.predict(images, Inference(flip=flip)), strict=True)) for flip in (False, True)
    }
    checked = 0
    for point in changes:
        way = point.way
        if way.protocol.frames != "official_test" or way.prediction == "padded":
            continue
        expected = evaluate_depth(maps[way.prediction == "with flip"], data.readers, TEST, way.protocol, run.seen)
        pd.testing.assert_frame_equal(point.per_image, expected, rtol=1e-4)
        summary = pooled_metrics(expected) if way.pooled else summarise(expected)
        assert point.values()["rmse"] == pytest.approx(summary["rmse"], rel=1e-4)
        checked += 1
    assert checked == 1 + 7


@pytest.mark.slow
def test_excursions_and_their_intervals(changes):
    table = protocol_audit.excursion_table(changes[0], changes[1:], np.random.default_rng(0)).set_index("change")
    first = "in-painted ground truth"
    before, after = (point.values()["delta1"] for point in changes[:2])
    assert table.loc[first, "delta1_change"] == after - before
    assert (
        table.loc[first, "abs_rel_change_low"]
        <= table.loc[first, "abs_rel_change"]
        <= table.loc[first, "abs_rel_change_high"]
    )
    without = ["the original's test frames", "pixels pooled, not averaged per image"]
    assert table.loc[without, "delta1_change_low"].isna().all()
    assert table.drop(without)["delta1_change_low"].notna().all()
    assert table.loc["image padded by reflection", "rmse_change"] != 0


@pytest.mark.slow
def test_tables_of_other_weights_are_refused(evaluated, tmp_path, monkeypatch):
    profile, paths = evaluated
    path = evaluations.per_image_path(paths, "nyu/standard", "distill")
    kept = path.read_bytes()
    try:
        table = pd.read_csv(path)
        table["abs_rel"] *= 1.01
        table.to_csv(path, index=False)
        with pytest.raises(ZDError, match="of another checkpoint"):
            protocol_audit.nyu_excursions(profile, paths, "distill")
    finally:
        path.write_bytes(kept)
    with pytest.raises(ZDError, match="run notebook 04 first"):
        evaluations.load_per_image(RunPaths("nobody"), "nyu/standard", "distill")


@pytest.mark.slow
def test_ibims(evaluated):
    profile, paths = evaluated
    counted = protocol_audit.ibims_path(profile, paths, "distill")
    rows = evaluations.ibims_study(profile, paths).depth.set_index(["protocol", "method"])
    for point, name in ((counted[0], "ibims/zoedepth"), (counted[-1], "ibims/published")):
        assert point.values()["abs_rel"] == pytest.approx(rows.loc[(name, "distilled"), "abs_rel"], rel=1e-6)


# ------------------------------------------------------------------------------------------------------- the pieces
def test_the_border_is_cut_off_again():
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    padded = with_border(torch.from_numpy(image).permute(2, 0, 1)[None].float())[0].permute(1, 2, 0).numpy()
    rows, columns = border(48, 64)
    assert padded.shape == (48 + 2 * rows, 64 + 2 * columns, 3)
    np.testing.assert_array_equal(padded[rows - 1, columns:-columns], image[1])
    back = protocol_audit.without_border(padded[..., 0].astype(np.float32), (48, 64))
    np.testing.assert_array_equal(back, image[..., 0])


@pytest.mark.slow
def test_the_mixture_of_seen_and_unseen(path):
    parts = protocol_audit.seen_and_unseen(path[-1].per_image).set_index("frames")
    weights = parts["share"] / 100
    assert parts["images"].tolist() == [7, 3, COUNT]
    for metric in protocol_audit.SHOWN:
        mixed = sum(weights[part] * parts.loc[part, metric] for part in ("shaped the weights", "never seen"))
        assert mixed == pytest.approx(parts.loc["all", metric], rel=1e-12)


def test_error_ratios():
    parts = pd.DataFrame({"frames": ["shaped the weights", "never seen"], "delta1": [0.9, 0.8], "rmse": [0.2, 0.5]})
    assert protocol_audit.error_ratios(parts, ("delta1", "rmse")) == pytest.approx({"delta1": 2.0, "rmse": 2.5})


def test_a_ratio_of_errors_gives_back_the_truth_where_it_is_the_networks_own():
    """As many frames seen as in the original's split: the identity then holds exactly."""
    table = pd.DataFrame(
        {"pixels": 1, "scene": "", "trained_on": [1] * 1158 + [0] * 291, "delta1": [0.98] * 1158 + [0.9] * 291}
    )
    rows = protocol_audit.ratio_table({"a": table}, table["delta1"].mean(), 0.9, np.random.default_rng(0))
    assert rows.loc[0, "ratio"] == pytest.approx(5.0)
    assert rows.loc[0, "implied"] == pytest.approx(0.9)
    nothing_unseen = table.assign(trained_on=1)
    assert protocol_audit.ratio_table({"a": nothing_unseen}, 0.9, 0.9, np.random.default_rng(0)).empty


def test_corners_not_aligned_is_a_property_of_the_protocol():
    sample = Sample("a", np.zeros((4, 4, 3), np.uint8), np.full((4, 4), 2, np.float32))
    standard = replace(protocols.get("nyu/standard"), crop="none")
    pred = np.array([[1, 2], [3, 4]], np.float32)
    aligned, _ = standard.prepare(pred, sample)
    centres, _ = replace(standard, align_corners=False).prepare(pred, sample)
    np.testing.assert_allclose(aligned[0], [1, 4 / 3, 5 / 3, 2], rtol=1e-6)
    np.testing.assert_allclose(centres[0], [1, 1.25, 1.75, 2], rtol=1e-6)
