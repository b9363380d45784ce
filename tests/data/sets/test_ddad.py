import numpy as np
import trees

from zdlib.data.sets.ddad import DDADReader


def test_names_and_sparse_depth(tmp_path):
    tree = trees.ddad(tmp_path)
    (tmp_path / "preview.png").write_bytes(b"")  # no frame
    reader = DDADReader(tmp_path)
    assert reader.names == ["000150_CAMERA_01_15616458250936496", "000151_CAMERA_01_15616458251936437"]
    sample = reader[0]
    np.testing.assert_array_equal(sample.depth, tree.metres)
    assert (sample.depth == 0).mean() > 0.6
    assert sample.mask is None


def test_a_last_axis_of_one_and_double_precision(tmp_path):
    tree = trees.ddad(tmp_path)
    np.save(tree.depth, tree.metres[:, :, None].astype(np.float64))
    np.testing.assert_array_equal(DDADReader(tmp_path)[0].depth, tree.metres)
