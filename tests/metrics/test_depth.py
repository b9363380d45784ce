import json
import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from golden.weights_recipe import recipe_depth
from hypothesis import given, settings
from hypothesis import strategies as st

from zdlib.data.sample import Sample
from zdlib.metrics.depth import (
    METRICS,
    batch_depth_metrics,
    depth_metrics,
    distance_bins,
    group_metrics,
    group_sums,
    pooled_metrics,
)
from zdlib.metrics.protocols import Protocol

CASES = json.loads((Path(__file__).parents[1] / "golden" / "depth_metrics.json").read_text())
ZOEDEPTH_NAMES = {
    "delta1": "a1",
    "delta2": "a2",
    "delta3": "a3",
    "abs_rel": "abs_rel",
    "sq_rel": "sq_rel",
    "rmse": "rmse",
    "rmse_log": "rmse_log",
    "log10": "log_10",
    "silog": "silog",
}


def frame(depth):
    return Sample(name="x", image=np.zeros((*depth.shape, 3), np.uint8), depth=depth)


def golden_pair(case):
    gt, pred = recipe_depth(case["height"], case["width"], case["seed"])
    if case["pred_hw"]:
        _, pred = recipe_depth(*case["pred_hw"], case["seed"])
        pred = np.where(np.isnan(pred), np.float32(1), np.where(np.isposinf(pred), np.float32(9), pred))
    args = case["args"]
    eigen = "eigen_kitti" if args["dataset"] == "kitti" else "eigen"
    low, high = args["min_depth_eval"], float(args["max_depth_eval"])
    crop = "garg" if args["garg_crop"] else eigen
    return gt, pred, Protocol("golden/x", "", "", low, high, (low, high), crop, use_mask=False)


def room(seed=0, height=48, width=64):
    """A ground truth with holes, a clean prediction, and where both count."""
    gt, pred = recipe_depth(height, width, seed)
    pred = np.clip(np.nan_to_num(pred, nan=1.0, posinf=9.0), 0.1, 20).astype(np.float32)
    return pred, gt, gt > 0


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_equals_zoedepth(case, kind):
    gt, raw, protocol = golden_pair(case)
    pred, valid = protocol.prepare(raw, frame(gt))
    arrays = (pred, gt, valid) if kind == "numpy" else tuple(map(torch.from_numpy, (pred, gt, valid)))
    metrics = depth_metrics(*arrays)
    expected = {name: case["expected"][theirs] for name, theirs in ZOEDEPTH_NAMES.items()}
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, rel=1e-6)


def test_by_hand():
    gt = np.array([[1.0, 2.0, 4.0, 0.0]])
    pred = np.array([[2.0, 2.0, 3.0, 7.0]])
    metrics = depth_metrics(pred, gt, gt > 0)
    e = np.log([2.0, 1.0, 0.75])
    assert metrics == pytest.approx(
        {
            "delta1": 1 / 3,
            "delta2": 2 / 3,
            "delta3": 2 / 3,
            "abs_rel": (1 + 0 + 0.25) / 3,
            "sq_rel": (1 + 0 + 0.25) / 3,
            "rmse": math.sqrt(2 / 3),
            "rmse_log": math.sqrt(np.mean(e**2)),
            "log10": np.abs(e).mean() / math.log(10),
            "silog": 100 * e.std(),
            "log_bias": e.mean(),
        },
        rel=1e-12,
    )


def test_thresholds_are_strict():
    gt = np.full((1, 4), 2.0, np.float32)
    pred = np.array([[2.5, np.nextafter(np.float32(2.5), np.float32(0)), 1.6, 3.125]], np.float32)
    metrics = depth_metrics(pred, gt, gt > 0)
    assert (metrics["delta1"], metrics["delta2"]) == (0.25, 0.75)


def test_numpy_and_torch_agree_and_float32_is_enough():
    pred, gt, valid = room(3, 240, 320)
    single = depth_metrics(pred, gt, valid)
    assert depth_metrics(*map(torch.from_numpy, (pred, gt, valid))) == pytest.approx(single, rel=1e-6)
    double = depth_metrics(pred.astype(np.float64), gt.astype(np.float64), valid)
    assert single == pytest.approx(double, rel=1e-6)


def test_a_batch_is_its_images():
    rooms = [room(seed) for seed in range(3)]
    pred, gt, valid = (torch.from_numpy(np.stack(part)) for part in zip(*rooms, strict=True))
    valid[1] = False
    batch = batch_depth_metrics(pred, gt, valid)
    for row, (p, g, v) in zip(batch[[0, 2]], (rooms[0], rooms[2]), strict=True):
        assert row.tolist() == pytest.approx(list(depth_metrics(p, g, v).values()), rel=1e-6)
    assert batch[1].isnan().all()


def test_nothing_valid_is_nan():
    pred, gt, valid = room()
    metrics = depth_metrics(pred, gt, np.zeros_like(valid))
    assert tuple(metrics) == METRICS
    assert all(math.isnan(value) for value in metrics.values())


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_inputs_are_not_written_and_invalid_pixels_may_be_anything(convert):
    pred, gt, valid = room()
    clean = depth_metrics(convert(pred), convert(gt), convert(valid))
    pred[~valid], gt[~valid] = np.nan, -np.inf
    before = pred.copy(), gt.copy(), valid.copy()
    assert depth_metrics(convert(pred), convert(gt), convert(valid)) == clean
    for now, then in zip((pred, gt, valid), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_mixture_is_refused():
    pred, gt, valid = room()
    with pytest.raises(TypeError, match="not a mixture"):
        depth_metrics(torch.from_numpy(pred), gt, valid)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 50), scale=st.floats(0.05, 20))
def test_scaling_both(seed, scale):
    pred, gt, valid = room(seed)
    before = depth_metrics(pred.astype(np.float64), gt.astype(np.float64), valid)
    after = depth_metrics(pred.astype(np.float64) * scale, gt.astype(np.float64) * scale, valid)
    expected = {name: value * scale if name in ("rmse", "sq_rel") else value for name, value in before.items()}
    assert after == pytest.approx(expected, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 50), bias=st.floats(0.3, 3))
def test_silog_sees_no_scale(seed, bias):
    pred, gt, valid = room(seed)
    silog = depth_metrics(pred, gt, valid)["silog"]
    assert depth_metrics((pred * np.float32(bias)), gt, valid)["silog"] == pytest.approx(silog, rel=1e-5)
    assert depth_metrics(gt * np.float32(bias), gt, valid)["silog"] < 1e-4


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 50))
def test_order_of_pixels_does_not_matter(seed):
    pred, gt, valid = room(seed)
    order = np.random.default_rng(seed).permutation(gt.size)
    shuffled = (array.ravel()[order].reshape(array.shape) for array in (pred, gt, valid))
    assert depth_metrics(*shuffled) == pytest.approx(depth_metrics(pred, gt, valid), rel=1e-6)


def test_groups_pool_to_the_whole():
    pred, gt, valid = room(1, 96, 128)
    groups = distance_bins(gt, range(0, 21))
    sums = group_sums(pred, gt, valid, groups, 20)
    whole = group_metrics(sums.sum(axis=0))
    expected = depth_metrics(pred, gt, valid)
    assert {name: float(whole[name]) for name in ("delta1", "abs_rel", "rmse", "log10")} == pytest.approx(
        {name: expected[name] for name in ("delta1", "abs_rel", "rmse", "log10")}, rel=1e-6
    )
    far = group_metrics(sums)
    assert far["pixels"].sum() == valid.sum()
    assert np.isnan(far["abs_rel"][far["pixels"] == 0]).all()
    near = valid & (gt > 2) & (gt <= 3)
    assert far["rmse"][2] == pytest.approx(depth_metrics(pred, gt, near)["rmse"], rel=1e-6)


def test_pooled_is_one_big_image():
    rooms = [room(seed, 24 + 8 * seed, 64) for seed in range(3)]
    rooms.append((rooms[0][0], rooms[0][1], np.zeros_like(rooms[0][2])))
    rows = [{"pixels": int(valid.sum()), **depth_metrics(pred, gt, valid)} for pred, gt, valid in rooms]
    whole = depth_metrics(*(np.concatenate(part) for part in zip(*rooms, strict=True)))
    assert pooled_metrics(pd.DataFrame(rows)) == pytest.approx(whole, rel=1e-6)


def test_groups_outside_are_left_out():
    pred, gt, valid = room()
    labels = np.full(gt.shape, 5)
    labels[:10] = -1
    labels[10:20] = 6
    sums = group_sums(pred, gt, valid, labels, 6)
    assert sums[5, 0] == valid[20:].sum()
    assert sums[:5].sum() == 0


def test_distance_bins_are_right_closed():
    gt = np.array([[0.0, 0.5, 1.0, 1.5, 2.0, 2.5]], np.float32)
    assert distance_bins(gt, [0, 1, 2]).tolist() == [[-1, 0, 0, 1, 1, 2]]


def naive_metrics(pred, gt, valid):
    """Every metric by its formula, one by one, in float64: the reference for numbers and for speed."""
    pred, gt = pred.astype(np.float64), gt.astype(np.float64)

    def delta(n):
        return (np.maximum(gt[valid] / pred[valid], pred[valid] / gt[valid]) < 1.25**n).mean()

    return {
        "delta1": delta(1),
        "delta2": delta(2),
        "delta3": delta(3),
        "abs_rel": np.mean(np.abs(gt[valid] - pred[valid]) / gt[valid]),
        "sq_rel": np.mean((gt[valid] - pred[valid]) ** 2 / gt[valid]),
        "rmse": np.sqrt(np.mean((gt[valid] - pred[valid]) ** 2)),
        "rmse_log": np.sqrt(np.mean((np.log(gt[valid]) - np.log(pred[valid])) ** 2)),
        "log10": np.mean(np.abs(np.log10(gt[valid]) - np.log10(pred[valid]))),
        "log_bias": np.mean(np.log(pred[valid]) - np.log(gt[valid])),
        "silog": 100
        * np.sqrt(
            np.mean((np.log(pred[valid]) - np.log(gt[valid])) ** 2)
            - np.mean(np.log(pred[valid]) - np.log(gt[valid])) ** 2
        ),
    }


def test_several_times_as_fast_as_the_formulas():
    pred, gt, valid = room(0, 480, 640)
    assert depth_metrics(pred, gt, valid) == pytest.approx(naive_metrics(pred, gt, valid), rel=1e-6)

    def best(function, repeats):
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            function(pred, gt, valid)
            times.append(time.perf_counter() - start)
        return min(times)

    # Measured ratio: 15 or so. The bar leaves room for a busy machine.
    assert best(naive_metrics, 5) > 5 * best(depth_metrics, 20)
