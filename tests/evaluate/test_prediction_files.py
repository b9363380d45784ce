"""Which file is which frame, and what is read from it."""

import numpy as np
import pytest
from PIL import Image

from zdlib.errors import ZDError
from zdlib.evaluate.prediction_files import Predictions, check, open_source

DEPTH = np.arange(1, 13, dtype=np.float32).reshape(3, 4)
NAMES = ["a", "b_c", "d"]


def test_names_with_folders_and_kinds(tmp_path):
    (tmp_path / "b").mkdir()
    np.save(tmp_path / "a.npy", DEPTH)
    np.save(tmp_path / "b" / "c.npy", DEPTH[None, :, :, None])
    np.savez(tmp_path / "d.npz", depth=DEPTH)
    source = open_source(tmp_path)
    assert (source.suffix, set(source.named), source.ignored) == (".npy", {"a", "b_c"}, 1)
    maps = Predictions(source, NAMES, [0, 1, 2])
    assert (maps.missing, maps.extra, sorted(maps)) == (["d"], [], [0, 1])
    np.testing.assert_array_equal(maps[1], DEPTH)
    with pytest.raises(KeyError):
        maps[2]


def test_two_files_of_one_name(tmp_path):
    (tmp_path / "a").mkdir()
    np.save(tmp_path / "a_b.npy", DEPTH)
    np.save(tmp_path / "a" / "b.npy", DEPTH)
    with pytest.raises(ZDError, match="another file is called a_b too"):
        open_source(tmp_path)


def test_the_array_called_depth(tmp_path):
    np.savez(tmp_path / "a.npz", depth=DEPTH, sigma=DEPTH + 1)
    np.savez(tmp_path / "d.npz", mean=DEPTH, sigma=DEPTH + 1)
    maps = Predictions(open_source(tmp_path), NAMES, [0], units_per_metre=10.0)
    np.testing.assert_allclose(maps[0], DEPTH / 10)
    with pytest.raises(ZDError, match=r"holds 2 arrays \(mean, sigma\): call the depth map 'depth'"):
        maps[2]


@pytest.mark.parametrize(
    ("picture", "message"),
    [(DEPTH.astype(np.uint8), "uint8 with 2 axes"), (np.zeros((3, 4, 3), np.uint8), "uint8 with 3 axes")],
)
def test_a_png_must_have_16_bits(tmp_path, picture, message):
    Image.fromarray(picture).save(tmp_path / "a.png")
    with pytest.raises(ZDError, match=message):
        Predictions(open_source(tmp_path), NAMES, [0], units_per_metre=256.0)[0]


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_unit(tmp_path, scale):
    np.save(tmp_path / "a.npy", DEPTH)
    with pytest.raises(ZDError, match="--scale"):
        Predictions(open_source(tmp_path), NAMES, [0], units_per_metre=scale)


def test_nothing_to_read(tmp_path):
    with pytest.raises(ZDError, match=r"holds no \.npy"):
        open_source(tmp_path)
    with pytest.raises(ZDError, match="no such folder"):
        open_source(tmp_path / "none")
    np.save(tmp_path / "flat.npy", DEPTH)
    with pytest.raises(ZDError, match="not a stack of depth maps"):
        open_source(tmp_path / "flat.npy")


def test_pickles_are_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ZDError, match=r"not a readable \.npy file"):
        Predictions(open_source(tmp_path), NAMES, [0])[0]


def test_numbers_and_names_side_by_side(tmp_path):
    for name in ("0", "0002", "a", "3", "-1"):
        np.save(tmp_path / f"{name}.npy", DEPTH)
    maps = Predictions(open_source(tmp_path), NAMES, [0, 2], numbered=True)
    assert sorted(maps) == [0, 2]
    assert maps.missing == []
    assert sorted(maps.extra) == ["-1", "3", "a"]  # a second one for frame 0, and two that no frame has


def test_what_is_noted(tmp_path):
    np.save(tmp_path / "a.npy", DEPTH - 1)
    np.save(tmp_path / "d.npy", DEPTH[:2])
    maps = Predictions(open_source(tmp_path), NAMES, [0, 2])
    findings = check(maps, [0, 2], lambda frame: (3, 4), "x/y", own_size=True)
    assert (findings.sizes, findings.not_positive) == ({(2, 4): 1}, 1)
    assert findings.notes == [
        "1 predictions were resized from 2×4, bilinear",
        "1 predictions hold values that are zero or negative",
    ]
    np.save(tmp_path / "d.npy", DEPTH[:2] + 1)
    changed = check(maps, [0, 2], lambda frame: (3, 4), "x/y", own_size=True)
    assert changed.sha256 != findings.sha256
