"""The benchmark: it times what agrees, and says what it found."""

import numpy as np
import pytest

from zdlib import bench
from zdlib.errors import ZDError


def test_contestants_take_turns_on_equal_depths():
    case = bench.Case("small", "zoe_swin2_t", ("plain", "zdlib"), size=(128, 128))
    table = bench.bench(case, rounds=2, threads=1).set_index("contestant")
    assert table["difference"]["plain"] == 0
    assert 0 < table["difference"]["zdlib"] < bench.AGREEMENT
    assert table["ratio"]["plain"] == 1
    assert (table["fastest"] <= table["seconds"]).all()
    assert (table["seconds"] <= table["slowest"]).all()
    assert (table["peak_mib"] > 0).all()


def test_what_does_not_agree_is_not_timed(monkeypatch):
    monkeypatch.setattr(bench, "AGREEMENT", 0.0)
    case = bench.Case("small", "zoe_swin2_t", ("plain", "zdlib"), size=(64, 64))
    with pytest.raises(ZDError, match=r"small: zdlib gives another depth \(.* of the range\): not timed"):
        bench.bench(case, rounds=1, threads=1)


def test_a_contestant_that_cannot_be_had_is_one_line():
    case = bench.Case("odd", "zoe_distill_lite0", ("plain",), size=(64, 96))
    with pytest.raises(ZDError, match="no un-optimised twin"):
        bench.bench(case, rounds=1, threads=1)


def test_difference_is_a_share_of_the_range():
    assert bench._difference(np.array([1.0, 2.5]), np.array([1.0, 3.0])) == 0.25


def test_the_machine_s_matrix_peak_is_positive():
    assert bench.matrix_peak(1, size=64) > 0
