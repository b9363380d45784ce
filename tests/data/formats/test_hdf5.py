import pickle

import h5py
import numpy as np
import pytest

from zdlib.data.formats.hdf5 import LazyFile, checked_index
from zdlib.errors import ZDError


@pytest.fixture
def source(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["numbers"] = np.arange(6, dtype=np.float32).reshape(2, 3)
        file["group/inner"] = 1
    return LazyFile(tmp_path / "a.h5", "fetch it again")


def test_a_dataset_is_checked(source):
    numbers = source.dataset("numbers", np.float32, ndim=2)
    assert source.read(numbers, (1, 2)) == 5
    with pytest.raises(ZDError, match=r"a\.h5: key 'letters' is missing \(has: group, numbers\): fetch it again"):
        source.dataset("letters")
    with pytest.raises(ZDError, match="key 'group' is missing"):
        source.dataset("group")
    with pytest.raises(ZDError, match="numbers has dtype float32, expected uint8"):
        source.dataset("numbers", np.uint8)
    with pytest.raises(ZDError, match=r"numbers has shape \(2, 3\), expected 3 axes"):
        source.dataset("numbers", ndim=3)
    with pytest.raises(ZDError, match="numbers has dtype float32, expected object references"):
        source.strings("numbers")


def test_nothing_is_opened_before_it_is_needed(tmp_path):
    source = LazyFile(tmp_path / "absent.h5", "fetch it")
    with pytest.raises(ZDError, match=r"absent\.h5: no such file: fetch it"):
        source.dataset("numbers")


def test_another_process_opens_the_file_anew(source, monkeypatch):
    first = source.file
    assert source.file is first
    monkeypatch.setattr("os.getpid", lambda: -2)
    assert source.file is not first
    copy = pickle.loads(pickle.dumps(source))
    assert copy.dataset("numbers").shape == (2, 3)


def test_an_index_counts_from_zero_and_not_from_the_end(tmp_path):
    assert checked_index(tmp_path, np.int64(2), 3) == 2
    for index in (-1, 3):
        with pytest.raises(ZDError, match=rf"frame {index} is outside 0\.\.2"):
            checked_index(tmp_path, index, 3)
    with pytest.raises(TypeError):
        checked_index(tmp_path, 1.5, 3)
