"""What every reader of files promises: the same samples, and one line about a broken tree."""

import pickle

import numpy as np
import pytest
import trees

from zdlib.data.registry import READERS, Options, open_reader
from zdlib.data.sample import Reader
from zdlib.errors import ZDError

NAMES = sorted(trees.TREES)
FIXES = {
    "sunrgbd": "unpack SUNRGBD.zip and SUNRGBDtoolbox.zip",
    "diode_indoor": "unpack val.tar.gz",
    "diode_outdoor": "unpack val.tar.gz",
    "hypersim": "get the test scenes' final_preview",
    "kitti": "put ZoeDepth's kitti_eigen_test_files_with_gt.txt",
    "vkitti2": "unpack vkitti_2.0.3_rgb.tar",
    "ddad": "export DDAD's validation part",
    "diml_indoor": "unpack the test part of DIML's sample",
    "diml_outdoor": "unpack the test part of DIML's sample",
}


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def tree(name, tmp_path):
    return trees.TREES[name](tmp_path)


def refused(name, tree, message, path=None):
    """Reading the first frame fails with one line that names the file and the fix."""
    with pytest.raises(ZDError, match=message) as caught:
        READERS[name].open(tree.root, Options(complete=False))[0]
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{path or tree.depth}: ")
    assert FIXES[name] in line


def test_two_frames_are_read(name, tree):
    reader = open_reader(name, tree.root)
    assert isinstance(reader, Reader)
    assert len(reader) == 2
    samples = list(reader)
    assert len({sample.name for sample in samples}) == 2
    for sample in samples:
        assert sample.depth.dtype == np.float32
        # Half precision is all that HyperSim's files have.
        np.testing.assert_allclose(sample.depth, tree.metres, rtol=5e-4 if name == "hypersim" else 1e-6)
        np.testing.assert_array_equal(sample.depth == 0, tree.metres == 0)
        assert np.abs(sample.image.astype(int) - trees.COLOUR).max() <= 4
        assert sample.labels is None
        assert sample.scene
        assert "/" not in sample.name


def test_readers_can_be_pickled(name, tree):
    reader = pickle.loads(pickle.dumps(open_reader(name, tree.root)))
    np.testing.assert_array_equal(reader[1].depth, open_reader(name, tree.root)[1].depth)


def test_a_frame_outside_is_refused(name, tree):
    for index in (2, -1):
        with pytest.raises(ZDError, match=rf"frame {index} is outside 0\.\.1"):
            open_reader(name, tree.root)[index]


def test_an_empty_folder_is_refused(name, tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ZDError) as caught:
            open_reader(name, folder)
        assert str(caught.value).startswith(str(folder))
        assert FIXES[name] in str(caught.value)


def test_a_missing_depth_file_is_named_at_once(name, tree):
    tree.depth.unlink()
    with pytest.raises(ZDError, match="no such file") as caught:
        open_reader(name, tree.root)
    assert tree.depth.parent.name in str(caught.value)
    assert FIXES[name] in str(caught.value)


def test_a_missing_depth_file_can_wait_for_its_frame(name, tree):
    tree.depth.unlink()
    refused(name, tree, r"[Nn]o such file|not a readable", None)
    assert READERS[name].open(tree.root, Options(complete=False))[1].depth.any()


@pytest.mark.parametrize("kind", ["image", "depth"])
def test_a_truncated_file_is_one_line(name, tree, kind):
    path = getattr(tree, kind)
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], content[:40], b"<html>", b""):
        path.write_bytes(damaged)
        refused(name, tree, "not a readable|truncated", path)


def save(tree, array):
    writers = {".png": trees.save_png, ".npy": trees.save_npy, ".hdf5": trees.save_hdf5}
    tree.depth.unlink()
    writers[tree.depth.suffix](tree.depth, array)


@pytest.mark.parametrize("shape", [(12, 16), (24, 32, 3)])
def test_a_wrong_shape_is_one_line(name, tree, shape):
    dtype = np.uint8 if shape[2:] and tree.depth.suffix == ".png" else np.float32
    save(tree, np.ones(shape, np.uint16 if tree.depth.suffix == ".png" and not shape[2:] else dtype))
    refused(name, tree, r"16×12 pixels, .* has 32×24|expected|has shape")


def test_a_wrong_dtype_is_one_line(name, tree):
    dtype = np.uint8 if tree.depth.suffix == ".png" else np.int32
    save(tree, np.ones((768, 1024) if name == "hypersim" else (24, 32), dtype))
    refused(name, tree, r"(is |has dtype )?u?int(8|32).* expected (a grey 16-bit PNG|metres|floating)")


def test_a_frame_without_any_depth_is_one_line(name, tree):
    dtype = np.uint16 if tree.depth.suffix == ".png" else np.float32
    save(tree, np.zeros((768, 1024) if name == "hypersim" else (24, 32), dtype))
    refused(name, tree, "no pixel has a depth")


@pytest.mark.parametrize("name", ["diode_indoor", "ddad"], indirect=True)
@pytest.mark.parametrize(("value", "message"), [(np.nan, "holds NaN"), (np.inf, "holds NaN"), (-1.0, "is negative")])
def test_impossible_depth_is_one_line(name, tree, value, message):
    depth = np.ones((24, 32), np.float32)
    depth[3, 4] = value
    save(tree, depth)
    refused(name, tree, message)


@pytest.mark.parametrize("name", ["diode_indoor", "ddad"], indirect=True)
def test_pickles_and_archives_are_not_loaded(name, tree):
    save(tree, np.array([{"a": 1}], object))
    refused(name, tree, "not a readable .npy file")
    with open(tree.depth, "wb") as file:
        np.savez(file, a=np.ones((24, 32)))
    refused(name, tree, "not a readable .npy file")
