import numpy as np
import pytest
import trees

from zdlib.data.sets.diode import DiodeReader
from zdlib.errors import ZDError
from zdlib.metrics import protocols


@pytest.mark.parametrize("part", ["indoors", "outdoor"])
def test_any_of_three_folders_is_the_root(tmp_path, part):
    trees.diode(tmp_path, part)
    for root in (tmp_path, tmp_path / "val", tmp_path / "val" / part):
        reader = DiodeReader(root, part)
        assert reader.names == [f"00019_00183_{part}_000_000", f"00019_00183_{part}_000_010"]
    assert reader[0].scene == "scene_00019"
    assert reader[0].intrinsics.tolist() == [[886.81, 0, 512], [0, 927.06, 384], [0, 0, 1]]


def test_the_other_part_is_not_taken(tmp_path):
    trees.diode(tmp_path, "outdoor")
    for root in (tmp_path, tmp_path / "val" / "outdoor"):
        with pytest.raises(ZDError, match="no frame found, expected indoors/"):
            DiodeReader(root, "indoors")


def test_the_mask_is_beside_the_depth_and_changes_nothing_of_it(tmp_path):
    tree = trees.diode(tmp_path)
    sample = DiodeReader(tmp_path)[0]
    assert not sample.mask[0, :4].any()
    assert not sample.mask[7].any()
    assert sample.mask[8].all()
    np.testing.assert_array_equal(sample.depth, tree.metres)
    # ZoeDepth does not use the mask: a masked pixel with a depth counts.
    assert protocols.get("diode_indoor/zoedepth").valid(sample)[7].any()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.full((24, 32), 2.0), "holds other numbers than 0 and 1"),
        (np.full((24, 32), np.nan), "holds other numbers than 0 and 1"),
        (np.ones((12, 16)), "16×12 pixels, .* has 32×24"),
        (np.ones(7), r"holds \(7,\), expected \(h, w\)"),
    ],
)
def test_a_wrong_mask_is_one_line(tmp_path, mask, message):
    tree = trees.diode(tmp_path)
    path = tree.depth.with_name(tree.depth.name.replace("_depth", "_depth_mask"))
    np.save(path, mask)
    with pytest.raises(ZDError, match=rf"000_000_depth_mask\.npy: {message}.*unpack val\.tar\.gz"):
        DiodeReader(tmp_path)[0]
    path.unlink()
    with pytest.raises(ZDError, match=r"000_000_depth_mask\.npy: no such file"):
        DiodeReader(tmp_path)
