"""Scores on real pictures: their arithmetic on made-up frames, and the card against what is committed."""

import numpy as np
import pandas as pd
import pytest

from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.metrics import protocols
from zdlib.models.choice import PACKAGED_CARD
from zdlib.paper import photographs
from zdlib.paper.photographs import CARD_BEGIN, CARD_END, METRICS, card_numbers, judge, summary, update_card

INDOOR = protocols.get("real-hololens/indoor")


def test_a_wrong_scale_is_an_error_in_metres_and_none_after_scaling():
    depth = np.linspace(1, 4, 48, dtype=np.float32).reshape(6, 8)
    depth[0, :3] = 0
    sample = Sample("a", np.zeros((6, 8, 3), np.uint8), depth, scene="s", intrinsics=np.eye(3))
    truth = np.linspace(1, 4, 48, dtype=np.float32).reshape(6, 8)
    judged = judge(3, sample, truth / 2, INDOOR)
    absolute, scaled = judged.rows
    assert absolute["abs_rel"] == pytest.approx(0.5)
    assert absolute["delta1"] == 0
    assert scaled["abs_rel"] == pytest.approx(0, abs=1e-6)
    assert (absolute["ratio"], scaled["scale"], scaled["focal_known"]) == (pytest.approx(2), "median-scaled", True)
    assert judged.by_distance[:, 0].sum() == np.count_nonzero(depth)


def rows(method, errors, scenes):
    return pd.DataFrame(
        {
            "data": "HoloLens",
            "method": method,
            "scale": "absolute",
            "frame": range(len(errors)),
            "name": [f"f{n}" for n in range(len(errors))],
            "scene": scenes,
            "ratio": 1.0,
            **dict.fromkeys(METRICS, errors),
        }
    )


def test_intervals_are_over_stretches():
    scenes = ["a", "a", "b", "b", "c", "c"]
    images = pd.concat([rows("zoe_light", [0.1, 0.1, 0.2, 0.2, 0.3, 0.3], scenes), rows("other", [0.3] * 6, scenes)])
    table = summary(images, "absolute").set_index("method")
    assert table.loc["zoe_light", ["images", "stretches"]].tolist() == [6, 3]
    assert table.loc["zoe_light", "abs_rel"] == pytest.approx(0.2)
    assert table.loc["zoe_light", "abs_rel_low"] == pytest.approx(0.1, abs=0.02), "three stretches, not six frames"
    gained = photographs.gains(images, "absolute", "other").set_index("metric")
    assert gained.loc["abs_rel", "difference"] == pytest.approx(-0.1)


def test_the_card_s_numbers_are_the_committed_scores():
    images, _ = photographs.load_scores()
    text = PACKAGED_CARD.read_text(encoding="utf-8")
    assert text.partition(CARD_BEGIN)[2].partition(CARD_END)[0].strip() == card_numbers(images)
    assert {"zoe_light", "METER (NYU)", "constant depth", "mean depth map"} <= set(images["method"])
    walk = images[(images["data"] == "HoloLens") & (images["method"] == "zoe_light")]
    assert walk["frame"].min() == 83, "none of the frames that trained or selected it"


def test_a_card_without_its_marks_is_not_written(tmp_path):
    (tmp_path / "card.md").write_text("nothing")
    with pytest.raises(ZDError, match="has not the marks"):
        update_card(rows("zoe_light", [0.1], ["a"]), tmp_path / "card.md")
    assert (tmp_path / "card.md").read_text() == "nothing"
