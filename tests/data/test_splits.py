"""Splits: neighbours of a video are never on both sides, scenes stay whole, and what is wrong is named."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from zdlib.config import SplitConfig
from zdlib.data.sets.nyu import NYU_FRAMES
from zdlib.data.splits import frame_groups, split_frames
from zdlib.errors import ZDError


@dataclass
class Copy:
    scenes: list[str]
    path: Path = Path("copy")

    @property
    def names(self) -> list[str]:
        return [f"f{i:03d}" for i in range(len(self.scenes))]

    def __len__(self) -> int:
        return len(self.scenes)


def video(count: int) -> Copy:
    return Copy([f"f{i:03d}" for i in range(count)])


@pytest.mark.parametrize("count", [10, 47, 125, 400])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_a_share_of_a_video_is_blocks_with_a_gap_beside_them(count, share):
    split = split_frames(video(count), SplitConfig(share=share))
    assert abs(len(split.test) / count - share) < 0.06
    nearest = np.abs(split.train[:, None] - split.test).min()
    assert nearest > count // 10 // 4
    again = split_frames(video(count), SplitConfig(share=share))
    assert (split.test == again.test).all()
    assert len(split.train) > (1 - share) * count * 0.5


def test_a_share_of_scenes_keeps_them_whole():
    scenes = [f"room_{i // 4}" for i in range(48)]
    split = split_frames(Copy(scenes), SplitConfig(share=0.25))
    held_out, trained = ({scenes[i] for i in part} for part in (split.test, split.train))
    assert len(held_out) == 3
    assert not held_out & trained
    assert len(split.test) + len(split.train) == 48, "between scenes, no gap is needed"


def test_groups_are_scenes_or_else_blocks():
    assert frame_groups(["a", "a", "b"]) == ["a", "a", "b"]
    assert len(set(frame_groups(["a"] * 30))) == 10
    assert len(set(frame_groups(["a", "b", "c"]))) == 3


def test_by_names_of_scenes_and_frames(tmp_path):
    copy = Copy(["hall_1", "hall_1", "hall_2", "kitchen"])
    assert split_frames(copy, SplitConfig(scenes=("hall_*",))).test.tolist() == [0, 1, 2]
    (tmp_path / "held_out.txt").write_text("f003\n\nf001\n")
    split = split_frames(copy, SplitConfig(file=str(tmp_path / "held_out.txt")))
    assert (split.train.tolist(), split.test.tolist()) == ([0, 2], [1, 3])


def test_what_is_wrong_is_named(tmp_path):
    copy = Copy(["hall_1", "hall_1", "kitchen"])
    with pytest.raises(ZDError, match=r"^copy: has no scene kichen: did you mean kitchen\?"):
        split_frames(copy, SplitConfig(scenes=("kichen",)))
    with pytest.raises(ZDError, match=r"^copy: its split leaves none of 3 frames to train: hold out less"):
        split_frames(copy, SplitConfig(scenes=("*",)))
    listed = tmp_path / "held_out.txt"
    with pytest.raises(ZDError, match=r"held_out\.txt: no such file: .*one frame per line"):
        split_frames(copy, SplitConfig(file=str(listed)))
    listed.write_text("f01\n")
    with pytest.raises(ZDError, match=r"held_out\.txt: copy has no frame f01: did you mean f001\?"):
        split_frames(copy, SplitConfig(file=str(listed)))
    listed.write_text("\n")
    with pytest.raises(ZDError, match="leaves none of 3 frames to be held out: hold out more"):
        split_frames(copy, SplitConfig(file=str(listed)))


def test_without_a_split_all_train_and_nyu_has_its_own(tmp_path):
    assert split_frames(video(5), None).train.tolist() == [0, 1, 2, 3, 4]
    split = split_frames(video(NYU_FRAMES), None, official=tmp_path / "nyu.mat")
    assert (len(split.train), len(split.test)) == (795, 654)
    with pytest.raises(ZDError, match=r"splits\.mat: no such file"):
        split_frames(video(7), None, official=tmp_path / "nyu.mat")
