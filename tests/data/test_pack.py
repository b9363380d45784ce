import pickle
import shutil
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest
import rgbd
import trees
from ibims_files import fields as ibims_fields
from ibims_files import write_mat
from torch.utils.data import DataLoader

from zdlib.apps.command_line import main
from zdlib.data import classes
from zdlib.data.pack import PackedReader, open_pack, write_pack
from zdlib.data.registry import open_reader
from zdlib.data.sample import Sample
from zdlib.data.sets.ibims import IBimsReader
from zdlib.data.sets.nyu import NYUReader
from zdlib.errors import ZDError
from zdlib.files import sha256
from zdlib.recipes import RECIPES
from zdlib.train.training_set import TrainingSet


class Samples(list):
    """Somebody's own reader."""


@pytest.fixture(scope="module")
def mat(tmp_path_factory):
    path = tmp_path_factory.mktemp("nyu") / "nyu.mat"
    frames = [rgbd.scene(seed=i) for i in range(6)]
    return rgbd.write_nyu_mat(path, frames, classes.raw_names(), types=["kitchen", *["bed room"] * 5])


@pytest.fixture(scope="module")
def packed(mat):
    return pack(mat.with_suffix(".pack"), NYUReader(mat), "nyu", mat)


def pack(path, reader, *origin) -> Path:
    write_pack(path, reader, *origin)
    return path


def assert_equal(found: Sample, expected: Sample) -> None:
    """Every field, dtypes included."""
    for field in fields(Sample):
        left, right = getattr(found, field.name), getattr(expected, field.name)
        assert type(left) is type(right), field.name
        if isinstance(right, np.ndarray):
            assert left.dtype == right.dtype
            assert left.flags.writeable
            np.testing.assert_array_equal(left, right)
        else:
            assert left == right


@pytest.mark.parametrize("depth", ["raw", "inpainted"])
def test_a_sample_is_the_sources(mat, tmp_path, depth):
    reader = NYUReader(mat, depth)
    path = pack(tmp_path / "a.pack", reader, "nyu", mat)
    for found in (open_pack(path).reader(), NYUReader(path, depth)):
        assert len(found) == 6
        assert found.random_access
        assert found.scenes == reader.scenes
        for left, right in zip(found, reader, strict=True):
            assert_equal(left, right)


def test_a_pack_has_nyus_layout_with_a_chunk_per_picture(packed, mat):
    """The same names, types and values as in the .mat, and nothing is compressed."""
    with h5py.File(mat) as source, h5py.File(packed) as target:
        assert set(target) == {"images", "rawDepths", "labels", "names", "scenes", "sceneTypes", "#refs#"}
        for key in ("images", "rawDepths", "labels"):
            assert target[key].chunks == (1, *source[key].shape[1:])
            assert target[key].compression is None
            assert target[key].fletcher32
            assert target[key].dtype == source[key].dtype
            np.testing.assert_array_equal(target[key], source[key])
    with pytest.raises(ZDError, match="key 'depths' is missing"):
        NYUReader(packed, "inpainted")


@pytest.mark.parametrize("name", ["diode_indoor", "kitti", "sunrgbd", "hypersim"])  # masks, intrinsics, no labels
def test_any_reader_can_be_packed(tmp_path, name):
    trees.TREES[name](tmp_path)
    reader = open_reader(name, tmp_path)
    found = open_pack(pack(tmp_path / "a.pack", reader, name, tmp_path)).reader()
    for left, right in zip(found, reader, strict=True):
        assert_equal(left, right)


@pytest.mark.slow
def test_frames_of_several_sizes(tmp_path):
    rng = np.random.default_rng(0)
    samples = []
    for height, width in ((5, 7), (3, 2), (1, 1)):
        depth = rng.random((height, width), np.float32)
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        samples.append(Sample(f"größe {height}", image, depth, mask=depth > 0.5, intrinsics=rng.random((3, 3))))
    write_pack(tmp_path / "a.pack", Samples(samples), "mine", tmp_path)
    for left, right in zip(open_pack(tmp_path / "a.pack").reader(), samples, strict=True):
        assert_equal(left, right)


def test_what_a_pack_cannot_hold_is_refused_and_nothing_is_left(tmp_path):
    write_mat(tmp_path, "office_01", ibims_fields())
    with pytest.raises(ZDError, match="IBimsSample holds more than a pack can"):
        write_pack(tmp_path / "a.pack", IBimsReader(tmp_path), "ibims", tmp_path)
    assert not list(tmp_path.glob("*a.pack*"))


def test_a_pickled_reader_reads(packed, mat, tmp_path):
    copy = pickle.loads(pickle.dumps(open_pack(packed).reader()))
    assert_equal(copy[3], NYUReader(mat)[3])
    trees.TREES["kitti"](tmp_path)
    reader = open_reader("kitti", tmp_path)
    copy = pickle.loads(pickle.dumps(PackedReader(pack(tmp_path / "a.pack", reader, "kitti", tmp_path))))
    assert_equal(copy[0], reader[0])


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_training_set_gives_the_same_items_in_any_process(packed, mat, start):
    items = []
    for reader in (NYUReader(mat), open_pack(packed).reader()):
        frames = TrainingSet(reader, np.array([4, 1, 3]), RECIPES["corrected"], augment=True, seed=5)
        workers = 2 if reader.random_access else 0
        loader = DataLoader(frames, num_workers=workers, multiprocessing_context=start if workers else None)
        items.append(list(loader))
    for left, right in zip(*items, strict=True):
        assert all(bool((left[key] == right[key]).all()) for key in right)


def test_a_training_set_holds_no_packed_frame(packed):
    frames = TrainingSet(open_pack(packed).reader(), np.arange(6), RECIPES["corrected"], augment=True, seed=5)
    assert len(pickle.dumps(frames)) < 6 * 24 * 32 * 8 / 2


def changed(source: Path, target: Path, place: int, count: int = 1) -> Path:
    content = bytearray(source.read_bytes())
    content[place : place + count] = bytes(255 - byte for byte in content[place : place + count])
    target.write_bytes(content)
    return target


def damaged_at(source: Path, target: Path, content: bytes) -> Path:
    """A copy with one byte changed where `content` stands in the source."""
    place = source.read_bytes().index(content, 512)
    return changed(source, target, place + 5)


def stored(source: Path, key: str, number: int) -> bytes:
    """The bytes of a frame's picture in the file."""
    with h5py.File(source) as file:
        return bytes(file[key][number].tobytes())


DAMAGES = {
    "absent": (lambda path, bad: bad, "no such file: zdlib data pack writes it"),
    "empty": (lambda path, bad: bad.write_bytes(b""), "not a pack of this project"),
    "foreign": (lambda path, bad: bad.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(2000)), "not a pack of this project"),
    "older": (lambda path, bad: bad.write_bytes(b"zdlib-pack\r\n\1" + bytes(2000)), "a pack of format 1, .* reads 2"),
    "newer": (
        lambda path, bad: bad.write_bytes(path.read_bytes().replace(b"pack 2", b"pack 3", 1)),
        "a pack of format 3, this version reads 2",
    ),
    "truncated": (lambda path, bad: bad.write_bytes(path.read_bytes()[:-1]), "truncated: .* bytes, expected"),
    "cut short": (lambda path, bad: bad.write_bytes(path.read_bytes()[:70]), "truncated: 70 bytes, expected"),
    "longer": (lambda path, bad: bad.write_bytes(path.read_bytes() + b"x"), "damaged: .* bytes, expected"),
    "seal": (lambda path, bad: changed(path, bad, 30), "its header is damaged"),
    "superblock": (lambda path, bad: changed(path, bad, 512 + 20), "not a readable HDF5 file"),
    "attributes": (lambda path, bad: damaged_at(path, bad, b"nyu.mat"), "its header is damaged"),
    "image": (
        lambda path, bad: damaged_at(path, bad, stored(path, "images", 2)),
        "/images at 2 is damaged .*: pack again: zdlib data pack",
    ),
    "depth": (
        lambda path, bad: damaged_at(path, bad, stored(path, "rawDepths", 3)),
        "/rawDepths at 3 is damaged .*: pack again: zdlib data pack",
    ),
    "scene": (lambda path, bad: damaged_at(path, bad, "bedroom_0004".encode("utf-16-le")), "scenes holds a broken"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_pack_is_one_line(packed, tmp_path, capsys, kind):
    damage, message = DAMAGES[kind]
    bad = tmp_path / "bad.pack"
    damage(packed, bad)
    with pytest.raises(ZDError, match=rf"bad\.pack: {message}"):
        TrainingSet(open_pack(bad).reader(), np.arange(6), RECIPES["corrected"], augment=False, seed=0)
    assert main(["data", "pack", "--check", str(bad)]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"zdlib: {bad}: ")


@pytest.mark.slow
def test_every_byte_is_covered(packed, tmp_path):
    places = np.random.default_rng(0).integers(0, packed.stat().st_size, 60)
    for place in (*range(96), *places.tolist()):
        with pytest.raises(ZDError, match=r"bad\.pack"):
            open_pack(changed(packed, tmp_path / "bad.pack", place)).check()


def test_frames_in_another_order(packed, tmp_path):
    """Every chunk is itself, but the file is not: only the checksum of the whole tells."""
    bad = tmp_path / "bad.pack"
    shutil.copy(packed, bad)
    with h5py.File(bad, "r+") as file:
        (_, first), (_, second) = (file["rawDepths"].id.read_direct_chunk((number, 0, 0)) for number in (0, 3))
        file["rawDepths"].id.write_direct_chunk((0, 0, 0), second)
        file["rawDepths"].id.write_direct_chunk((3, 0, 0), first)
    frames = open_pack(bad).reader()
    assert len(list(frames)) == 6
    with pytest.raises(ZDError, match=r"damaged \(its SHA-256"):
        open_pack(bad).check()


def test_an_out_of_date_pack_names_the_command(packed, mat):
    reader = open_pack(packed)
    reader.require(mat, sha256(mat), "raw", NYUReader)
    command = rf"pack again: zdlib data pack nyu {mat} --depth {{}} -o {packed}$"
    with pytest.raises(ZDError, match="holds raw depth, not inpainted: " + command.format("inpainted")):
        reader.require(mat, sha256(mat), "inpainted", NYUReader)
    with pytest.raises(
        ZDError, match=r"out of date: packed from [0-9a-f]{12}, nyu\.mat is 0{12} .*" + command.format("raw")
    ):
        reader.require(mat, "0" * 64, "raw", NYUReader)
    with pytest.raises(ZDError, match=r"out of date: the code that reads nyu\.mat has changed since"):
        reader.require(mat, sha256(mat), "raw", IBimsReader)


def test_the_command(mat, tmp_path, capsys):
    out = tmp_path / "new" / "inpainted.pack"
    assert main(["data", "pack", "nyu", str(mat), "--depth", "inpainted", "-o", str(out)]) == 0
    assert "6/6" in capsys.readouterr().err, "a progress bar"
    assert main(["data", "pack", "--check", str(out)]) == 0
    digest = sha256(mat)[:12]
    assert f"{out}: sound; 6 frames of nyu (nyu.mat inpainted {digest}), 0.00 GB\n" in capsys.readouterr().out
    assert_equal(open_pack(out).reader()[2], NYUReader(mat, "inpainted")[2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nyu"], "data pack: name what to pack and where to write it"),
        (["nyu", "{f}/none.mat", "-o", "{f}/x"], "none.mat: no such file"),
        (["moon", "{f}", "-o", "{f}/x"], "moon: no such data set"),
        (["ddad", "{f}", "--depth", "raw", "-o", "{f}/x"], "--depth raw: ddad has one depth"),
        (["nyu", "{mat}", "-o", "{f}/file/x"], "file/x: cannot be written"),
    ],
)
def test_errors_are_one_line(mat, tmp_path, capsys, arguments, message):
    trees.TREES["ddad"](tmp_path)
    (tmp_path / "file").write_text("")
    assert main(["data", "pack", *(argument.format(f=tmp_path, mat=mat) for argument in arguments)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "x").exists()
