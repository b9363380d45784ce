import numpy as np
import pytest
import stereo_scenes
import torch

from zdlib.errors import ZDError
from zdlib.losses.stereo import warp_rows
from zdlib.train.sequences.pairs import PairAugmentation, PairSet, pair_reader

READER = stereo_scenes.Pairs(4)
SIZE = (48, 96)


def pairs(**options):
    return PairSet(READER, np.arange(4), options.pop("size", SIZE), seed=3, **options)


def error(left, right, disparity):
    warp = warp_rows(right[None], torch.as_tensor(disparity, dtype=torch.float32)[None, None])
    return ((warp.image - left[None]).abs().mean(1, keepdim=True) * warp.valid).mean().item()


def test_the_true_disparity_explains_the_pair():
    item, pair = pairs()[1], READER.pair(1)
    assert item["index"] == 1
    errors = {k: error(item["image"], item["source"], k * pair.disparity) for k in (0.0, 0.9, 1.0, 1.1)}
    assert min(errors, key=errors.get) == 1.0
    assert errors[0.0] > 3 * errors[1.0]


def test_metres_are_the_focal_length_times_the_baseline_in_widths():
    assert pairs().metres == pytest.approx(60 * 0.5 / 96)
    assert pairs(size=(24, 48)).metres == pytest.approx(60 * 0.5 / 96)


def test_pairs_of_other_cameras_are_refused(monkeypatch):
    reader = stereo_scenes.Pairs(2)
    reader.pairs[1] = stereo_scenes.StereoPair(**{**vars(reader.pairs[1]), "baseline": 0.7})
    with pytest.raises(ZDError, match="pairs of one camera"):
        PairSet(reader, np.arange(2), SIZE, seed=0)


def test_swapped_and_mirrored_disparity_stays_positive():
    item = pairs()[0]
    left, right = PairAugmentation(swap=True).apply(item["image"], item["source"])
    # Rows have one disparity, so the mirrored right picture's is the same.
    true = READER.pair(0).disparity
    assert error(left, right, true) < 0.5 * min(error(left, right, 0 * true), error(left, right, -true))


def test_zoom_enlarges_disparity():
    item = pairs()[0]
    true = READER.pair(0).disparity
    left, right = PairAugmentation(zoom=1.5, place=(0.0, 0.5)).apply(item["image"], item["source"])
    rows = np.clip((np.arange(48) + 0.5) / 1.5 - 0.5, 0, None)
    zoomed = 1.5 * np.stack([np.interp(rows, np.arange(48), true[:, 0])] * 96, 1)
    assert error(left, right, zoomed) < 0.5 * error(left, right, zoomed / 1.5)


def test_colours_change_alike_and_numbers_depend_on_seed_epoch_and_frame_alone():
    one, two = pairs(augmented=lambda epoch: epoch > 1), pairs(augmented=lambda epoch: epoch > 1)
    assert torch.equal(one[2]["image"], pairs()[2]["image"])
    for items in (one, two):
        items.set_epoch(2)
    two[3], two[0]
    assert torch.equal(one[2]["image"], two[2]["image"])
    assert not torch.equal(one[2]["image"], pairs()[2]["image"])
    left, right = PairAugmentation(gains=(0.9, 1.0, 1.1)).apply(torch.full((3, 4, 6), 0.5), torch.full((3, 4, 6), 0.5))
    assert torch.equal(left, right)
    assert left[:, 0, 0].tolist() == pytest.approx([0.45, 0.5, 0.55])


def test_an_epoch_s_items_carry_what_it_says():
    items = pairs(extra=lambda epoch: {"level": epoch})
    items.set_epoch(5)
    assert items[0]["level"] == 5


def test_single_pictures_are_refused():
    frames = stereo_scenes.run_frames([1, 2], [0], [1])
    with pytest.raises(ZDError, match="made up: gives no stereo pairs: name one data set that has them"):
        pair_reader(frames)
