from pathlib import Path

import numpy as np
import pytest
import rgbd
from PIL import Image

from zdlib.data.sets.folder import FolderReader
from zdlib.errors import ZDError

# Two real frames of ZoeDepth's NYU training list (120×90 pixels of each).
REAL = Path(__file__).parents[2] / "golden" / "nyu_frames"
REAL_RANGES = [(2.942, 3.333, 3.675), (3.394, 4.780, 7.894)]  # minimum, median, maximum in metres


def write(image_path, depth_path, seed=0, units=None):
    image, depth, _ = rgbd.scene(seed=seed)
    image_path.parent.mkdir(parents=True, exist_ok=True)
    depth_path.parent.mkdir(parents=True, exist_ok=True)
    units = np.rint(depth * 1000).astype(np.uint16) if units is None else units
    Image.fromarray(image).save(image_path)
    Image.fromarray(units).save(depth_path)
    return image, units


def test_real_nyu_frames_are_read_in_metres():
    reader = FolderReader(REAL)
    assert reader.names == ["rgb_00000", "rgb_00050"]
    for sample, low, median, high in zip(reader, *zip(*REAL_RANGES, strict=True), strict=True):
        assert sample.image.shape == (90, 120, 3)
        valid = sample.depth[sample.depth > 0]
        assert valid.min() == pytest.approx(low, abs=1e-6)
        assert np.median(valid) == pytest.approx(median, abs=1e-6)
        assert valid.max() == pytest.approx(high, abs=1e-6)
        assert sample.labels is None
        assert sample.scene == sample.name
        assert sample.scene_type == ""


def test_a_list_names_pairs_and_scenes(tmp_path):
    first = write(tmp_path / "kitchen_0028b" / "rgb_00045.png", tmp_path / "kitchen_0028b" / "sync_depth_00045.png")
    write(tmp_path / "bedroom_0129" / "rgb_00001.png", tmp_path / "bedroom_0129" / "sync_depth_00001.png", seed=1)
    names = tmp_path / "files.txt"
    names.write_text(
        "/kitchen_0028b/rgb_00045.png /kitchen_0028b/sync_depth_00045.png 518.8579\n\n"
        "bedroom_0129/rgb_00001.png bedroom_0129/sync_depth_00001.png\n"
    )
    reader = FolderReader(tmp_path, names)
    assert reader.names == ["kitchen_0028b_rgb_00045", "bedroom_0129_rgb_00001"]
    sample = reader[0]
    assert (sample.scene, sample.scene_type) == ("kitchen_0028b", "kitchen")
    assert reader[1].scene_type == "bedroom"
    assert np.array_equal(sample.image, first[0])
    assert np.allclose(sample.depth, first[1] / 1000)
    # Without the list, the same pairs in alphabetical order.
    assert FolderReader(tmp_path).names == reader.names[::-1]


def test_two_folders_are_paired_by_stem(tmp_path):
    write(tmp_path / "rgb" / "b.png", tmp_path / "depth" / "b.png", seed=1)
    write(tmp_path / "rgb" / "hall" / "a.png", tmp_path / "depth" / "hall" / "a.png")
    reader = FolderReader(tmp_path, metres_per_unit=0.0002)
    assert reader.names == ["b", "hall_a"]
    assert reader.scenes == ["b", "hall"]
    assert reader[1].depth.max() == pytest.approx(rgbd.scene()[1].max() / 5, abs=0.001)
    (tmp_path / "rgb").rename(tmp_path / "colour")
    (tmp_path / "depth").rename(tmp_path / "z")
    assert FolderReader(tmp_path, image_folder="colour", depth_folder="z").names == ["b", "hall_a"]


def test_grey_images_become_rgb(tmp_path):
    write(tmp_path / "rgb" / "a.png", tmp_path / "depth" / "a.png")
    Image.fromarray(np.full((24, 32), 7, np.uint8)).save(tmp_path / "rgb" / "a.png")
    assert (FolderReader(tmp_path)[0].image == 7).all()
    assert FolderReader(tmp_path)[0].image.shape == (24, 32, 3)


def test_an_image_without_depth_is_named(tmp_path):
    write(tmp_path / "rgb" / "a.png", tmp_path / "depth" / "a.png")
    (tmp_path / "depth" / "a.png").rename(tmp_path / "depth" / "b.png")
    with pytest.raises(ZDError, match=r"rgb/a\.png: has no depth map \(.*depth/a\.png is missing\)"):
        FolderReader(tmp_path)
    numbered = tmp_path / "numbered"
    write(numbered / "rgb_01.png", numbered / "sync_depth_02.png")
    with pytest.raises(ZDError, match=r"rgb_01\.png: has no depth map \(.*sync_depth_01\.png is missing\)"):
        FolderReader(numbered)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rgb_01.png", "line 1 names one file"),
        ("rgb_01.png None 518.8", r"None: no such file, but line 1 of .*files\.txt"),
        ("absent.png sync_depth_01.png", r"absent\.png: no such file"),
        ("", r"files\.txt: no image found"),
    ],
)
def test_a_wrong_list_is_one_line(tmp_path, line, message):
    write(tmp_path / "rgb_01.png", tmp_path / "sync_depth_01.png")
    (tmp_path / "files.txt").write_text(line)
    with pytest.raises(ZDError, match=message):
        FolderReader(tmp_path, tmp_path / "files.txt")
    with pytest.raises(ZDError, match=r"missing\.txt: no such file"):
        FolderReader(tmp_path, tmp_path / "missing.txt")


def test_empty_and_missing_folders(tmp_path):
    with pytest.raises(ZDError, match="no image found"):
        FolderReader(tmp_path)
    with pytest.raises(ZDError, match="no such folder"):
        FolderReader(tmp_path / "absent")


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (np.ones((24, 32), np.uint8), "uint8 with 2 axes, expected a grey 16-bit PNG"),
        (np.ones((24, 32, 3), np.uint8), "uint8 with 3 axes"),
        (np.ones((12, 16), np.uint16), r"16×12 pixels, a\.png has 32×24"),
        (np.zeros((24, 32), np.uint16), "no valid pixel"),
    ],
)
def test_a_wrong_depth_map_is_one_line(tmp_path, units, message):
    write(tmp_path / "rgb" / "a.png", tmp_path / "depth" / "a.png", units=units)
    with pytest.raises(ZDError, match=message) as caught:
        FolderReader(tmp_path)[0]
    assert "depth/a.png: " in str(caught.value)


@pytest.mark.parametrize("which", ["rgb", "depth"])
def test_a_damaged_file_is_one_line(tmp_path, which):
    write(tmp_path / "rgb" / "a.png", tmp_path / "depth" / "a.png")
    path = tmp_path / which / "a.png"
    for content in (b"", b"<html>", path.read_bytes()[:60]):
        path.write_bytes(content)
        with pytest.raises(ZDError, match=rf"{which}/a\.png: not a readable image"):
            FolderReader(tmp_path)[0]


def test_a_frame_outside_is_refused():
    with pytest.raises(ZDError, match=r"frame 2 is outside 0\.\.1"):
        FolderReader(REAL)[2]
