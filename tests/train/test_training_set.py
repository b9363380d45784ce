import numpy as np
import pytest
import rgbd
import torch
from torch.utils.data import DataLoader

from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.recipes import RECIPES
from zdlib.train.training_set import TrainingSet

CORRECTED, PUBLISHED = RECIPES["corrected"], RECIPES["published"]


def sample(seed, **changes):
    image, depth, labels = rgbd.scene(seed=seed)
    fields = {"name": f"nyu_{seed:04d}", "image": image, "depth": depth, "labels": (labels % 14).astype(np.uint8)}
    return Sample(**(fields | changes))


READER = [sample(i) for i in range(6)]
INDICES = np.array([4, 1, 3])


def test_an_item_without_augmentation_is_the_frame():
    item = TrainingSet(READER, INDICES, CORRECTED, augment=False, seed=0)[1]
    assert item["index"] == 1
    assert {key: (value.dtype, tuple(value.shape)) for key, value in item.items() if key != "index"} == {
        "image": (torch.float32, (3, 24, 32)),
        "depth": (torch.float32, (1, 24, 32)),
        "mask": (torch.bool, (1, 24, 32)),
        "labels": (torch.int64, (24, 32)),
    }
    assert np.allclose(item["image"].numpy(), READER[1].image.transpose(2, 0, 1) / 255)
    assert np.array_equal(item["depth"][0].numpy(), READER[1].depth)
    assert np.array_equal(item["labels"].numpy(), READER[1].labels)
    assert item["mask"].all()


@pytest.mark.parametrize(
    ("recipe", "valid"),
    [
        (CORRECTED, [False, False, True, True, True, False, False]),
        # Kilometres: nothing nearer than a metre, and no far limit before 10 km.
        (PUBLISHED, [False, False, False, False, True, True, True]),
    ],
)
def test_the_mask_is_the_recipes_open_interval(recipe, valid):
    depth = np.tile(np.array([0, 0.0005, 0.5, 0.999, 5, 10.5, 60], np.float32), (7, 1))
    image = np.zeros((7, 7, 3), np.uint8)
    item = TrainingSet([sample(0, image=image, depth=depth, labels=None)], np.array([0]), recipe, False, 0)[0]
    assert item["mask"][0, 0].tolist() == valid
    assert np.allclose(item["depth"][0].numpy() * recipe.metres_per_unit, depth)
    assert not item["labels"].any()


def test_the_range_ends_are_excluded():
    recipe = CORRECTED.model_copy(update={"min_depth": 0.5, "max_depth": 10.0})
    depth = np.array([[0.5, 0.75], [10.0, 9.5]], np.float32)
    item = TrainingSet(
        [sample(0, image=np.zeros((2, 2, 3), np.uint8), depth=depth, labels=None)], np.array([0]), recipe, False, 0
    )[0]
    assert item["mask"][0].tolist() == [[False, True], [False, True]]


def test_the_originals_swapped_resize_squeezes_the_image_alone():
    image = np.zeros((24, 32, 3), np.uint8)
    image[:, :, 0] = np.arange(32) * 8  # grows to the right
    image[:, :, 1] = np.arange(24)[:, None] * 10  # grows downwards
    item = TrainingSet([sample(0, image=image)], np.array([0]), PUBLISHED, augment=False, seed=0)[0]
    assert item["image"].shape == (3, 32, 24)
    assert item["depth"].shape == (1, 24, 32)
    assert item["labels"].shape == (24, 32)
    # Bilinear with pixel centres at halves and no antialiasing: column j of 24 reads at 4/3 (j + 1/2) - 1/2.
    columns = (np.arange(24) + 0.5) * 32 / 24 - 0.5
    assert np.allclose(item["image"][0, 5].numpy(), columns * 8 / 255, atol=1e-5)
    rows = np.clip((np.arange(32) + 0.5) * 24 / 32 - 0.5, 0, 23)
    assert np.allclose(item["image"][1, :, 3].numpy(), rows * 10 / 255, atol=1e-5)


def everything(dataset, epoch, **loader):
    dataset.set_epoch(epoch)
    batches = DataLoader(dataset, batch_size=1, **loader)
    return {int(batch["index"]): {k: v[0].clone() for k, v in batch.items()} for batch in batches}


def same(first, second):
    return all(torch.equal(first[key][name], second[key][name]) for key in first for name in first[key])


def test_random_numbers_depend_on_seed_epoch_and_frame_only():
    make = lambda indices, seed=7: TrainingSet(READER, np.array(indices), CORRECTED, augment=True, seed=seed)  # noqa: E731
    reference = everything(make([4, 1, 3]), 2)
    assert same(reference, everything(make([3, 4, 1]), 2))
    assert same(reference, everything(make([4, 1, 3]), 2, num_workers=2))
    for other in (everything(make([4, 1, 3]), 3), everything(make([4, 1, 3], seed=8), 2)):
        assert not any(torch.equal(reference[i]["image"], other[i]["image"]) for i in reference)
    angles = {float(reference[i]["depth"].sum()) for i in reference}
    assert len(angles) == 3


def test_augmentation_leaves_the_frames_in_memory_alone():
    dataset = TrainingSet(READER, INDICES, CORRECTED, augment=True, seed=0)
    before = [np.array(READER[i].image) for i in INDICES]
    for epoch in range(3):
        everything(dataset, epoch)
    plain = TrainingSet(READER, INDICES, CORRECTED, augment=False, seed=0)
    assert all(np.allclose(plain[i]["image"].numpy(), image.transpose(2, 0, 1) / 255) for i, image in enumerate(before))


def test_frames_that_cannot_be_trained_on_are_named():
    small = sample(1, image=np.zeros((2, 2, 3), np.uint8), depth=np.ones((2, 2), np.float32), labels=None)
    with pytest.raises(ZDError, match=r"nyu_0001: \(2, 2\) pixels"):
        TrainingSet([READER[0], small], np.array([0, 1]), CORRECTED, False, 0)
    near = sample(3, depth=np.full((24, 32), 0.9, np.float32))
    with pytest.raises(ZDError, match="nyu_0003: no depth between 1 and 10000 m"):
        TrainingSet([near], np.array([0]), PUBLISHED, False, 0)
