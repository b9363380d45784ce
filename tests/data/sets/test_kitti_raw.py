"""Raw KITTI on a recording whose every number is known by hand."""

import numpy as np
import pytest
import street_trees as trees

from zdlib.data.sequences import ClipReader, PairReader
from zdlib.data.sets.kitti_raw import KittiRawReader
from zdlib.errors import ZDError

SPLIT = f"{trees.DAY}/{trees.DRIVE}"


def listed(folder, *lines):
    path = folder / "files.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_frames_with_annotated_depth(tmp_path):
    tree = trees.kitti_raw(tmp_path)
    reader = KittiRawReader(tmp_path)
    assert reader.names == [f"{trees.DRIVE}_0000000005", f"{trees.DRIVE}_0000000006"]
    assert reader.scenes == [trees.DRIVE] * 2
    sample = reader[1]
    np.testing.assert_array_equal(sample.image, trees.picture(12))
    np.testing.assert_allclose(sample.depth, tree.metres, rtol=1e-6)
    assert sample.intrinsics.tolist() == [[30, 0, 15.25], [0, 30, 11.5], [0, 0, 1]]
    assert sample.labels is None


@pytest.mark.parametrize("place", ["gts/train", "data_depth_annotated/val", "gts"])
def test_annotated_depth_as_its_archive_unpacks(tmp_path, place):
    tree = trees.kitti_raw(tmp_path, annotated=f"{place}/{trees.DRIVE}")
    np.testing.assert_allclose(KittiRawReader(tmp_path)[0].depth, tree.metres, rtol=1e-6)


def test_days_in_a_folder_of_their_own_and_pictures_as_jpeg(tmp_path):
    trees.kitti_raw(tmp_path / "raw")
    for path in (tmp_path / "raw").rglob("image_0?/data/*.png"):
        if "proj_depth" not in path.parts:
            trees_image = path.with_suffix(".jpg")
            path.rename(trees_image)
    reader = KittiRawReader(tmp_path)
    assert len(reader) == 2
    assert reader.clip_targets() == [1]


@pytest.mark.parametrize(("kind", "forward"), [("velodyne", False), ("velodyne_forward", True)])
def test_a_scan_falls_where_the_authors_rule_puts_it(tmp_path, kind, forward):
    trees.kitti_raw(tmp_path)
    reader = KittiRawReader(tmp_path, kitti_depth=kind)
    assert len(reader) == 3, "the last frame is scanned, though not annotated"
    depth = reader[0].depth
    expected = np.zeros((trees.HEIGHT, trees.WIDTH))
    for column, row, metres in sorted(trees.ECHOES, key=lambda echo: -echo[2]):
        ahead = trees.point_seen_at(column + 1, row + 1, metres)[0]
        expected[row, column] = ahead if forward else metres
    np.testing.assert_allclose(depth, expected, rtol=1e-5)


def test_the_right_camera_sees_the_scan_from_its_own_place(tmp_path):
    trees.kitti_raw(tmp_path)
    reader = KittiRawReader(tmp_path, listed(tmp_path, f"{SPLIT} 6 r"), kitti_depth="velodyne")
    sample = reader[0]
    assert sample.name.endswith("_0000000006_r")
    np.testing.assert_array_equal(sample.image, trees.picture(13))
    # An echo at column 20 and 30 m of the left camera moves by f · B / Z = 30 · 0.534 / 30 px.
    assert sample.depth[11, 20] == 0
    assert sample.depth[11, int(np.round(21 - 0.534)) - 1] == pytest.approx(30, rel=1e-5)


def test_a_list_chooses_and_says_what_has_no_depth(tmp_path):
    trees.kitti_raw(tmp_path)
    reader = KittiRawReader(tmp_path, listed(tmp_path, f"{SPLIT} 7 l", f"{SPLIT} 0000000006", ""))
    assert reader.names == [f"{trees.DRIVE}_0000000006"]
    assert reader.without_depth == [f"{trees.DRIVE}_0000000007"]
    everything = KittiRawReader(tmp_path, kitti_depth="none")
    assert len(everything) == 3
    with pytest.raises(ZDError, match="opened without depth"):
        everything[0]


def test_pairs(tmp_path):
    tree = trees.kitti_raw(tmp_path)
    reader = KittiRawReader(tmp_path, kitti_depth="none")
    pair = reader.pair(2)
    assert isinstance(reader, PairReader)
    np.testing.assert_array_equal(pair.left, trees.picture(22))
    np.testing.assert_array_equal(pair.right, trees.picture(23))
    assert pair.baseline == pytest.approx(0.534)
    assert pair.depth is None
    pair = KittiRawReader(tmp_path).pair(0)
    np.testing.assert_allclose(pair.depth, tree.metres, rtol=1e-6)
    measured = tree.metres > 0
    np.testing.assert_allclose(pair.disparity[measured], 30 * 0.534 / tree.metres[measured], rtol=1e-5)


def test_clips_know_their_neighbours(tmp_path):
    trees.kitti_raw(tmp_path)
    reader = KittiRawReader(tmp_path, kitti_depth="none")
    assert isinstance(reader, ClipReader)
    assert reader.clip_targets() == [1]
    assert reader.clip_targets((0, 2)) == [0]
    clip = reader.clip(1)
    np.testing.assert_array_equal(clip.images, np.stack([trees.picture(2), trees.picture(12), trees.picture(22)]))
    np.testing.assert_array_equal(clip.target, trees.picture(12))
    with pytest.raises(ZDError, match=r"0000000008\.png: no such neighbour"):
        reader.clip(2)
    with pytest.raises(ZDError, match="add 0"):
        reader.clip(1, (-1, 1))


def test_poses_are_the_camera_s_not_the_unit_s(tmp_path):
    trees.kitti_raw(tmp_path)
    clip = KittiRawReader(tmp_path, kitti_depth="none").clip(1)
    np.testing.assert_allclose(clip.poses[1], np.eye(4), atol=1e-12)
    # The unit's path on a map, metres: here by plane trigonometry.
    rolled = []
    for yaw in trees.YAW:
        cr, sr, cp, sp, cy, sy = *_cs(0.02), *_cs(-0.01), *_cs(yaw)
        rolled.append(
            np.array(
                [
                    [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
                    [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
                    [-sp, cp * sr, cp * cr],
                ]
            )
        )
    places = [np.zeros(3)]
    for yaw in trees.YAW[:2]:
        places.append(places[-1] + trees.STEP * np.array([np.cos(yaw), np.sin(yaw), 0]))
    rotation, offset = trees.velo_to_cam()

    def to_world(point, moment):
        """A point of the left camera's axes: camera 0, before rectification, scanner, unit, world."""
        local = np.linalg.solve(trees.rectification(), np.asarray(point) - [trees.LEFT, 0, 0])
        local = np.linalg.solve(rotation, local - offset) - (-0.8, 0.3, -0.7)
        return rolled[moment] @ local + places[moment]

    for moment in (0, 2):
        for point in ([0, 0, 0], [1, -2, 9], [-4, 0.5, 30]):
            moved = clip.poses[moment] @ [*point, 1.0]
            np.testing.assert_allclose(to_world(moved[:3], 1), to_world(point, moment), atol=2e-6)


def _cs(angle):
    return np.cos(angle), np.sin(angle)


def test_without_the_unit_there_are_no_poses(tmp_path):
    trees.kitti_raw(tmp_path)
    (tmp_path / trees.DAY / "calib_imu_to_velo.txt").unlink()
    assert KittiRawReader(tmp_path).clip(1).poses is None


def _break(root, kind):
    day = root / trees.DAY
    drive = day / trees.DRIVE
    if kind == "calibration":
        (day / "calib_cam_to_cam.txt").unlink()
        return r"calib_cam_to_cam\.txt: no such file"
    if kind == "line":
        path = day / "calib_cam_to_cam.txt"
        path.write_text(path.read_text().replace("P_rect_03", "P_rect_04"))
        return r"calib_cam_to_cam\.txt: has no line P_rect_03"
    if kind == "numbers":
        path = day / "calib_velo_to_cam.txt"
        path.write_text("R: 1 2 3\nT: 0 0 0\n")
        return r"calib_velo_to_cam\.txt: R is not 3 times 3 numbers"
    if kind == "size":
        trees.save_png(drive / "image_02" / "data" / "0000000005.png", np.zeros((4, 6, 3), np.uint8))
        return r"0000000005\.png: 6×4 pixels, the day's calibration is of 32×24"
    if kind == "scan":
        (drive / "velodyne_points" / "data" / "0000000005.bin").write_bytes(b"12345678")
        return r"0000000005\.bin: 8 bytes, expected four finite float32"
    if kind == "packet":
        (drive / "oxts" / "data" / "0000000006.txt").write_text("49.0 8.4\n")
        return r"0000000006\.txt: expected 30 finite numbers"
    (drive / "image_03" / "data" / "0000000006.png").write_bytes(b"no picture")
    return r"0000000006\.png: not a readable image"


@pytest.mark.parametrize("kind", ["calibration", "line", "numbers", "size", "scan", "packet", "picture"])
def test_broken_recordings_are_one_line(tmp_path, kind):
    trees.kitti_raw(tmp_path)
    message = _break(tmp_path, kind)

    def read_all():
        reader = KittiRawReader(tmp_path, kitti_depth="velodyne")
        for number in range(len(reader)):
            reader[number]
            reader.pair(number)
        reader.clip(1)

    with pytest.raises(ZDError, match=message) as caught:
        read_all()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [f"{SPLIT} five l", f"{SPLIT} 5 x", f"/{SPLIT} 5 l", f"../{SPLIT} 5 l", trees.DRIVE, f"{SPLIT} 5 l l"],
)
def test_a_line_of_another_form_is_refused(tmp_path, line):
    trees.kitti_raw(tmp_path)
    with pytest.raises(ZDError, match=r"files\.txt: line 2 is no 'DAY/DRIVE index l' line"):
        KittiRawReader(tmp_path, listed(tmp_path, f"{SPLIT} 5 l", line))


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(ZDError, match="no such folder"):
        KittiRawReader(tmp_path / "x")
    with pytest.raises(ZDError, match=r"no picture with depth \(proj_depth"):
        KittiRawReader(tmp_path)
    trees.kitti_raw(tmp_path)
    with pytest.raises(ZDError, match=r"0000000099\.png: no such file"):
        KittiRawReader(tmp_path, listed(tmp_path, f"{SPLIT} 99 l"), kitti_depth="none")
    with pytest.raises(ZDError, match=r"names .*0000000005 twice"):
        KittiRawReader(tmp_path, listed(tmp_path, f"{SPLIT} 5 l", f"{SPLIT} 5"))
    assert len(KittiRawReader(tmp_path, listed(tmp_path, f"{SPLIT} 99 l"), "none", complete=False)) == 1
