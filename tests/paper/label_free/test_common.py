"""Means and differences over seeds and clips, of rows that are made up."""

import numpy as np
import pandas as pd
import pytest

from zdlib.errors import ZDError
from zdlib.paper.label_free import common


def rows(seeds, clips=2, shift=0.0):
    table = [(frame, f"clip {frame // 2}", seed, shift + seed) for frame in range(2 * clips) for seed in seeds]
    return pd.DataFrame(table, columns=["frame", "scene", "seed", "abs_rel"])


def test_a_frame_that_one_seed_lacks_counts_for_none():
    table = rows((1, 2)).iloc[:-1]
    assert common.crossed_mean(table, "abs_rel") == (1.5, 1, 2)
    assert common.crossed_mean(table[table["seed"] == 2].assign(abs_rel=np.nan), "abs_rel") is None


def test_one_clip_of_one_training_leaves_nothing_to_draw():
    """Both ends are the mean: such a row says how many trainings it has, and its caption what that means."""
    assert common.crossed_mean(rows((1,), clips=1), "abs_rel") == (1, 1, 1)


def test_differences_are_of_the_seeds_that_both_have():
    found = common.difference(rows((1, 2, 3)), rows((2, 3), shift=0.5), "abs_rel")
    assert (found["trainings"], found["difference"], found["verdict"]) == (2, 0.5, "worse")
    assert (found["first"], found["second"]) == (2.5, 3)
    assert common.difference(rows((1,)), rows((2,)), "abs_rel") is None


def test_what_needs_no_training_stands_against_every_seed():
    found = common.difference(rows((common.NO_TRAINING,)), rows((1, 2)), "abs_rel")
    assert (found["trainings"], found["difference"]) == (2, 1.5)
    assert list(common.means(rows((common.NO_TRAINING,)), ["scene"], ["abs_rel"])["trainings"]) == [0, 0]


@pytest.mark.parametrize(
    ("low", "high", "higher_is_better", "said"),
    [
        (-1, 1, True, common.NO_EFFECT),
        (0, 1, True, common.NO_EFFECT),
        (0.5, 1, True, "better"),
        (0.5, 1, False, "worse"),
        (-1, -0.5, False, "better"),
        (-1, -0.5, True, "worse"),
    ],
)
def test_verdicts(low, high, higher_is_better, said):
    assert common.verdict({"low": low, "high": high}, higher_is_better) == said


def test_a_profile_without_a_grid_has_no_seeds():
    with pytest.raises(ZDError, match="has no study"):
        common.seeds("smoke")
