import numpy as np
import pytest
import trees

from zdlib.data.sets.vkitti2 import VirtualKittiReader
from zdlib.errors import ZDError


def test_the_left_camera_only(tmp_path):
    trees.vkitti2(tmp_path)
    reader = VirtualKittiReader(tmp_path)
    assert reader.names == ["Scene01_clone_00000", "Scene01_clone_00001"]
    sample = reader[0]
    assert sample.scene == "Scene01"
    assert sample.intrinsics.tolist() == [[725.0087, 0, 620.5], [0, 725.0087, 187], [0, 0, 1]]


def test_a_camera_of_its_own(tmp_path):
    trees.vkitti2(tmp_path)
    texts = tmp_path / "textgt" / "Scene01" / "clone"
    texts.mkdir(parents=True)
    path = texts / "intrinsic.txt"
    path.write_text("frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]\n0 0 20.5 21 15.5 11.5\n0 1 9 9 9 9\n1 0 30 31 15 11\n")
    reader = VirtualKittiReader(tmp_path)
    assert reader[0].intrinsics.tolist() == [[20.5, 0, 15.5], [0, 21, 11.5], [0, 0, 1]]
    assert reader[1].intrinsics[0, 0] == 30
    for content, message in (("a\n0 0 20.5 x 15.5 11.5\n", "is no 'frame camera"), ("a\n", "no line for frame 0")):
        path.write_text(content)
        with pytest.raises(ZDError, match=rf"intrinsic\.txt: .*{message}"):
            VirtualKittiReader(tmp_path)[0]


def test_the_sky_has_no_depth_and_the_farthest_hill_has(tmp_path):
    trees.vkitti2(tmp_path)
    depth = VirtualKittiReader(tmp_path)[0].depth
    assert (depth[2, :8] == 0).all()
    assert depth[3, :8].tolist() == pytest.approx([655.33] * 8)


def test_both_archives_in_one_folder(tmp_path):
    tree = trees.vkitti2(tmp_path / "two")
    one = tmp_path / "one"
    (tmp_path / "two" / "rgb").rename(one)
    (tmp_path / "two" / "depth" / "Scene01" / "clone" / "frames" / "depth").rename(
        one / "Scene01" / "clone" / "frames" / "depth"
    )
    np.testing.assert_allclose(VirtualKittiReader(one)[1].depth, tree.metres, rtol=1e-6)


@pytest.mark.parametrize("prefix", ["/mnt/disk/vkitti2/rgb/", "", "D:\\vkitti2\\rgb\\"])
def test_zoedepth_s_list_is_read_wherever_it_was_written(tmp_path, prefix):
    trees.vkitti2(tmp_path)
    text = prefix + "Scene01/clone/frames/rgb/Camera_0/rgb_00001.jpg\n"
    (tmp_path / "test.txt").write_text(text.replace("/", "\\") if "\\" in prefix else text)
    assert VirtualKittiReader(tmp_path).names == ["Scene01_clone_00001"]


def test_a_wrong_list_is_one_line(tmp_path):
    trees.vkitti2(tmp_path)
    (tmp_path / "test.txt").write_text("Scene01/clone/frames/rgb/Camera_1/rgb_00001.jpg\n")
    with pytest.raises(ZDError, match=r"test\.txt: .*Camera_1.* is no image of camera 0 .*remove the list"):
        VirtualKittiReader(tmp_path)
    line = "Scene01/clone/frames/rgb/Camera_0/rgb_00001.jpg\n"
    (tmp_path / "test.txt").write_text(2 * line)
    with pytest.raises(ZDError, match="two frames are called Scene01_clone_00001"):
        VirtualKittiReader(tmp_path)
    (tmp_path / "test.txt").write_text("\n")
    with pytest.raises(ZDError, match="no frame found"):
        VirtualKittiReader(tmp_path)
