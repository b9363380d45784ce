import numpy as np
import pytest
import trees

from zdlib.data.sets.kitti import LIST, KittiReader
from zdlib.errors import ZDError
from zdlib.evaluate.viewed import ViewedReader
from zdlib.metrics import protocols


def test_names_scenes_and_lines_without_depth(tmp_path):
    trees.kitti(tmp_path)
    reader = KittiReader(tmp_path)
    assert reader.names == [f"2011_09_26_drive_0002_sync_00000000{number}" for number in (69, 54)]
    assert reader[0].scene == "2011_09_26_drive_0002_sync"
    assert reader.without_depth == ["2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000075.png"]


@pytest.mark.parametrize("part", ["train", "val"])
def test_the_archive_s_own_folders(tmp_path, part):
    trees.kitti(tmp_path)
    before = KittiReader(tmp_path)[0]
    (tmp_path / "raw").rename(tmp_path / "raw_data")
    (tmp_path / "data_depth_annotated").mkdir()
    (tmp_path / "gts").rename(tmp_path / "data_depth_annotated" / part)
    after = KittiReader(tmp_path)[0]
    np.testing.assert_array_equal(after.depth, before.depth)


def test_another_list_with_leading_slashes(tmp_path):
    trees.kitti(tmp_path)
    lines = (tmp_path / LIST).read_text().splitlines()
    other = tmp_path / "one.txt"
    other.write_text("\n/" + lines[-1].replace(" ", " /", 1) + "\n")
    (tmp_path / LIST).unlink()
    assert KittiReader(tmp_path, other).names == ["2011_09_26_drive_0002_sync_0000000054"]


@pytest.mark.parametrize(
    ("text", "message"),
    [("a.png\n", "line 1 names one file"), ("a.png None 721\n", "no frame found"), (None, "no such file")],
)
def test_a_wrong_list_is_one_line(tmp_path, text, message):
    trees.kitti(tmp_path)
    (tmp_path / LIST).unlink()
    if text is not None:
        (tmp_path / LIST).write_text(text)
    with pytest.raises(ZDError, match=rf"{message}.*put ZoeDepth's {LIST}"):
        KittiReader(tmp_path)


def test_the_benchmark_crop_belongs_to_the_protocol(tmp_path):
    tree = trees.kitti(tmp_path)
    trees.save_image(tree.image, 375, 1242)
    trees.save_png(tree.depth, np.arange(375 * 1242, dtype=np.uint32).reshape(375, 1242).astype(np.uint16))
    protocol = protocols.get("kitti/zoedepth")
    whole, shown = KittiReader(tmp_path)[0], ViewedReader(KittiReader(tmp_path), protocol)[0]
    assert whole.depth.shape == (375, 1242)
    assert shown.image.shape == (352, 1216, 3)
    np.testing.assert_array_equal(shown.depth, whole.depth[23:, 13:1229])
