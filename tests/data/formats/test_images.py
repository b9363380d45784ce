import numpy as np
import pytest
from PIL import Image

from zdlib.data.formats.images import read_picture
from zdlib.errors import ZDError


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16])
def test_png_files_keep_their_type(tmp_path, dtype):
    pixels = np.arange(12).reshape(3, 4).astype(dtype)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = read_picture(tmp_path / "a.png", "replace it")
    assert read.dtype == dtype
    assert np.array_equal(read, pixels)


def test_conversion_to_rgb(tmp_path):
    Image.fromarray(np.full((3, 4), 9, np.uint8)).save(tmp_path / "a.png")
    assert np.array_equal(read_picture(tmp_path / "a.png", "replace it", "RGB"), np.full((3, 4, 3), 9, np.uint8))


@pytest.mark.parametrize("keep", [0, 8, 40, 60])
def test_missing_and_damaged_files_are_one_line(tmp_path, keep):
    path = tmp_path / "a.png"
    with pytest.raises(ZDError, match=r"a\.png: no such file: replace it"):
        read_picture(path, "replace it")
    Image.fromarray(np.arange(3000, dtype=np.uint16).reshape(50, 60)).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ZDError, match=r"a\.png: not a readable image .*: replace it"):
        read_picture(path, "replace it")
