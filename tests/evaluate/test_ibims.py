import numpy as np
import pandas as pd
import pytest

from zdlib.data.sets.ibims import IBimsSample
from zdlib.errors import ZDError
from zdlib.evaluate.ibims import evaluate_ibims
from zdlib.metrics import protocols
from zdlib.metrics.ibims import boundary_f1, depth_boundary_error, directed_depth_error, distance_errors

SIZE = (48, 64)
MATRIX = np.array([[60.0, 0, 31.5], [0, 60.0, 23.5], [0, 0, 1]])
FRONTAL = np.array([[0.0, 0, 0, 0, 0, 1, 0]])


def frame(name, near, **annotations):
    depth = np.full(SIZE, 4.5, np.float32)
    depth[:, :30] = near
    depth[:3] = 0
    return IBimsSample(name, np.zeros((*SIZE, 3), np.uint8), depth, scene=name, **annotations)


@pytest.fixture
def reader():
    planes = np.zeros(SIZE, np.uint8)
    planes[:, :30] = 1
    walls = {"wall": (planes, FRONTAL), "floor": ((planes == 0).astype(np.uint8), FRONTAL)}
    edges = np.zeros(SIZE, bool)
    edges[:, 30] = True
    mask = np.ones(SIZE, bool)
    mask[-5:] = False
    return [
        frame("a", 1.5, planes=walls, calib=MATRIX.T, edges=edges, mask=mask),
        frame("b", 2.5, planes=walls, edges=edges),
        frame("c", 2.5),
    ]


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    return {i: rng.uniform(1, 5, (24, 32)).astype(np.float32) for i in range(3)}


def test_rows_are_the_single_metrics(reader, predictions):
    scores = evaluate_ibims(predictions, reader, [0, 1, 2])
    assert scores.per_image["name"].tolist() == ["a", "b", "c"]
    pred, valid = protocols.get("ibims/koch").prepare(predictions[0], reader[0])
    assert scores.per_image["pixels"][0] == valid.sum() == (48 - 3 - 5) * 64
    expected = {
        **directed_depth_error(pred, reader[0].depth, valid),
        **depth_boundary_error(pred, reader[0].edges),
        "boundary_f1": boundary_f1(pred, reader[0].depth, valid),
    }
    assert scores.per_image.iloc[0][list(expected)].to_dict() == expected
    assert np.isnan(scores.per_image["dbe_accuracy"][2])  # no annotated edges
    # Frame b has planes but no camera, frame c has no planes.
    assert scores.planes[["name", "kind", "plane"]].to_numpy().tolist() == [["a", "wall", 1], ["a", "floor", 1]]


def test_averages(reader, predictions):
    scores = evaluate_ibims(predictions, reader, np.array([0, 1]))
    summary = scores.summary()
    assert summary["dde_0"] == pytest.approx(scores.per_image["dde_0"].mean())
    assert summary["pe_flatness"] == pytest.approx(scores.planes["pe_flatness"].mean())
    assert scores.by_distance["images"].tolist() == [0, 1, 1, 0, 2] + [0] * 15
    rmse = []
    for i in range(2):
        pred, valid = protocols.get("ibims/koch").prepare(predictions[i], reader[i])
        rmse.append(distance_errors(pred, reader[i].depth, valid)["rmse"])
    assert scores.by_distance["rmse"][4] == pytest.approx((rmse[0][4] + rmse[1][4]) / 2)
    assert scores.by_distance["rmse"][2] == pytest.approx(rmse[1][2])
    assert np.isnan(scores.by_distance["rmse"][0])


def test_without_any_plane(reader, predictions):
    scores = evaluate_ibims(predictions, reader, [2])
    assert scores.planes.empty
    assert np.isnan(scores.summary()["pe_flatness"])


@pytest.mark.slow
def test_processes_change_nothing(reader, predictions):
    one, two = (evaluate_ibims(predictions, reader, [0, 1, 2], workers=n) for n in (1, 2))
    for name in ("per_image", "planes", "by_distance"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(two, name), check_exact=True)


def test_missing_prediction_is_named(reader, predictions):
    del predictions[1]
    with pytest.raises(ZDError, match="frame 1"):
        evaluate_ibims(predictions, reader, [0, 1])
