import pickle

import h5py
import numpy as np
import pytest
import rgbd
from rooms_files import NAMES, stored, write

from zdlib.data.rooms.store import open_store
from zdlib.errors import ZDError


def test_what_is_written_is_read(tmp_path):
    items = [stored(0), stored(1), stored(2, "study_0001", scene_type="study", split="test")]
    store = open_store(write(tmp_path / "n.h5", items))
    assert (len(store), store.height, store.width, store.name) == (3, 24, 32, "Rooms-N")
    assert store.label_names == tuple(NAMES)
    assert store.generator == {"spp": 16}
    assert store.splits == ["train", "train", "test"]
    for expected, got in zip(items, store, strict=True):
        assert np.abs(got.depth - expected.depth).max() <= 0.0005 + 1e-6
        assert np.array_equal(got.labels, expected.labels)
        assert np.abs(got.image.astype(int) - expected.image).max() <= 4
        assert (got.scene, got.scene_type, got.seed, got.view) == (
            expected.scene,
            expected.scene_type,
            expected.seed,
            1,
        )
        assert np.array_equal(got.intrinsics, expected.intrinsics)
        assert np.array_equal(got.pose, np.eye(4))
        assert got.planes is None
        assert got.edges is None
    with pytest.raises(ZDError, match=r"frame 3 is outside 0\.\.2"):
        store[3]


def test_depth_steps_larger_than_half_the_range_survive_the_difference_coding(tmp_path):
    depth = np.zeros((24, 32), np.float32)
    depth[:, ::2] = 65.535
    depth[:, 1::4] = 0.001
    store = open_store(write(tmp_path / "n.h5", [stored(depth=depth)]))
    assert np.allclose(store[0].depth, depth, atol=1e-6)


def test_the_fields_of_ibims(tmp_path):
    store = open_store(write(tmp_path / "i.h5", [stored(ibims=True)], name="Rooms-I", depth_scale=50 / 65535))
    got = store[0]
    assert got.mask_invalid.all()
    assert not got.mask_transp.any()
    assert np.array_equal(got.edges, got.labels == 3)
    assert got.planes["wall"][1].tolist() == np.arange(16.0).reshape(2, 8).tolist()
    assert got.planes["floor"][1].shape == (0, 8)


def test_local_labels_become_nyu_ids(tmp_path):
    store = open_store(write(tmp_path / "n.h5", [stored()]))
    assert np.array_equal(store.raw_labels(store[0].labels), rgbd.scene()[2])


def test_same_images_give_the_same_bytes(tmp_path):
    items = [stored(0), stored(1)]
    first, second = (write(tmp_path / name, items).read_bytes() for name in ("a.h5", "b.h5"))
    assert first == second


def test_a_store_can_be_pickled(tmp_path):
    store = pickle.loads(pickle.dumps(open_store(write(tmp_path / "n.h5", [stored()]))))
    assert store[0].scene == "bedroom_0001"


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([stored(0), stored(1, "study_0001"), stored(2)], "comes again"),
        ([stored(depth=np.full((24, 32), 66, np.float32))], r"outside 0..65\.535 m"),
        ([stored(depth=np.full((24, 32), np.nan, np.float32))], "not finite"),
        ([stored(labels=np.full((24, 32), 4, np.uint8))], "label 4 has no name"),
        ([stored(0), stored(1, ibims=True)], "other fields"),
        ([], "no image"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_leaves_no_file(tmp_path, items, message):
    with pytest.raises(ZDError, match=message):
        write(tmp_path / "n.h5", items)
    assert list(tmp_path.iterdir()) == []


def test_names_must_be_nyus(tmp_path):
    with pytest.raises(ZDError, match="'sofabed'"):
        write(tmp_path / "n.h5", [stored()], label_names=[*NAMES, "sofabed"])
    with pytest.raises(ZDError, match="'unlabelled' first"):
        write(tmp_path / "n.h5", [stored()], label_names=NAMES[1:])


def test_a_broken_store_is_one_line(tmp_path):
    good = write(tmp_path / "n.h5", [stored(i) for i in range(3)])
    with pytest.raises(ZDError, match=r"absent\.h5: no such file.*git checkout"):
        open_store(tmp_path / "absent.h5")
    cut = tmp_path / "cut.h5"
    cut.write_bytes(good.read_bytes()[:-1000])
    with pytest.raises(ZDError, match=r"cut\.h5: truncated"):
        open_store(cut)
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = 1
    with pytest.raises(ZDError, match=r"other\.h5: attribute 'name' is missing"):
        open_store(other)
    with h5py.File(good, "a") as file:
        file["depth"][1] = np.zeros(5, np.uint8)
        file["image"][2] = np.zeros(5, np.uint8)
    with pytest.raises(ZDError, match="depth of image 1 is damaged"):
        open_store(good)[1]
    with pytest.raises(ZDError, match="image of image 2 is damaged"):
        open_store(good)[2]
