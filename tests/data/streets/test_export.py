"""The embedded streets, written in three layouts and read by the real readers."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from zdlib.apps.command_line import main
from zdlib.config import StreetsConfig, load_profile
from zdlib.data.sets.cityscapes import CityscapesReader
from zdlib.data.sets.kitti_raw import KittiRawReader
from zdlib.data.sets.vkitti2 import VirtualKittiReader
from zdlib.data.streets import export
from zdlib.data.streets.export import chosen_clips, materialise, prepare
from zdlib.data.streets.store import Store, open_store
from zdlib.errors import ZDError
from zdlib.paths import repo_root

K, V = (repo_root() / path for path in StreetsConfig(root="x").stores)
CLIPS = 1  # of each part


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first clip of each part, written."""
    folder = tmp_path_factory.mktemp("streets")
    materialise(StreetsConfig(root=str(folder), clips=CLIPS))
    return folder


@pytest.fixture(scope="module")
def store() -> Store:
    """Streets-K."""
    return open_store(K)


def test_kitti_s_layout_gives_back_what_is_stored(root: Path, store: Store) -> None:
    clips = chosen_clips(store, CLIPS)
    assert [store.splits[clip] for clip in clips] == ["train", "val", "test"]
    dense, sparse = KittiRawReader(root / "kitti"), KittiRawReader(root / "kitti", kitti_depth="velodyne")
    forward = KittiRawReader(root / "kitti", kitti_depth="velodyne_forward")
    assert len(dense) == len(sparse) == 9
    for number in range(9):
        stored = store.frame(clips[number // 3], number % 3)
        sample, pair = dense[number], dense.pair(number)
        np.testing.assert_array_equal(sample.image, stored.left)
        np.testing.assert_array_equal(pair.right, stored.right)
        assert np.abs(sample.depth - stored.depth).max() <= 0.5 / 256 + 1e-5
        assert stored.points is not None
        scanned = store.lidar_depth(stored.points)
        # The authors' rule puts every echo where the simulated scanner has it, at its depth.
        np.testing.assert_allclose(sparse[number].depth, scanned, atol=1e-4)
        behind = -store.scanner_position[2]
        np.testing.assert_allclose(forward[number].depth[scanned > 0], scanned[scanned > 0] + behind, atol=1e-4)
    assert sample.intrinsics is not None
    np.testing.assert_allclose(sample.intrinsics, store.intrinsics, atol=1e-9)
    assert pair.baseline == pytest.approx(0.54)


def test_kitti_s_poses_are_those_of_the_store(root: Path, store: Store) -> None:
    reader = KittiRawReader(root / "kitti", kitti_depth="none")
    assert reader.clip_targets() == [1, 4, 7]
    for number, clip in zip(reader.clip_targets(), chosen_clips(store, CLIPS), strict=True):
        stored = np.stack([store.frame(clip, moment).pose for moment in range(3)])
        np.testing.assert_allclose(reader.clip(number).poses, np.linalg.inv(stored[1]) @ stored, atol=1e-6)


def test_each_list_has_its_part(root: Path) -> None:
    names = {part: KittiRawReader(root / "kitti", root / f"kitti/splits/{part}_files.txt").scenes for part in PARTS}
    assert {part: set(scenes) for part, scenes in names.items()} == {
        "train": {"2026_11_26_drive_1000_sync"},
        "val": {"2026_11_26_drive_2000_sync"},
        "test": {"2026_11_26_drive_3000_sync"},
    }


PARTS = ("train", "val", "test")


def test_cityscapes_layout_gives_back_what_is_stored(root: Path, store: Store) -> None:
    for part, clip in zip(PARTS, chosen_clips(store, CLIPS), strict=True):
        reader = CityscapesReader(root / "cityscapes", part)
        assert len(reader) == 1
        stored, sample = store.frame(clip, 1), reader[0]
        np.testing.assert_array_equal(sample.image, stored.left)
        np.testing.assert_array_equal(sample.labels, stored.labels)
        np.testing.assert_array_equal(reader.pair(0).right, stored.right)
        np.testing.assert_array_equal(sample.depth > 0, (stored.depth > 0) & ~stored.occluded)
        disparity = reader.pair(0).disparity
        assert disparity is not None
        seen = sample.depth > 0
        np.testing.assert_allclose(disparity[seen], 130.504 / stored.depth[seen], atol=0.5 / 256 + 1e-3)
        middle = [store.frame(clip, moment).left for moment in range(3)]
        assert reader.clip_targets() == [0]
        np.testing.assert_array_equal(reader.clip(0).images, np.stack(middle))
    camera = json.loads(next((root / "cityscapes").rglob("*_camera.json")).read_text())
    assert camera["extrinsic"]["z"] == pytest.approx(1.65)


def test_virtual_kitti_s_layout_gives_back_what_is_stored(root: Path) -> None:
    store, reader = open_store(V), VirtualKittiReader(root / "vkitti2")
    assert len(reader) == CLIPS
    stored, sample = store.frame(0), reader[0]
    np.testing.assert_array_equal(sample.image, stored.left)
    assert np.abs(sample.depth - stored.depth).max() <= 0.005 + 1e-4
    np.testing.assert_array_equal(sample.intrinsics, store.intrinsics)
    assert next((root / "vkitti2").rglob("rgb_00000.jpg")).read_bytes() == store.jpeg(0)


def test_what_is_there_is_not_written_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[StreetsConfig] = []
    monkeypatch.setattr(export, "materialise", written.append)
    mark = root / "written.json"
    os.utime(mark, (0, 0))
    prepare(StreetsConfig(root=str(root), clips=CLIPS))
    assert written == []
    assert mark.stat().st_mtime > 0, "but it is said anew that it is there"
    more = StreetsConfig(root=str(root), clips=CLIPS + 1)
    prepare(more)
    assert written == [more]
    before = (root / "written.json").read_text()
    (root / "written.json").write_text("{")
    prepare(StreetsConfig(root=str(root), clips=CLIPS))
    assert len(written) == 2, "half a mark is none"
    (root / "written.json").write_text(before)


def test_only_who_reads_the_streets_has_them_written(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[StreetsConfig] = []
    monkeypatch.setattr(export, "prepare", written.append)
    for name in ("demo", "streets"):
        export.prepare_what_is_read(load_profile(name).data)
    assert written == [load_profile("streets").data.streets]


def test_the_command_checks_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "streets", str(tmp_path), "--clips", "1"]) == 0
    assert main(["data", "check", "kitti_raw", str(tmp_path / "kitti")]) == 0
    assert "defects  none" in capsys.readouterr().out
    assert main(["data", "streets", str(tmp_path), "--clips", "0"]) == 1


def test_a_missing_store_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ZDError, match=r"streets_k\.h5: no such file: restore data/streets"):
        prepare(StreetsConfig(source=tmp_path, root=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()
