import csv
import multiprocessing
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import rgbd
import scipy.io

import zdlib.data
from zdlib.data.sets.nyu import NYUReader, contiguous_split, read_splits
from zdlib.errors import ZDError

with open(Path(zdlib.data.__file__).with_name("nyu40.csv"), encoding="utf-8") as file:
    NAMES = [row["name"] for row in csv.DictReader(file)]


@pytest.fixture
def mat(tmp_path):
    return rgbd.write_nyu_mat(
        tmp_path / "nyu.mat",
        [rgbd.scene(seed=i) for i in range(3)],
        NAMES,
        scenes=["bedroom_0001", "bedroom_0001", "kitchen_0002"],
        types=["bedroom", "bedroom", "kitchen"],
    )


def test_a_file_made_by_an_independent_tool_is_read(mat):
    raw, inpainted = NYUReader(mat), NYUReader(mat, depth="inpainted")
    assert len(raw) == 3
    assert raw.shape == (24, 32)
    assert raw.scenes == ["bedroom_0001", "bedroom_0001", "kitchen_0002"]
    assert raw.scene_types == ["bedroom", "bedroom", "kitchen"]
    for i, sample in enumerate(raw):
        image, depth, labels = rgbd.scene(seed=i)
        assert sample.name == f"nyu_{i:04d}"
        assert sample.scene == raw.scenes[i]
        assert np.array_equal(sample.image, image)
        assert np.array_equal(sample.depth, np.where(depth < 1.6, 0, depth))
        assert np.array_equal(inpainted[i].depth, depth)
        assert np.array_equal(raw.raw_labels(i), labels)
        classes13 = {"wall": 12, "floor": 5, "bed": 1, "unlabelled": 0}
        for name, number in classes13.items():
            assert (sample.labels[labels == rgbd.RAW[name]] == number).all()
        assert sample.labels.max() == 12
        assert sample.intrinsics is None


def test_frames_are_asked_for_by_numpy_integers_too(mat):
    assert NYUReader(mat)[np.int64(1)].name == "nyu_0001"


def test_full_size_frames_have_nyus_camera(tmp_path):
    frame = (np.zeros((480, 640, 3), np.uint8), np.ones((480, 640), np.float32), np.zeros((480, 640), np.uint16))
    reader = NYUReader(rgbd.write_nyu_mat(tmp_path / "nyu.mat", [frame], NAMES), depth="inpainted")
    assert np.allclose(
        reader[0].intrinsics[[0, 1, 0, 1], [0, 1, 2, 2]], [518.858, 519.470, 324.582, 252.736], atol=1e-3
    )


def test_an_empty_matlab_string(mat):
    with h5py.File(mat, "a") as file:
        file["#refs#/empty"] = np.zeros(2, np.uint64)
        file["#refs#/empty"].attrs["MATLAB_empty"] = np.uint8(1)
        file["scenes"][0, 1] = file["#refs#/empty"].ref
    assert NYUReader(mat).scenes[1] == ""


def _depth_sum(reader):
    return float(reader[1].depth.sum())


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # Python 3.12, on fork
def test_the_reader_survives_pickling_and_fork(mat):
    reader = NYUReader(mat)
    expected = _depth_sum(reader)  # opens the file before the fork
    assert _depth_sum(pickle.loads(pickle.dumps(reader))) == expected
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.map(_depth_sum, [reader, reader]) == [expected] * 2


def replace(path, key, value):
    with h5py.File(path, "a") as file:
        del file[key]
        if value is not None:
            file[key] = value


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("rawDepths", None, r"key 'rawDepths' is missing \(has: #refs#, accelData"),
        ("names", None, "key 'names' is missing"),
        ("images", np.zeros((3, 3, 32, 24), np.float32), "images has dtype float32, expected uint8"),
        ("images", np.zeros((3, 32, 24), np.uint8), r"images has shape \(3, 32, 24\), expected 4 axes"),
        ("images", np.zeros((3, 1, 32, 24), np.uint8), "do not fit"),
        ("rawDepths", np.zeros((3, 24, 32), np.float32), r"rawDepths \(3, 24, 32\) do not fit"),
        ("rawDepths", np.zeros((3, 32, 24), np.uint16), "rawDepths has dtype uint16, expected float32"),
        ("labels", np.zeros((2, 32, 24), np.uint16), r"labels \(2, 32, 24\) do not fit"),
        ("scenes", np.zeros((1, 3)), "scenes has dtype float64, expected object references"),
    ],
)
def test_a_wrong_file_is_one_line(mat, key, value, message):
    replace(mat, key, value)
    with pytest.raises(ZDError, match=message) as caught:
        NYUReader(mat)
    assert str(caught.value).startswith(f"{mat}: ")
    assert "the root of set nyu under data" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lists_of_strings_must_fit(tmp_path, mat):
    frames = [rgbd.scene()]
    swapped = [NAMES[1], NAMES[0], *NAMES[2:]]
    with pytest.raises(ZDError, match=r"names\[1\] is 'bottle', in NYU's list 'book'"):
        NYUReader(rgbd.write_nyu_mat(tmp_path / "swapped.mat", frames, swapped))
    with pytest.raises(ZDError, match="names has 893 entries"):
        NYUReader(rgbd.write_nyu_mat(tmp_path / "short.mat", frames, NAMES[:-1]))
    with pytest.raises(ZDError, match="scenes has 2 entries for 1 images"):
        NYUReader(rgbd.write_nyu_mat(tmp_path / "scenes.mat", frames, NAMES, scenes=["a", "b"]))
    with h5py.File(mat, "a") as file:
        file["scenes"][0, 1] = h5py.Reference()
    with pytest.raises(ZDError, match="scenes holds a broken reference"):
        NYUReader(mat)


def test_missing_truncated_and_foreign_files(tmp_path, mat):
    with pytest.raises(ZDError, match=r"absent\.mat: no such file.*ZD_DATA.*2,972,037,809"):
        NYUReader(tmp_path / "absent.mat")
    cut = tmp_path / "cut.mat"
    cut.write_bytes(mat.read_bytes()[:-500])
    with pytest.raises(ZDError, match=r"cut\.mat: truncated"):
        NYUReader(cut)
    foreign = tmp_path / "page.mat"
    foreign.write_text("<html>404</html>")
    with pytest.raises(ZDError, match=r"page\.mat: not a readable HDF5 file"):
        NYUReader(foreign)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "rawDepths of frame 1 holds NaN"),
        (np.inf, "rawDepths of frame 1 holds NaN or infinity"),
        (-1.0, r"rawDepths of frame 1 is negative \(-1 m\)"),
    ],
)
def test_a_bad_depth_names_its_frame(mat, value, message):
    with h5py.File(mat, "a") as file:
        file["rawDepths"][1, 5, 7] = value
    reader = NYUReader(mat)
    assert reader[0].depth.any()
    with pytest.raises(ZDError, match=message):
        reader[1]


def test_a_depth_without_any_measurement_is_refused(mat):
    with h5py.File(mat, "a") as file:
        file["rawDepths"][2] = 0
    with pytest.raises(ZDError, match="rawDepths of frame 2 has no valid pixel"):
        NYUReader(mat)[2]


def test_a_label_outside_the_list_names_its_frame(mat):
    with h5py.File(mat, "a") as file:
        file["labels"][1, 0, 0] = 895
    with pytest.raises(ZDError, match="labels of frame 1: label 895"):
        NYUReader(mat)[1]


@pytest.mark.parametrize("index", [-1, 3])
def test_a_frame_outside_is_refused(mat, index):
    with pytest.raises(ZDError, match=rf"frame {index} is outside 0\.\.2"):
        NYUReader(mat)[index]


def test_a_damaged_chunk_is_one_line(tmp_path, mat):
    packed = tmp_path / "packed.mat"
    with h5py.File(mat) as source, h5py.File(packed, "w") as target:
        for key in source:
            source.copy(key, target, expand_refs=True)
        del target["images"]
        data = target.create_dataset(
            "images", data=source["images"][()], chunks=(1, 3, 32, 24), compression="gzip", fletcher32=True
        )
        offset = data.id.get_chunk_info(1).byte_offset
    content = bytearray(packed.read_bytes())
    content[offset : offset + 64] = bytes(64)
    packed.write_bytes(content)
    reader = NYUReader(packed)
    assert reader[0].image.shape == (24, 32, 3)
    with pytest.raises(ZDError, match=r"/images at 1 is damaged"):
        reader[1]


def test_the_contiguous_split_is_the_originals():
    split = contiguous_split(1449)
    assert (len(split.train), len(split.test)) == (1158, 291)
    assert np.array_equal(np.concatenate([split.train, split.test]), np.arange(1449))
    small = contiguous_split(10)
    assert (small.train.tolist(), small.test.tolist()) == (list(range(8)), [8, 9])


def write_splits(path, train, test):
    scipy.io.savemat(path, {"trainNdxs": np.array(train)[:, None], "testNdxs": np.array(test)[:, None]})
    return path


def test_splits_are_turned_to_zero_based(tmp_path):
    path = write_splits(tmp_path / "splits.mat", np.array([3, 4], np.uint16), np.array([2, 1], np.uint16))
    split = read_splits(path, frames=4)
    assert (split.train.tolist(), split.test.tolist()) == ([2, 3], [0, 1])
    assert split.train.dtype == np.int64


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ([1, 2], [2, 3], "in both"),
        ([0, 1], [2, 3], r"trainNdxs leaves 1\.\.4"),
        ([1, 2], [3, 5], r"testNdxs leaves 1\.\.4"),
        ([1.5], [2], "not made of whole numbers"),
        ([], [2], "empty"),
    ],
)
def test_wrong_splits_are_one_line(tmp_path, train, test, message):
    path = write_splits(tmp_path / "splits.mat", train, test)
    with pytest.raises(ZDError, match=message):
        read_splits(path, frames=4)


def test_unreadable_splits_are_one_line(tmp_path):
    with pytest.raises(ZDError, match=r"absent\.mat: no such file.*the split of set nyu under data"):
        read_splits(tmp_path / "absent.mat")
    good = write_splits(tmp_path / "splits.mat", np.arange(1, 900), np.arange(900, 1000))
    for content in (b"", b"<html>", good.read_bytes()[:300], good.read_bytes()[:128] + bytes(400)):
        bad = tmp_path / "bad.mat"
        bad.write_bytes(content)
        with pytest.raises(ZDError, match=r"bad\.mat: "):
            read_splits(bad)
    scipy.io.savemat(tmp_path / "other.mat", {"trainNdxs": [[1]]})
    with pytest.raises(ZDError, match="key 'testNdxs' is missing"):
        read_splits(tmp_path / "other.mat")
