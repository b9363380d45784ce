import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.metrics import protocols
from zdlib.metrics.depth import depth_metrics
from zdlib.metrics.ibims import (
    boundary_f1,
    depth_boundary_error,
    depth_edges,
    directed_depth_error,
    distance_errors,
    planarity_errors,
)

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((GOLDEN / "ibims_expected.json").read_text())


@pytest.fixture(scope="module", params=[0, 1])
def number(request):
    return request.param


@pytest.fixture(scope="module")
def scene(number):
    with np.load(GOLDEN / f"ibims_scene_{number}.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def authors(number):
    """What their code gives for the scene."""
    return EXPECTED[number]


@pytest.fixture(scope="module")
def judged(scene):
    """Prediction, ground truth, valid pixels."""
    mask = (scene["mask_invalid"] > 0) & (scene["mask_transp"] > 0)
    sample = Sample("a", np.zeros((480, 640, 3), np.uint8), scene["gt"], mask=mask)
    return (*protocols.get("ibims/koch").prepare(scene["pred"], sample), scene["gt"])


def intrinsics(scene):
    return scene["calib"].T


# --- what the authors' code gives ---


def test_global_errors(judged, authors):
    pred, valid, gt = judged
    metrics = depth_metrics(pred, gt, valid)
    names = {"d1": "delta1", "d2": "delta2", "d3": "delta3"}
    expected = {names.get(name, name): value for name, value in authors["global_"].items()}
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, rel=1e-6)


def test_directed_depth_error(judged, authors):
    pred, valid, gt = judged
    expected = {f"dde_{'0' if side == 'zero' else side}": 100 * share for side, share in authors["dde"].items()}
    assert directed_depth_error(pred, gt, valid) == pytest.approx(expected, rel=1e-6)


def test_depth_boundary_error(judged, scene, authors):
    errors = depth_boundary_error(judged[0], scene["edges"] > 0)
    expected = authors["dbe_unmasked_prediction"]
    assert errors["dbe_accuracy"] == pytest.approx(expected["acc"], rel=1e-4)
    assert errors["dbe_completeness"] == pytest.approx(expected["comp"], rel=1e-4)


def test_planarity(judged, scene, authors):
    pred, valid, gt = judged
    (wall,) = planarity_errors(pred, gt, valid, scene["mask_wall"], scene["mask_wall_paras"], intrinsics(scene))
    assert wall["pe_flatness"] == pytest.approx(authors["pe_wall"]["flatness_cm"][0], rel=1e-4)
    assert wall["pe_orientation"] == pytest.approx(authors["pe_wall"]["orientation_deg"][0], rel=1e-4)
    paras = scene["mask_floor_paras"]
    assert planarity_errors(pred, gt, valid, scene["mask_floor"], paras, intrinsics(scene)) == []


@pytest.mark.parametrize("metric", ["abs_rel", "log10", "rmse"])
def test_distance_errors(judged, metric, authors):
    pred, valid, gt = judged
    expected = np.array(authors["distance"][metric], float)
    np.testing.assert_allclose(distance_errors(pred, gt, valid)[metric], expected, rtol=1e-6)
    assert np.isfinite(expected).sum() == 3


# --- the five slips of the authors' code ---


def test_inputs_are_never_written(judged, scene):
    pred, valid, gt = (array.copy() for array in judged)
    pred[100:110], gt[200:210] = 0, 0
    before = pred.copy(), gt.copy()
    valid &= (pred > 0) & (gt > 0)
    for array in (pred, gt, valid, *scene.values()):
        array.flags.writeable = False
    directed_depth_error(pred, gt, valid)
    depth_boundary_error(pred, scene["edges"] > 0)
    planarity_errors(pred, gt, valid, scene["mask_wall"], scene["mask_wall_paras"], intrinsics(scene))
    distance_errors(pred, gt, valid)
    boundary_f1(pred, gt, valid)
    np.testing.assert_array_equal(pred, before[0])
    np.testing.assert_array_equal(gt, before[1])


def test_zeros_of_truth_and_prediction_stay_aligned():
    gt = np.array([[0.0, 2.0, 4.0, 2.0]], np.float32)
    pred = np.array([[2.0, 2.0, 4.0, 0.0]], np.float32)
    sample = Sample("a", np.zeros((1, 4, 3), np.uint8), gt)
    pred, valid = protocols.get("ibims/koch").prepare(pred, sample)
    assert valid.tolist() == [[False, True, True, False]]
    assert directed_depth_error(pred, gt, valid)["dde_0"] == 100
    errors = distance_errors(pred, gt, valid)
    assert errors["pixels"].tolist() == [0, 1, 0, 1] + [0] * 16
    assert np.nansum(errors["abs_rel"]) == 0


@pytest.mark.parametrize("plane", [0.5, 0.9, 1.0, 3.0])
def test_dde_at_any_threshold(plane):
    gt = plane * np.array([[0.5, 0.9, 1.0, 1.1, 2.0]])
    pred = plane * np.array([[0.6, 1.2, 1.0, 0.8, 3.0]])
    errors = directed_depth_error(pred, gt, gt > 0, plane)
    assert errors == pytest.approx({"dde_0": 60, "dde_minus": 20, "dde_plus": 20})


def test_one_plane_may_be_one_dimensional(judged, scene):
    pred, valid, gt = judged
    row = scene["mask_wall_paras"]
    assert row.shape == (1, 7)
    arguments = pred, gt, valid, scene["mask_wall"]
    flat = planarity_errors(*arguments, row[0], intrinsics(scene))
    assert flat == planarity_errors(*arguments, row, intrinsics(scene))


def test_a_constant_prediction_has_no_edges(scene):
    constant = np.full((480, 640), 2.5, np.float32)
    assert not depth_edges(constant).any()
    assert set(depth_boundary_error(constant, scene["edges"] > 0).values()) == {10.0}


# --- by hand ---


def test_nothing_valid():
    depth, nothing = np.ones((4, 5)), np.zeros((4, 5), bool)
    assert np.isnan(list(directed_depth_error(depth, depth, nothing).values())).all()
    assert np.isnan(list(depth_boundary_error(depth, nothing).values())).all()
    assert boundary_f1(depth, depth, nothing) == 0
    assert np.isnan(distance_errors(depth, depth, nothing)["rmse"]).all()


def test_edges_found_a_few_pixels_away():
    step = (2.0 + np.sign(np.arange(64) - 30)).astype(np.float32)[None].repeat(48, axis=0)
    (column,) = set(np.nonzero(depth_edges(step))[1].tolist())
    edges = np.zeros((48, 64), bool)
    edges[:, column + 4] = True
    errors = depth_boundary_error(step, edges)
    assert errors["dbe_accuracy"] == pytest.approx(4)
    assert errors["dbe_completeness"] == pytest.approx(4, rel=0.01)
    assert errors["dbe_completeness_v09"] == pytest.approx(4, rel=0.01)
    far = np.zeros((48, 64), bool)
    far[:, column + 20] = True
    assert depth_boundary_error(step, far) == dict.fromkeys(errors, 10.0)
    both = edges | far
    errors = depth_boundary_error(step, both)
    assert errors["dbe_accuracy"] == pytest.approx(4)
    assert errors["dbe_completeness_v09"] == pytest.approx((4 + 20) / 2, rel=0.01)
    # Version 1 truncates the far edge at 10 and takes the predicted edge's own distance into the mean.
    predicted, true = depth_edges(step).sum(), both.sum()
    expected = (4 * predicted + (4 + 10) * true / 2) / (predicted + true)
    assert errors["dbe_completeness"] == pytest.approx(expected, rel=0.01)


def test_holes_of_a_prediction_are_no_edges():
    ramp = np.linspace(1, 3, 64, dtype=np.float32)[None].repeat(48, axis=0)
    holed = ramp.copy()
    holed[10:20, 10:30], holed[30:35, 40:50] = 0, np.nan
    np.testing.assert_array_equal(depth_edges(holed), depth_edges(ramp))
    assert not depth_edges(np.zeros((48, 64), np.float32)).any()


def plane_depth(normal, offset, matrix, size=(48, 64)):
    """Depth of the plane normal · point = offset seen through a pinhole, X right, Y forward, Z up."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    rays = (columns + 1 - matrix[0, 2]) / matrix[0, 0], np.ones(size), -(rows + 1 - matrix[1, 2]) / matrix[1, 1]
    return (offset / sum(n * ray for n, ray in zip(normal, rays, strict=True))).astype(np.float32)


@pytest.mark.parametrize("angle", [0, 10, 35])
def test_planarity_of_a_tilted_plane(angle):
    matrix = np.array([[50.0, 0, 30.0], [0, 52.0, 25.0], [0, 0, 1]])
    turn = np.radians(angle)
    gt = plane_depth((0, 1, 0), 3.0, matrix)
    pred = 1.7 * plane_depth((np.sin(turn), np.cos(turn), 0), 3.0, matrix)
    mask = np.ones((48, 64), np.uint8)
    valid = (pred > 0) & (pred < 100)
    (error,) = planarity_errors(pred, gt, valid, mask, np.array([0.0, 0, 0, 0, 0, -2, 0]), matrix)
    assert error["pe_orientation"] == pytest.approx(angle, abs=1e-3)
    assert error["pe_flatness"] == pytest.approx(0, abs=1e-3)
    assert error["pixels"] == valid.sum()


def test_flatness_is_a_standard_deviation_in_centimetres():
    gt = np.full((48, 64), 2.0, np.float32)
    wobble = np.where(np.indices((48, 64)).sum(axis=0) % 2, 0.03, -0.03).astype(np.float32)
    matrix = np.array([[100.0, 0, 31.5], [0, 100.0, 23.5], [0, 0, 1]])
    paras = np.array([[0.0, 0, 0, 0, 0, 1, 0]])
    (error,) = planarity_errors(gt + wobble, gt, gt > 0, np.ones((48, 64), np.uint8), paras, matrix)
    assert error["pe_flatness"] == pytest.approx(3, rel=0.01)


def test_small_planes_are_left_out_and_lost_parameters_named():
    gt = np.full((20, 20), 2.0)
    planes = np.zeros((20, 20), np.uint8)
    planes[0, :19] = 1  # 4.75 %
    planes[10] = 2  # 5 %
    matrix, paras = np.eye(3), np.array([[0.0, 0, 0, 0, 0, 1, 0]] * 2)
    assert [e["plane"] for e in planarity_errors(gt, gt, gt > 0, planes, paras, matrix)] == [2]
    with pytest.raises(ZDError, match="plane 2: has no parameters"):
        planarity_errors(gt, gt, gt > 0, planes, paras[:1], matrix)


def depth_pro_f1(pred, gt):
    """Depth Pro's definition, pair by pair, without a mask."""
    scores = []
    for t in np.linspace(1.05, 1.25, 10):
        precision, recall = [], []
        for dr, dc in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            hits = found = true = 0
            for r in range(gt.shape[0]):
                for c in range(gt.shape[1]):
                    if 0 <= r + dr < gt.shape[0] and 0 <= c + dc < gt.shape[1]:
                        p = pred[r + dr, c + dc] / pred[r, c] > t
                        g = gt[r + dr, c + dc] / gt[r, c] > t
                        hits, found, true = hits + (p and g), found + p, true + g
            precision.append(hits / max(found, 1))
            recall.append(hits / max(true, 1))
        p, r = np.mean(precision), np.mean(recall)
        scores.append((t, 2 * p * r / (p + r) if p + r else 0))
    return sum(t * f for t, f in scores) / sum(t for t, _ in scores)


def blocks(seed):
    rng = np.random.default_rng(seed)
    gt = rng.uniform(1, 3, (3, 4)).repeat(3, axis=0).repeat(3, axis=1)
    return np.roll(gt, 1, axis=1) * rng.uniform(0.95, 1.05, gt.shape), gt


@pytest.mark.parametrize("seed", range(3))
def test_boundary_f1_pair_by_pair(seed):
    pred, gt = blocks(seed)
    everywhere = np.ones(gt.shape, bool)
    expected = depth_pro_f1(pred, gt)
    assert 0 < expected < 1
    assert boundary_f1(pred, gt, everywhere) == pytest.approx(expected, rel=1e-12)
    assert boundary_f1(gt, gt, everywhere) == pytest.approx(1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), scale=st.floats(0.01, 100))
def test_boundary_f1_sees_no_scale(seed, scale):
    pred, gt = blocks(seed)
    everywhere = np.ones(gt.shape, bool)
    assert boundary_f1(pred * scale, gt, everywhere) == pytest.approx(boundary_f1(pred, gt, everywhere), abs=1e-9)


def test_holes_are_no_boundaries():
    pred, gt = blocks(0)
    valid = np.ones(gt.shape, bool)
    clean = boundary_f1(gt, gt, valid)
    holed = gt.copy()
    holed[2:4, 2:5] = 0
    assert boundary_f1(gt, holed, holed > 0) == clean == pytest.approx(1)
    holed[holed == 0] = np.nan
    assert boundary_f1(pred, holed, holed > 0) == boundary_f1(pred, gt, holed > 0)


def test_distance_bins_can_be_chosen():
    gt = np.array([[0.5, 1.5, 7.0]])
    errors = distance_errors(gt * 2, gt, gt > 0, edges=[0, 2, 10])
    assert errors["pixels"].tolist() == [2, 1]
    np.testing.assert_allclose(errors["abs_rel"], 1)
