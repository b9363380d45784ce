import time

import numpy as np
import pytest
import rgbd

from zdlib.train.augmentation import Augmentation


def frame(height=24, width=32, seed=0):
    image, depth, labels = rgbd.scene(height, width, seed)
    return image, depth, (labels % 14).astype(np.uint8)


def test_no_augmentation_changes_nothing():
    image, depth, labels = frame()
    moved = Augmentation().move((image, depth, labels))
    assert all(np.array_equal(a, b) for a, b in zip(moved, (image, depth, labels), strict=True))
    assert np.array_equal(Augmentation().colour(image), (image / 255).astype(np.float32).transpose(2, 0, 1))


def test_the_mirror_acts_on_all_three():
    before = frame()
    for a, b in zip(before, Augmentation(flip=True).move(before), strict=True):
        assert np.array_equal(a[:, ::-1], b)


def test_rotation_moves_all_three_together_and_leaves_zeros_outside():
    # Depth and labels are functions of the image, so they must still be after a rotation, away from edges.
    height, width = 60, 80
    step = np.where(np.arange(width) < 40, 50, 200).astype(np.uint8)
    image = np.repeat(np.repeat(step[None, :, None], height, 0), 3, 2)
    depth = image[..., 0] / np.float32(50)
    labels = (image[..., 0] // 50).astype(np.uint8)
    image2, depth2, labels2 = Augmentation(degrees=10.0).move((image, depth, labels))
    red = image2[..., 0]
    pure = (red == 50) | (red == 200)
    assert pure.mean() > 0.8
    assert np.array_equal(depth2[pure], red[pure] / np.float32(50))
    assert np.array_equal(labels2[pure], red[pure] // 50)
    assert set(np.unique(depth2)) == {0, 1, 4}  # nearest: no invented depth
    assert set(np.unique(labels2)) == {0, 1, 4}
    assert depth2[0, 0] == labels2[0, 0] == 0
    assert not image2[0, 0].any()
    # Counter-clockwise: the upper end of the step moves left.
    assert np.argmax(depth2[10] == 4) < np.argmax(depth2[50] == 4)


def test_colour_is_gamma_then_gains_then_clip():
    image = frame()[0]
    got = Augmentation(gamma=1.1, gains=(1.3, 0.8, 1.0)).colour(image)
    expected = np.clip((image / 255) ** 1.1 * np.array([1.3, 0.8, 1.0]), 0, 1)
    assert got.dtype == np.float32
    assert np.allclose(got, expected.transpose(2, 0, 1), atol=1e-6)
    assert got.max() == 1


def test_the_numbers_drawn_have_the_published_ranges():
    rng = np.random.default_rng(0)
    drawn = [Augmentation.draw(rng) for _ in range(4000)]
    degrees = np.array([a.degrees for a in drawn])
    assert -1 <= degrees.min() < -0.99
    assert 0.99 < degrees.max() <= 1
    assert np.mean([a.flip for a in drawn]) == pytest.approx(0.5, abs=0.03)
    coloured = [a for a in drawn if a.gamma != 1]
    assert len(coloured) / len(drawn) == pytest.approx(0.5, abs=0.03)
    assert all(a.gains == (1, 1, 1) for a in drawn if a.gamma == 1)
    gammas = np.array([a.gamma for a in coloured])
    assert (gammas.min(), gammas.max()) == (pytest.approx(0.9, abs=0.005), pytest.approx(1.1, abs=0.005))
    gains = np.array([a.gains for a in coloured])
    assert 0.75 * 0.9 <= gains.min() < 0.72
    assert 1.32 < gains.max() <= 1.25 * 1.1
    ratio = gains[:, 0] / gains[:, 1]
    assert 0.9 / 1.1 <= ratio.min() < 0.85
    assert 1.15 < ratio.max() <= 1.1 / 0.9


def test_it_is_fast_enough_for_one_core():
    before = frame(240, 320)
    augmentation = Augmentation(0.7, True, 1.05, (1.1, 0.9, 1.0))
    best = np.inf
    for _ in range(20):
        start = time.process_time()
        image, _, _ = augmentation.move(before)
        augmentation.colour(image)
        best = min(best, time.process_time() - start)
    assert best < 0.006  # 2.5 ms measured; processor time, so that other processes count for little
