"""Both ways of judging relative depth, against numbers derived from their descriptions (tests/golden/README.md)."""

import json

import numpy as np
import pytest
from golden_models import GOLDEN

from zdlib.metrics.zero_shot import zero_shot_metrics

CASES = json.loads((GOLDEN / "depth_anything" / "losses.json").read_text())["relative_eval"]
ARRAYS = np.load(GOLDEN / "depth_anything" / "losses.npz")


@pytest.mark.parametrize("number", range(len(CASES)))
@pytest.mark.parametrize(("space", "key"), [("disparity", "disparity_space"), ("depth", "depth_space_capped")])
def test_both_spaces(number, space, key):
    depth, prediction = ARRAYS[f"eval/{number}/depth"], ARRAYS[f"eval/{number}/pred"]
    found = zero_shot_metrics(prediction, depth, CASES[number]["depth_cap"], space)
    for name, expected in CASES[number][key].items():
        assert found[name] == pytest.approx(expected, abs=1e-9), name
    moved = zero_shot_metrics(5 * prediction + 2, depth, CASES[number]["depth_cap"], space)
    assert moved["abs_rel"] == pytest.approx(found["abs_rel"], abs=1e-9)


def test_the_mask_leaves_pixels_out():
    depth, prediction = ARRAYS["eval/0/depth"], ARRAYS["eval/0/pred"]
    mask = np.ones(depth.shape, bool)
    mask[:5] = False
    changed = prediction.copy()
    changed[:5] = 1e3
    one, two = (zero_shot_metrics(p, depth, 10.0, mask=mask) for p in (prediction, changed))
    assert one == two
