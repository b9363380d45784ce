import numpy as np
import pytest

from zdlib.data.sets.nyu import Splits
from zdlib.recipes import RECIPES
from zdlib.train.split import frame_roles


@pytest.fixture
def nyu_like():
    """100 frames, 50 scenes of two; every third scene is official test."""
    scenes = [f"room_{i // 2:04d}" for i in range(100)]
    test = np.array([i for i in range(100) if (i // 2) % 3 == 0])
    return Splits(train=np.setdiff1d(np.arange(100), test), test=test), scenes


def test_corrected_validates_on_scenes_of_its_own(nyu_like):
    official, scenes = nyu_like
    roles = frame_roles(RECIPES["corrected"], official, scenes, 0.1)
    assert roles.selection_is_held_out
    assert sorted([*roles.train, *roles.selection]) == sorted(official.train)
    assert not {scenes[i] for i in roles.train} & {scenes[i] for i in roles.selection}
    assert len(roles.selection) == pytest.approx(0.1 * len(official.train), abs=4)


def test_published_selects_on_its_own_training_frames(nyu_like):
    official, scenes = nyu_like
    roles = frame_roles(RECIPES["published"], official, scenes, 0.1)
    assert not roles.selection_is_held_out
    assert roles.train.tolist() == list(range(80))  # round(100 · 1158/1449)
    assert roles.selection.tolist() == list(range(20))


def test_a_single_scene_cannot_be_split_but_two_can():
    scenes = ["a", "a", "b", "b", "c"]
    official = Splits(train=np.array([0, 1, 2, 3]), test=np.array([4]))
    roles = frame_roles(RECIPES["corrected"], official, scenes, 0.5)
    assert len(roles.train) == len(roles.selection) == 2
