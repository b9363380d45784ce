"""Readers joined and resized."""

from pathlib import Path

import numpy as np
import pytest
import rgbd

from zdlib.data.collection import Joined, Resized
from zdlib.data.sample import Frames, Sample
from zdlib.errors import ZDError


def frame(seed, size=(24, 32)):
    camera = np.array([[30.0, 0, 15.5], [0, 30.0, 11.5], [0, 0, 1]])
    image, depth, labels = rgbd.scene(*size, seed=seed)
    return Sample(f"frame_{seed}", image, depth, (labels % 14).astype(np.uint8), intrinsics=camera)


class Made(Frames):
    def __init__(self, seeds, size=(24, 32)):
        self.seeds, self.size = seeds, size
        self.path = Path("made")
        self.names = [f"frame_{seed}" for seed in seeds]
        self.scenes = [f"scene_{seed}" for seed in seeds]

    def __getitem__(self, index):
        return frame(self.seeds[index], self.size)


def test_joined_readers_follow_each_other():
    joined = Joined([Made([0, 1]), Made([2]), Made([3, 4])])
    assert joined.offsets == [0, 2, 3]
    assert joined.names == [f"frame_{i}" for i in range(5)]
    assert joined.scenes[2] == "scene_2"
    for index, sample in enumerate(joined):
        np.testing.assert_array_equal(sample.image, frame(index).image)
    with pytest.raises(ZDError, match="made"):
        joined[5]


@pytest.mark.parametrize("size", [(12, 16), (48, 64), (20, 33)])
def test_resized_depth_is_never_mixed(size):
    before, sample = Made([0])[0], Resized(Made([0]), size)[0]
    assert sample.image.shape == (*size, 3)
    assert sample.depth.shape == sample.labels.shape == size
    assert set(np.unique(sample.depth)) <= set(np.unique(before.depth))
    assert set(np.unique(sample.labels)) <= set(np.unique(before.labels))


def test_half_the_size_takes_every_second_pixel_and_half_the_focal_length():
    before, sample = Made([0])[0], Resized(Made([0]), (12, 16))[0]
    np.testing.assert_array_equal(sample.depth, before.depth[1::2, 1::2])
    # The principal point stays in the middle: of 32 pixels at 15.5, of 16 at 7.5.
    np.testing.assert_allclose(sample.intrinsics, [[15, 0, 7.5], [0, 15, 5.5], [0, 0, 1]])


def test_the_same_size_changes_nothing():
    np.testing.assert_array_equal(Resized(Made([0]), (24, 32))[0].image, Made([0])[0].image)
