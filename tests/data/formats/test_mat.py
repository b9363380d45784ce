import io

import h5py
import numpy as np
import scipy.io

from zdlib.data.formats import mat


def test_a_matlab_5_file_has_no_date_and_is_read_by_scipy():
    content = {"data": {"rgb": np.arange(6, dtype=np.uint8).reshape(2, 3)}}
    written = mat.mat5_bytes(content)
    assert written == mat.mat5_bytes(content)
    assert written.startswith(b"MATLAB 5.0 MAT-file")
    assert b"20" not in written[:116]
    struct = scipy.io.loadmat(io.BytesIO(written))["data"]
    assert struct["rgb"][0, 0].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_the_matlab_73_header():
    header = mat.matlab73_header()
    assert len(header) == 512
    assert header.startswith(b"MATLAB 7.3 MAT-file")
    assert header[124:128] == b"\x00\x02IM"


def test_cells_are_references_to_utf16(tmp_path):
    texts = ["wall", "", "Möbel"]
    with h5py.File(tmp_path / "a.mat", "w") as file:
        mat.write_cells(file, "names", texts)
    with h5py.File(tmp_path / "a.mat") as file:
        cells = file["names"]
        assert cells.shape == (1, 3)
        stored = [file[reference][()] for reference in cells[0]]
    assert [characters.dtype for characters in stored] == [np.uint16] * 3
    assert ["".join(map(chr, characters[:, 0])) for characters in stored if characters.size] == ["wall", "Möbel"]
