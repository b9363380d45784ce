import numpy as np
import pytest
import trees

from zdlib.data.sets.hypersim import SPLIT, HyperSimReader, planar_depth
from zdlib.errors import ZDError

HEADER = "scene_name,camera_name,frame_id,included_in_public_release,exclude_reason,split_partition_name\n"


def test_a_point_s_distance_becomes_its_depth():
    """Points of a camera at the origin, seen through pixel centres of 1024×768."""
    distance = np.ones((768, 1024), np.float32)
    expected = {}
    for row, column, depth in ((0, 0, 2.5), (383, 512, 4.0), (767, 1000, 60.0)):
        point = depth * np.array([(column + 0.5 - 512) / 886.81, (row + 0.5 - 384) / 886.81, 1])
        distance[row, column] = np.linalg.norm(point)
        expected[row, column] = depth
    planar = planar_depth(distance)
    assert planar.dtype == np.float32
    assert {key: planar[key] for key in expected} == pytest.approx(expected, rel=1e-6)


def test_names_scene_and_camera(tmp_path):
    trees.hypersim(tmp_path)
    reader = HyperSimReader(tmp_path)
    assert reader.names == ["ai_001_010_cam_00_0000", "ai_001_010_cam_00_0007"]
    sample = reader[0]
    assert sample.scene == "ai_001_010"
    assert sample.depth[100:110, 200:220].max() == 0
    assert sample.intrinsics.tolist() == [[886.81, 0, 511.5], [0, 886.81, 383.5], [0, 0, 1]]


def test_the_split_chooses_public_test_frames(tmp_path):
    trees.hypersim(tmp_path)
    (tmp_path / SPLIT).write_text(
        HEADER
        + "ai_001_001,cam_00,0,True,,train\n"
        + "ai_001_010,cam_00,0,False,image quality,\n"
        + "ai_001_010,cam_00,7,True,,test\n"
    )
    assert HyperSimReader(tmp_path).names == ["ai_001_010_cam_00_0007"]
    (tmp_path / SPLIT).write_text(HEADER + "ai_009_009,cam_01,12,True,,test\n")
    with pytest.raises(
        ZDError, match=r"ai_009_009/images/scene_cam_01_final_preview/frame\.0012\.tonemap\.jpg: no such"
    ):
        HyperSimReader(tmp_path)


@pytest.mark.parametrize("content", ["scene_name\nai_001_001\n", HEADER + "a,b,c,True,,test\n", "\x00"])
def test_a_broken_split_is_one_line(tmp_path, content):
    trees.hypersim(tmp_path)
    (tmp_path / SPLIT).write_text(content)
    with pytest.raises(ZDError, match=r"metadata_images_split_scene_v1\.csv: not the authors' list|no frame found"):
        HyperSimReader(tmp_path)


def test_another_size_or_key_is_refused(tmp_path):
    tree = trees.hypersim(tmp_path)
    tree.depth.unlink()
    trees.save_hdf5(tree.depth, np.ones((480, 640), np.float16))
    with pytest.raises(ZDError, match=r"dataset is float16 \(480, 640\), expected .*focal length"):
        HyperSimReader(tmp_path)[0]
    with trees.h5py.File(tree.depth, "w") as file:
        file["depth"] = np.ones((768, 1024), np.float16)
    with pytest.raises(ZDError, match=r"key 'dataset' is missing \(has: depth\)"):
        HyperSimReader(tmp_path)[0]
