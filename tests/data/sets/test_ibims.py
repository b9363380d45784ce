import numpy as np
import pytest
from ibims_files import CALIB, PARAS, fields, write_mat, write_raw

from zdlib.data.sets.ibims import IBimsReader
from zdlib.errors import ZDError


@pytest.fixture
def both(tmp_path):
    for seed, name in enumerate(("office_02", "corridor_01")):
        write_mat(tmp_path / "ibims1_core_mat", name, fields(seed))
        write_raw(tmp_path / "ibims1_core_raw", name, fields(seed))
    (tmp_path / "imagelist.txt").write_text("office_02\ncorridor_01\n")
    return tmp_path


def check(sample, seed):
    expected = fields(seed)
    assert np.array_equal(sample.image, expected["rgb"])
    assert np.allclose(sample.depth, expected["depth"], rtol=1e-6, atol=0)
    assert np.array_equal(sample.mask, (expected["mask_invalid"] * expected["mask_transp"]) > 0)
    assert np.array_equal(sample.mask_transp, expected["mask_transp"] > 0)
    assert np.array_equal(sample.edges, expected["edges"] > 0)
    assert set(sample.planes) == {"wall"}
    assert np.array_equal(sample.planes["wall"][0], expected["mask_wall"])
    assert np.array_equal(sample.planes["wall"][1], PARAS)
    assert np.array_equal(sample.calib, CALIB)
    # Upright, and pixels from 0.
    assert sample.intrinsics.tolist() == [[26, 0, 15.5], [0, 27, 11.5], [0, 0, 1]]
    assert sample.labels is None


@pytest.mark.parametrize("layout", ["mat", "raw"])
def test_both_distributions_made_by_independent_tools_are_read(both, layout):
    for reader in (IBimsReader(both, layout=layout), IBimsReader(both / f"ibims1_core_{layout}")):
        assert reader.layout == layout
        assert reader.names == ["office_02", "corridor_01"]
        for seed, sample in enumerate(reader):
            check(sample, seed)
        assert (reader[1].name, reader[1].scene, reader[1].scene_type) == ("corridor_01", "corridor_01", "corridor")


def test_the_mat_distribution_is_preferred_and_the_list_is_optional(both):
    (both / "imagelist.txt").unlink()
    reader = IBimsReader(both)
    assert (reader.layout, reader.names) == ("mat", ["corridor_01", "office_02"])
    assert IBimsReader(both, layout="raw").names == reader.names


def test_views_of_one_scene_share_it(tmp_path):
    write_mat(tmp_path, "hall_0003_01", fields())
    sample = IBimsReader(tmp_path)[0]
    assert (sample.scene, sample.scene_type) == ("hall_0003", "hall")


def test_a_single_plane_stored_without_its_second_axis(tmp_path):
    # `squeeze` on the way through MATLAB gives one row as a vector; the authors' own code fails on it.
    write_mat(tmp_path, "a_01", fields(mask_wall_paras=PARAS[0]))
    assert IBimsReader(tmp_path)[0].planes["wall"][1].shape == (1, 8)


def test_raw_images_without_edges_planes_and_calibration(both):
    folder = both / "ibims1_core_raw"
    for key in ("edges", "mask_wall", "calib"):
        for file in (folder / key).iterdir():
            file.unlink()
    sample = IBimsReader(folder)[0]
    assert sample.edges is None
    assert sample.planes == {}
    assert sample.calib is None
    assert sample.intrinsics is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": None}, "field 'depth' is missing"),
        ({"mask_transp": None}, "field 'mask_transp' is missing"),
        ({"rgb": np.zeros((24, 32), np.uint8)}, r"rgb is uint8 \(24, 32\)"),
        ({"rgb": np.zeros((24, 32, 3), np.float64)}, "rgb is float64"),
        ({"edges": np.zeros((4, 4), np.uint8)}, r"edges of a_01 is \(4, 4\)"),
        ({"depth": np.full((24, 32), np.nan)}, "depth holds NaN"),
        ({"depth": np.zeros((24, 32))}, "depth has no valid pixel"),
    ],
)
def test_a_wrong_mat_is_one_line(tmp_path, changes, message):
    write_mat(tmp_path, "a_01", fields(**changes))
    with pytest.raises(ZDError, match=message) as caught:
        IBimsReader(tmp_path)[0]
    assert "a_01.mat: " in str(caught.value)


def test_damaged_files_are_one_line(both):
    for content in (b"", b"<html>", (both / "ibims1_core_mat" / "office_02.mat").read_bytes()[:500]):
        (both / "ibims1_core_mat" / "office_02.mat").write_bytes(content)
        with pytest.raises(ZDError, match=r"office_02\.mat: no readable MATLAB 5 file"):
            IBimsReader(both)[0]
    raw = both / "ibims1_core_raw"
    (raw / "calib" / "office_02.txt").write_text("26.0,27.0\n")
    with pytest.raises(ZDError, match=r"calib/office_02\.txt: holds 2 numbers"):
        IBimsReader(raw)[0]
    (raw / "calib" / "office_02.txt").write_text("a,b,c,d\n")
    with pytest.raises(ZDError, match=r"calib/office_02\.txt: not rows of numbers"):
        IBimsReader(raw)[0]
    (raw / "rgb" / "office_02.png").write_bytes((raw / "rgb" / "office_02.png").read_bytes()[:200])
    with pytest.raises(ZDError, match=r"rgb/office_02\.png: not a readable image"):
        IBimsReader(raw)[0]


def test_missing_files_are_named(both):
    (both / "ibims1_core_raw" / "depth" / "corridor_01.png").unlink()
    with pytest.raises(ZDError, match=r"depth/corridor_01\.png: no such file"):
        IBimsReader(both, layout="raw")
    (both / "imagelist.txt").write_text("\n")
    with pytest.raises(ZDError, match="names no image"):
        IBimsReader(both)
    with pytest.raises(ZDError, match=r"no iBims-1 here.*the root of set ibims under data"):
        IBimsReader(both / "nowhere")
    with pytest.raises(ZDError, match="no iBims-1 in its raw distribution here"):
        IBimsReader(both / "ibims1_core_mat", layout="raw")


def test_an_image_outside_is_refused(both):
    with pytest.raises(ZDError, match=r"frame 2 is outside 0\.\.1"):
        IBimsReader(both)[2]
