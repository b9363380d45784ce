import numpy as np
import pytest
import trees

from zdlib.data.sets.diml import DIMLIndoorReader, DIMLOutdoorReader
from zdlib.errors import ZDError


def test_rooms(tmp_path):
    trees.diml_indoor(tmp_path)
    for root in (tmp_path, tmp_path / "LR"):
        reader = DIMLIndoorReader(root)
        assert reader.names == ["in_01_160217_123138", "in_01_160217_123139"]
    assert reader[0].scene == "12. Livingroom"
    assert reader[0].scene_type == "livingroom"


def test_one_street(tmp_path):
    tree = trees.diml_outdoor(tmp_path)
    for root in (tmp_path, tmp_path / "LR"):
        reader = DIMLOutdoorReader(root)
        assert reader.names == ["a_000001", "a_000002"]
        assert reader[0].scene == "a_000001"
        np.testing.assert_allclose(reader[1].depth, tree.metres, rtol=1e-6)


def test_several_streets(tmp_path):
    trees.diml_outdoor(tmp_path)
    (tmp_path / "LR").rename(tmp_path / "170706_C0")
    trees.diml_outdoor(tmp_path)
    (tmp_path / "LR").rename(tmp_path / "170721_C0")
    reader = DIMLOutdoorReader(tmp_path)
    assert reader.names == [f"{drive}_a_00000{n}" for drive in ("170706_C0", "170721_C0") for n in (1, 2)]
    assert reader[3].scene == "170721_C0"


def test_two_rooms_with_one_name_are_refused(tmp_path):
    trees.diml_indoor(tmp_path)
    room = tmp_path / "LR" / "12. Livingroom"
    trees.save_image(tmp_path / "LR" / "13. Attic" / "color" / next((room / "color").iterdir()).name)
    with pytest.raises(ZDError, match="two frames are called in_01_160217_12313"):
        DIMLIndoorReader(tmp_path)
