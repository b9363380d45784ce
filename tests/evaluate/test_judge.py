import numpy as np
import pandas as pd
import pytest

from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.evaluate import judge
from zdlib.metrics import protocols
from zdlib.metrics.depth import METRICS, depth_metrics

EVERYTHING = protocols.Protocol("toy/all", "", "", 0.0, 100.0, (1e-3, 100.0), "none", use_mask=False)


def sample(depth, name="a", labels=None, scene=""):
    depth = np.asarray(depth, np.float32)
    return Sample(name, np.zeros((*depth.shape, 3), np.uint8), depth, labels=labels, scene=scene)


def test_evaluate_depth_gives_one_row_a_frame():
    rng = np.random.default_rng(0)
    reader = [sample(rng.uniform(1, 5, (6, 8)), f"f{i}", scene="s") for i in range(4)]
    predictions = {i: reader[i].depth[::1] * np.float32(1.1) for i in range(4)}
    table = judge.evaluate_depth(predictions, reader, [3, 1], EVERYTHING, trained_on=np.array([1, 2]))
    assert table["frame"].tolist() == [3, 1]
    assert table["trained_on"].tolist() == [False, True]
    assert table[["protocol", "name", "scene", "pixels"]].iloc[0].tolist() == ["toy/all", "f3", "s", 48]
    expected = depth_metrics(predictions[3], reader[3].depth, reader[3].depth > 0)
    assert table.loc[0, list(METRICS)].to_dict() == expected
    summary = judge.summarise(table)
    assert (summary["images"], summary["trained_on"], summary["skipped"]) == (2, 1, [])
    assert summary["abs_rel"] == pytest.approx(0.1, rel=1e-5)


def test_frame_without_a_pixel_is_reported_and_left_out_of_the_mean():
    reader = [sample([[2.0, 2.0]], "good"), sample([[0.0, 0.0]], "hollow")]
    table = judge.evaluate_depth([reader[0].depth * 2] * 2, reader, [0, 1], EVERYTHING)
    assert np.isnan(table["rmse"][1])
    summary = judge.summarise(table)
    assert (summary["images"], summary["skipped"], summary["rmse"]) == (1, ["hollow"], 2.0)
    with pytest.raises(ZDError, match="no pixel of 1 frames counts"):
        judge.evaluate_depth([reader[0].depth] * 2, reader, [1], EVERYTHING)


def test_the_protocol_chooses_the_ground_truth():
    readers = {"raw": [sample(np.full((48, 64), 2.0))], "inpainted": [sample(np.full((48, 64), 4.0))]}
    predictions = [np.full((3, 4), 2.0, np.float32)]
    raw = judge.evaluate_depth(predictions, readers, [0], protocols.get("nyu/standard"))
    inpainted = judge.evaluate_depth(predictions, readers, [0], protocols.get("nyu/published"))
    assert (raw["rmse"][0], inpainted["rmse"][0]) == pytest.approx((0.0, 2.0), abs=1e-6)
    with pytest.raises(TypeError, match="one of two ground truths"):
        judge.evaluate_depth(predictions, readers["raw"], [0], protocols.get("nyu/standard"))


@pytest.mark.parametrize("predictions", [{}, []])
def test_missing_prediction_is_named(predictions):
    with pytest.raises(ZDError, match="frame 1: was not predicted"):
        judge.evaluate_depth(predictions, [sample([[1.0]])] * 2, [1], EVERYTHING)


def test_by_distance_and_by_class_pool_pixels():
    labels = np.array([[1, 1, 2, 0]], np.uint8)
    reader = [sample([[0.5, 1.5, 2.0, 0.0]], labels=labels), sample([[1.2, 1.4, 1.5, 3.0]], labels=labels)]
    predictions = [np.array([[1.0, 1.5, 2.0, 1.0]], np.float32), np.array([[1.2, 1.4, 3.0, 3.0]], np.float32)]
    by_distance = judge.depth_by_distance(predictions, reader, [0, 1], EVERYTHING, edges=[0, 1, 2])
    assert by_distance["pixels"].tolist() == [1, 5]
    assert by_distance["abs_rel"].tolist() == pytest.approx([1.0, 0.2])
    by_class = judge.depth_by_class(predictions, reader, [0, 1], EVERYTHING).set_index("class")
    assert by_class["pixels"][["unlabelled", "bed", "books", "wall"]].tolist() == [1, 4, 2, 0]
    assert by_class["rmse"]["books"] == pytest.approx(np.sqrt(1.5**2 / 2))
    assert by_class["rmse"].isna()["wall"]
    with pytest.raises(ZDError, match="has no labels"):
        judge.depth_by_class([reader[0].depth], [sample([[1.0]], "x")], [0], EVERYTHING)


def test_segmentation_scores():
    labels = [np.array([[1, 1, 2, 0]], np.uint8), np.array([[3, 3, 3, 3]], np.uint8)]
    reader = [sample(np.ones((1, 4)), f"f{i}", labels=labels[i]) for i in range(2)]
    predictions = {0: np.array([[1, 2, 2, 5]], np.uint8), 1: labels[1]}
    scores = judge.evaluate_segmentation(predictions, reader, [0, 1], trained_on=[1])
    assert scores.per_image["pixels"].tolist() == [3, 4]
    assert scores.per_image["pixel_accuracy"].tolist() == pytest.approx([2 / 3, 1])
    assert scores.per_image["trained_on"].tolist() == [False, True]
    assert scores.matrices.shape == (2, 14, 14)
    assert scores.summary()["miou"] == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert isinstance(scores.per_image, pd.DataFrame)


@pytest.mark.parametrize(
    ("frame", "prediction", "message"),
    [
        (sample(np.ones((1, 4)), "x"), np.zeros((1, 4), np.uint8), "x: has no labels"),
        (sample(np.ones((1, 4)), "x", np.ones((1, 4), np.uint8)), np.zeros((2, 4), np.uint8), r"x: .* \(2, 4\)"),
    ],
)
def test_segmentation_of_a_wrong_frame(frame, prediction, message):
    with pytest.raises(ZDError, match=message):
        judge.evaluate_segmentation([prediction], [frame], [0])
