"""The median puts one factor right, and nothing else."""

import numpy as np
import pytest

from zdlib.data.sample import Sample
from zdlib.evaluate.judge import evaluate_depth
from zdlib.evaluate.scaled import deeper_than, median_scaled
from zdlib.metrics import protocols

PROTOCOL = protocols.Protocol("toy/all", "", "", 0.0, 10.0, (1e-3, 10.0), "none", use_mask=True)


def frame(depth: np.ndarray, mask: np.ndarray | None = None) -> Sample:
    return Sample("f", np.zeros((*depth.shape, 3), np.uint8), depth.astype(np.float32), mask=mask)


def test_a_wrong_scale_is_put_right_even_beyond_the_clamp() -> None:
    depth = np.random.default_rng(0).uniform(1, 9, (6, 8))
    reader = [frame(depth), frame(depth)]
    wrong = [reader[0].depth * 3, reader[1].depth + np.float32(1)]  # 3 × 9 m would be clamped to 10
    before = evaluate_depth(wrong, reader, [0, 1], PROTOCOL)
    after = evaluate_depth(median_scaled(wrong, reader, [0, 1], PROTOCOL), reader, [0, 1], PROTOCOL)
    assert before["delta1"][0] < 0.5
    assert after["abs_rel"][0] == pytest.approx(0, abs=1e-6)
    assert after["abs_rel"][1] > 0.01  # a shift is not a scale


def test_only_pixels_that_count_decide_the_factor() -> None:
    depth = np.array([[2.0, 2.0, 2.0, 50.0, 0.0]])
    prediction = np.array([[1.0, 1.0, 1.0, 9.0, 9.0]], np.float32)
    (scaled,) = median_scaled([prediction], [frame(depth)], [0], PROTOCOL).values()
    assert scaled[0, 0] == pytest.approx(2.0)
    hollow = frame(np.zeros((1, 5)))
    assert median_scaled([prediction], [hollow], [0], PROTOCOL)[0].tolist() == prediction.tolist()


def test_deep_pixels_count_unless_masked() -> None:
    deep = np.array([[1.0, 12.0]])
    assert deeper_than([frame(deep), frame(deep / 2)], 10.0) == ["f"]
    assert deeper_than([frame(deep, np.array([[True, False]]))], 10.0) == []
