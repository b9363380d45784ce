from pathlib import Path

import numpy as np
import pytest
import torch

from zdlib.cameras import back_project, pose_matrix, project
from zdlib.data.collection import Joined
from zdlib.data.sample import Frames, Sample
from zdlib.data.sequences import Clip
from zdlib.errors import ZDError
from zdlib.train.sequences.clips import (
    ClipSet,
    ColourJitter,
    Place,
    mirrored_intrinsics,
    places,
    resized_intrinsics,
)
from zdlib.train.split import FrameRoles, RunFrames, UsedSet

SIZE = (24, 48)
INTRINSICS = np.array([[30.0, 0, 21.5], [0, 30.0, 11.5], [0, 0, 1]])


class Drive(Frames[Sample]):
    """Five frames with noise for pictures; the middle ones have neighbours."""

    def __init__(self, labelled=False):
        rng = np.random.default_rng(0)
        self.images = rng.integers(0, 255, (5, *SIZE, 3), dtype=np.uint8)
        self.labelled = labelled
        self.path, self.names, self.scenes = Path("drive"), [f"{i}" for i in range(5)], ["one"] * 5

    def __getitem__(self, index):
        labels = np.full(SIZE, index, np.uint8) if self.labelled else None
        return Sample(f"{index}", self.images[index], np.ones(SIZE, np.float32), labels)

    def clip(self, index, offsets=(-1, 0, 1)):
        return Clip(f"{index}", self.images[[index + o for o in offsets]], tuple(offsets), INTRINSICS)

    def clip_targets(self, offsets=(-1, 0, 1)):
        return [1, 2, 3]


def run_frames():
    drives = [Drive(), Drive(labelled=True)]
    numbers = np.arange(10)
    used = (UsedSet("kitti_raw", "a", "drives", 5), UsedSet("cityscapes", "b", "stills", 5))
    return RunFrames(Joined(drives), FrameRoles(numbers, numbers, True), Path("made up"), used)


def clip_set(**options):
    frames = run_frames()
    clips = places(frames, frames.roles.train, ["kitti_raw"], clips=True)
    stills = places(frames, frames.roles.train, ["cityscapes"], clips=False)
    return ClipSet(clips, stills, options.pop("size", SIZE), options.pop("augment", False), seed=1, **options)


def test_frames_with_neighbours_are_clips_and_those_of_the_other_set_stills():
    frames = run_frames()
    clips = places(frames, frames.roles.train, ["kitti_raw"], clips=True)
    stills = places(frames, frames.roles.train, ["cityscapes"], clips=False)
    assert [(place.number, place.index) for place in clips] == [(1, 1), (2, 2), (3, 3)]
    assert [(place.number, place.index) for place in stills] == [(i, i + 5) for i in range(5)]
    with pytest.raises(ZDError, match="no set of nyu has a labelled frame here"):
        places(frames, frames.roles.train, ["nyu"], clips=False)


def test_an_item_is_a_clip_and_a_still_as_they_are():
    item = clip_set()[1]
    drive = Drive()
    for offset, name in enumerate(("before", "image", "after")):
        picture = torch.from_numpy(drive.images[1 + offset]).permute(2, 0, 1).float() / 255
        assert torch.equal(item[name], picture)
        assert torch.equal(item["seen" if name == "image" else f"seen_{name}"], picture)
    assert item["index"] == 2
    assert np.array_equal(item["intrinsics"], INTRINSICS.astype(np.float32))
    assert (item["labels"] == 1).all()
    assert item["still"].shape == (3, *SIZE)


def test_random_numbers_depend_on_seed_epoch_and_frame_alone():
    one, two = clip_set(augment=True), clip_set(augment=True)
    for items in (one, two):
        items.set_epoch(4)
    two[2], two[0]
    for key, value in one[1].items():
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(two[1][key])), key
    seen = []
    for epoch in range(1, 9):
        one.set_epoch(epoch)
        seen.append(one[1])
    assert len({item["labels"].float().mean().item() for item in seen}) > 1  # another still in other epochs
    assert any(torch.equal(item["seen"], item["image"]) for item in seen)
    assert not all(torch.equal(item["seen"], item["image"]) for item in seen)
    assert len({float(item["intrinsics"][0, 2]) for item in seen}) == 2  # mirrored, and not


def test_intrinsics_follow_the_resize_and_the_mirror():
    """A point's pixel in the small or mirrored picture is the moved pixel of the large one."""
    depth = torch.full((1, 1, *SIZE), 3.0, dtype=torch.float64)
    pose = pose_matrix(torch.tensor([[0.01, 0.02, 0.0]]).double(), torch.tensor([[0.2, 0.0, 0.1]]).double())

    def seen(matrix):
        k = torch.from_numpy(matrix)[None]
        return project(back_project(depth, torch.linalg.inv(k)), k, pose)[0]

    full = seen(INTRINSICS)[0, :, 4, 6]
    half = resized_intrinsics(INTRINSICS, SIZE, (SIZE[0] // 2, SIZE[1] // 2))
    k = torch.from_numpy(half)
    ray = torch.linalg.inv(torch.from_numpy(INTRINSICS)) @ torch.tensor([6.0, 4, 1]).double() * 3
    moved = pose[0, :3, :3] @ ray + pose[0, :3, 3]
    small = (k @ moved)[:2] / (k @ moved)[2]
    assert torch.allclose((small + 0.5) * 2 - 0.5, full, atol=1e-5)
    mirrored = torch.from_numpy(mirrored_intrinsics(INTRINSICS, SIZE[1]))
    flipped = moved * torch.tensor([-1.0, 1, 1])
    at = (mirrored @ flipped)[:2] / (mirrored @ flipped)[2]
    assert torch.allclose(torch.stack([SIZE[1] - 1 - at[0], at[1]]), full, atol=1e-5)


def test_colours_of_a_clip_change_alike():
    images = torch.rand(1, 3, 4, 5).expand(3, 3, 4, 5)
    changed = ColourJitter(1.1, 0.9, 1.2, 0.05)(images)
    assert torch.equal(changed[0], changed[2])
    assert not torch.allclose(changed, images)
    assert torch.equal(ColourJitter()(images), images)
    grey = torch.full((1, 3, 2, 2), 0.4)
    assert torch.allclose(ColourJitter(hue=0.1)(grey), grey, atol=1e-3)  # grey has no hue


def test_a_still_without_labels_is_named():
    items = ClipSet([Place(Drive(), 1, 1)], [Place(Drive(), 0, 0)], SIZE, augment=False, seed=0)
    with pytest.raises(ZDError, match="has no labels: name labelled sets in options"):
        items[0]
