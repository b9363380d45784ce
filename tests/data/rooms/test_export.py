from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import rgbd
import scipy.io
from rooms_files import NAMES, stored, write
from skimage.measure import label as connected_components

from zdlib.config import EmbeddedConfig
from zdlib.data.rooms import export
from zdlib.data.rooms.store import open_store
from zdlib.data.sets.ibims import IBimsReader
from zdlib.data.sets.nyu import NYUReader, contiguous_split, read_splits
from zdlib.errors import ZDError

HEIGHT, WIDTH = 48, 64


def picture(seed, scene, split, **changes):
    """One stored image, large enough for the Kinect's border."""
    image, depth, raw = rgbd.scene(HEIGHT, WIDTH, seed)
    labels = np.select([raw == rgbd.RAW[name] for name in NAMES[1:]], [1, 2, 3], 0).astype(np.uint8)
    return stored(
        seed,
        scene,
        **{
            "image": image,
            "depth": depth,
            "labels": labels,
            "split": split,
            "scene_type": scene.rpartition("_")[0],
            "intrinsics": np.array([[51.9, 0, 31.5], [0, 51.9, 23.5], [0, 0, 1]]),
        }
        | changes,
    )


def rooms_n():
    """Two views of each of ten scenes: three types, seven scenes to train on, three to test on."""
    types = ["study"] * 3 + ["bedroom"] * 5 + ["kitchen"] * 2
    splits = ["train", "train", "test", "train", "train", "train", "train", "test", "train", "test"]
    scenes = [(f"{kind}_{i:04d}", split) for i, (kind, split) in enumerate(zip(types, splits, strict=True))]
    return [picture(i, scene, split, view=view) for i, (scene, split) in enumerate(scenes) for view in range(2)]


def rooms_i():
    ones = np.ones((HEIGHT, WIDTH), np.uint8)
    wall = np.array([[0, 1.0, 0, -3, 0, 1, 0, 9]])
    more = {
        "mask_invalid": ones,
        "mask_transp": np.triu(ones, -9),
        "edges": np.eye(HEIGHT, WIDTH, dtype=np.uint8),
        "planes": {"wall": (ones, wall), "floor": (0 * ones, np.zeros((0, 8))), "table": (0 * ones, np.zeros((0, 8)))},
    }
    return [picture(i, f"corridor_{i // 2:04d}", "test", view=i % 2, **more) for i in range(4)]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rooms")
    write(folder / "rooms_n.h5", rooms_n())
    write(folder / "rooms_i.h5", rooms_i(), name="Rooms-I", depth_scale=50 / 65535)
    return folder


def materialise(source, target, **limits):
    paths = target / "rooms_n.mat", target / "splits.mat", target / "rooms_i"
    export.materialise(EmbeddedConfig(source=source, **limits), *paths)
    return paths


@pytest.fixture(scope="module")
def written(source, tmp_path_factory):
    return materialise(source, tmp_path_factory.mktemp("data"))


def test_the_mat_has_nyus_keys_axes_and_types(written):
    with open(written[0], "rb") as file:
        header = file.read(512)
    assert header.startswith(b"MATLAB 7.3 MAT-file")
    assert header[124:128] == b"\x00\x02IM"
    with h5py.File(written[0]) as file:
        kinds = {
            key: (file[key].shape, file[key].dtype, file[key].attrs["MATLAB_class"]) for key in file if key != "#refs#"
        }
        assert file["images"].chunks == (1, 3, WIDTH, HEIGHT)
        first = file[file["rawRgbFilenames"][0, 0]]
        assert first.dtype == np.uint16
        assert first.attrs["MATLAB_class"] == b"char"
        assert "".join(map(chr, first[:, 0])) == "bedroom_0003/r-3-0.ppm"
    reference = h5py.ref_dtype
    assert kinds == {
        "images": ((20, 3, WIDTH, HEIGHT), np.uint8, b"uint8"),
        "depths": ((20, WIDTH, HEIGHT), np.float32, b"single"),
        "rawDepths": ((20, WIDTH, HEIGHT), np.float32, b"single"),
        "labels": ((20, WIDTH, HEIGHT), np.uint16, b"uint16"),
        "instances": ((20, WIDTH, HEIGHT), np.uint8, b"uint8"),
        "accelData": ((4, 20), np.float64, b"double"),
        "names": ((1, 894), reference, b"cell"),
        "scenes": ((1, 20), reference, b"cell"),
        "sceneTypes": ((1, 20), reference, b"cell"),
        "rawRgbFilenames": ((1, 20), reference, b"cell"),
        "rawDepthFilenames": ((1, 20), reference, b"cell"),
    }


def test_the_reader_gives_back_the_rooms(source, written):
    store = open_store(source / "rooms_n.h5")
    raw, inpainted = NYUReader(written[0]), NYUReader(written[0], depth="inpainted")
    assert sorted(raw.scenes) == sorted(store.scenes)
    for i, sample in enumerate(raw):
        view = raw.scenes[:i].count(sample.scene)
        index = store.scenes.index(sample.scene) + view
        original = store[index]
        assert sample.scene_type == original.scene_type
        assert np.array_equal(sample.image[1:-1, 1:-1], original.image[1:-1, 1:-1])  # inside the white border
        measured = sample.depth > 0
        assert 0.5 < measured.mean() < 1
        assert np.median(np.abs(sample.depth - original.depth)[measured]) < 0.02
        assert (inpainted[i].depth > 0).all()
        assert np.array_equal(inpainted[i].depth[measured], sample.depth[measured])
        assert np.array_equal(raw.raw_labels(i), store.raw_labels(original.labels))


def test_the_official_split_is_the_stores(source, written):
    store = open_store(source / "rooms_n.h5")
    split_of = dict(zip(store.scenes, store.splits, strict=True))
    reader, split = NYUReader(written[0]), read_splits(written[1], frames=20)
    assert {split_of[reader.scenes[i]] for i in split.train} == {"train"}
    assert {split_of[reader.scenes[i]] for i in split.test} == {"test"}
    assert (len(split.train), len(split.test)) == (14, 6)
    content = scipy.io.loadmat(written[1])
    assert content["trainNdxs"].shape == (14, 1)
    assert content["testNdxs"].dtype == np.uint16


def test_frames_are_ordered_by_type_with_both_parts_interleaved(written):
    reader, split = NYUReader(written[0]), read_splits(written[1])
    assert reader.scene_types == sorted(reader.scene_types)
    part = np.where(np.isin(np.arange(20), split.test), "test", "train")
    bedrooms = part[:10]
    assert bedrooms.tolist() == ["train"] * 4 + ["test"] * 2 + ["train"] * 4
    contiguous = contiguous_split(20)
    for half in (contiguous.train, contiguous.test):
        assert set(part[half]) == {"train", "test"}
    assert len({reader.scenes[i] for i in contiguous.train} & {reader.scenes[i] for i in contiguous.test}) == 0


def test_limits_keep_whole_scenes_of_all_types(source, tmp_path):
    mat, splits, ibims = materialise(source, tmp_path, train_limit=7, test_limit=4, ibims_limit=2)
    reader, split = NYUReader(mat), read_splits(splits)
    assert (len(split.train), len(split.test)) == (6, 4)
    assert {reader.scene_types[i] for i in split.train} == {"bedroom", "kitchen", "study"}
    assert all(reader.scenes.count(scene) == 2 for scene in reader.scenes)
    assert IBimsReader(ibims).names == ["corridor_0000_00", "corridor_0000_01"]


def test_the_first_scene_is_kept_whatever_the_limit(source, tmp_path):
    _, splits, _ = materialise(source, tmp_path, train_limit=1, test_limit=1, ibims_limit=1)
    split = read_splits(splits)
    assert (len(split.train), len(split.test)) == (2, 2)


@pytest.mark.parametrize("layout", ["mat", "raw"])
def test_both_ibims_layouts_give_back_the_rooms(source, written, layout):
    store, reader = open_store(source / "rooms_i.h5"), IBimsReader(written[2], layout=layout)
    assert reader.names == ["corridor_0000_00", "corridor_0000_01", "corridor_0001_00", "corridor_0001_01"]
    assert (written[2] / "imagelist.txt").read_text().split() == reader.names
    for original, sample in zip(store, reader, strict=True):
        assert np.array_equal(sample.image, original.image)
        assert np.allclose(sample.depth, original.depth, rtol=1e-6, atol=0)
        assert np.array_equal(sample.mask, (original.mask_invalid * original.mask_transp) > 0)
        assert np.array_equal(sample.edges, original.edges > 0)
        assert set(sample.planes) == {"wall"}
        assert np.array_equal(sample.planes["wall"][1], original.planes["wall"][1])
        assert np.allclose(sample.intrinsics, original.intrinsics, rtol=1e-12)
        assert (sample.scene, sample.scene_type) == (original.scene, "corridor")


def test_same_store_same_bytes(source, written, tmp_path):
    again = materialise(source, tmp_path)
    assert written[0].read_bytes() == again[0].read_bytes()
    assert written[1].read_bytes() == again[1].read_bytes()
    files = sorted(path.relative_to(again[2]) for path in again[2].rglob("*") if path.is_file())
    assert len(files) > 20
    assert all((written[2] / path).read_bytes() == (again[2] / path).read_bytes() for path in files)


def test_writing_again_replaces_everything_old(source, tmp_path):
    materialise(source, tmp_path)
    _, _, ibims = materialise(source, tmp_path, ibims_limit=2)
    assert len(list((ibims / "ibims1_core_mat").glob("*.mat"))) == 2
    assert sorted(path.name for path in ibims.iterdir()) == ["ibims1_core_mat", "ibims1_core_raw", "imagelist.txt"]


def test_an_interrupted_export_leaves_nothing_half_written(source, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(export.ibims_layout, "write_raw", stop)
    with pytest.raises(KeyboardInterrupt):
        materialise(source, tmp_path)
    assert sorted(path.name for path in (tmp_path / "rooms_i").iterdir()) == ["ibims1_core_mat"]
    monkeypatch.setattr(export.kinect, "simulate", stop)
    (tmp_path / "second").mkdir()
    with pytest.raises(KeyboardInterrupt):
        materialise(source, tmp_path / "second")
    assert list((tmp_path / "second").iterdir()) == []


def test_a_nearly_full_disk_is_noticed_before_anything_is_computed(source, tmp_path, monkeypatch):
    monkeypatch.setattr(export.shutil, "disk_usage", lambda _: SimpleNamespace(free=100_000))
    with pytest.raises(ZDError, match=r"rooms_n\.mat: needs about 0 MB, 0 MB are free: free space"):
        materialise(source, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line(source, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export.ibims_layout, "write_mat", full)
    with pytest.raises(ZDError, match=r"ibims1_core_mat: cannot be written \(No space left on device\): free space"):
        materialise(source, tmp_path)
    assert list((tmp_path / "rooms_i").iterdir()) == []


def test_missing_or_unsuitable_stores_are_one_line(tmp_path):
    with pytest.raises(ZDError, match=r"holds no rooms_n\.h5"):
        materialise(tmp_path, tmp_path / "out")
    write(tmp_path / "rooms_n.h5", rooms_n())
    with pytest.raises(ZDError, match=r"rooms_i\.h5: no such file"):
        materialise(tmp_path, tmp_path / "out")
    write(tmp_path / "rooms_i.h5", rooms_n()[:2])
    with pytest.raises(ZDError, match="no masks, edges or planes"):
        materialise(tmp_path, tmp_path / "out")
    write(tmp_path / "rooms_n_test.h5", [stored(5, "attic_0001")])
    with pytest.raises(ZDError, match="frames of 2 sizes"):
        materialise(tmp_path, tmp_path / "out")


def test_instances_number_the_pieces_of_each_class():
    labels = np.zeros((6, 9), np.uint16)
    labels[0:2, 0:2] = labels[4:6, 0:2] = labels[0:2, 4:6] = 21
    labels[3:5, 4:9] = 5
    got = export.instances(labels)
    assert sorted({got[0, 0], got[4, 0], got[0, 4]}) == [1, 2, 3]
    assert (got[3:5, 4:9] == 1).all()
    assert (got[labels == 0] == 0).all()
    pieces = connected_components(labels, background=0, connectivity=1)
    assert len({(int(a), int(b)) for a, b in zip(labels[labels > 0], got[labels > 0], strict=True)}) == pieces.max()
