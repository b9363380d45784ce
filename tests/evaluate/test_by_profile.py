"""Test data sets of a profile: KITTI's recordings with the ground truth that the protocol means."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import street_trees as trees

from zdlib.config import KittiRawConfig, load_profile
from zdlib.errors import ZDError
from zdlib.evaluate.by_profile import Benchmark, open_benchmarks
from zdlib.metrics import protocols


def benchmarks(root: Path, *entries: dict[str, str]) -> list[Benchmark]:
    """The profile `streets`, judged on these lists of a recording."""
    profile = load_profile("streets")
    tests = tuple(KittiRawConfig(set="kitti_raw", root=str(root), **entry) for entry in entries)  # type: ignore[arg-type]
    return open_benchmarks(profile.model_copy(update={"data": profile.data.model_copy(update={"tests": tests})}))


def test_the_protocol_chooses_among_kitti_s_ground_truths(tmp_path: Path) -> None:
    tree = trees.kitti_raw(tmp_path)
    names = ("streets/eigen", "kitti/eigen-697", "streets/dense", "kitti/eigen-652-improved")
    found = benchmarks(tmp_path, *({"protocol": name} for name in names))
    sparse, forward, dense, improved = (benchmark.reader[0].depth for benchmark in found)
    assert np.count_nonzero(sparse) == np.count_nonzero(forward) == 4
    assert sparse[11, 20] == pytest.approx(30)
    assert forward[11, 20] == pytest.approx(30.3, abs=0.1), "the scanner is 0.3 m behind"
    np.testing.assert_array_equal(dense, improved)
    np.testing.assert_allclose(dense, tree.metres, rtol=1e-6)
    assert [len(benchmark.frames) for benchmark in found] == [3, 3, 2, 2]


def test_another_ground_truth_than_the_protocol_s_is_refused(tmp_path: Path) -> None:
    trees.kitti_raw(tmp_path)
    with pytest.raises(ZDError, match=r"data\.tests\.0\.protocol: streets/eigen judges by velodyne depth, the entry "):
        benchmarks(tmp_path, {"protocol": "streets/eigen", "depth": "improved"})


def test_frames_of_one_list_are_not_taken_for_those_of_another(tmp_path: Path) -> None:
    trees.kitti_raw(tmp_path)
    for number in (5, 6):
        (tmp_path / f"{number}.txt").write_text(f"{trees.DAY}/{trees.DRIVE} {number} l\n")
    five, six = ({"list_file": str(tmp_path / f"{number}.txt"), "protocol": "streets/dense"} for number in (5, 6))
    trained, other = benchmarks(tmp_path, five, six)
    used = {"set": "kitti_raw", "root": trained.entry.frames_of, "frames": 1}
    info = {"train_frames": [0], "sets": [used]}
    # Every crop of a picture this small is a handful of pixels.
    maps = {0: np.full((trees.HEIGHT, trees.WIDTH), 2.0, np.float32)}
    for benchmark, seen in ((trained, True), (other, False)):
        whole = replace(benchmark, protocol=protocols.get("streets/dense-whole"))
        table = whole.judge_maps(maps, whole._seen(info))
        assert table["trained_on"].tolist() == [seen]
        assert table["pixels"].iloc[0] > 0
