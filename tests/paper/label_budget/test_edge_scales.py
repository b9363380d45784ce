"""Boundary F1 of pixels that lie further and further apart."""

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import zoom

from zdlib.config import load_profile
from zdlib.data.sets.ibims import IBimsSample
from zdlib.errors import ZDError
from zdlib.paper.label_budget import edge_scales, tables, words
from zdlib.paths import RunPaths

PROFILE = load_profile("label_budget")
TRUTH = {"f1_1": 0.1, "f1_4": 0.5, "f1_16": 0.9}


def sample():
    depth = np.full((96, 128), 2.0, np.float32)
    depth[:, 70:] = 4.0
    return IBimsSample(name="step", image=np.zeros((96, 128, 3), np.uint8), depth=depth)


def test_a_soft_edge_is_found_where_pixels_lie_apart():
    true = sample()
    soft = zoom(zoom(true.depth, 1 / 8, order=1), 8, order=1)
    sharp = edge_scales.f1_at_strides({0: true.depth}, [true], [0])
    blurred = edge_scales.f1_at_strides({0: soft}, [true], [0])
    assert sharp[1] == sharp[16] > 0
    assert blurred[1] < 0.3 * sharp[1]
    assert blurred[16] > 0.6 * sharp[16]


def test_the_truth_at_a_smaller_size_is_the_mean_of_what_is_known():
    depth = np.array([[2, 0, 4, 4], [2, 0, 4, 4]], np.float32)
    np.testing.assert_allclose(edge_scales.reduced(depth, (1, 2)), [[2, 4]])


def rows(study, gain):
    table = [{"arm": edge_scales.TRUTH, "seed": 0, **TRUTH}]
    for arm, config in study.config.arms.items():
        more = gain if config.seg_weight else 0.0
        table += [
            {"arm": arm, "seed": seed, "f1_1": 0.01, "f1_4": 0.2 + more, "f1_16": 0.4 + 1e-3 * seed * (more > 0)}
            for seed in config.seeds
        ]
    return pd.DataFrame(table)


def test_the_table_has_the_truth_first_and_differences_with_ends(make):
    study = make({})
    table = tables.edge_scales(study, rows(study, 0.05))
    assert table["F1, every 4th"].iloc[0] == 0.5
    assert (table["pairs"].iloc[1:] == 3).all()
    assert table["Δ F1, every 4th"].iloc[1:].tolist() == pytest.approx([0.05] * (len(table) - 1))
    assert table["Δ F1, every pixel"].iloc[1:].eq(0).all()
    said = words.edges_by_scale(table)
    assert "* *every pixel*: the truth at the network's size 0.100" in said
    assert "leave out zero for no contrast" in said.splitlines()[0]
    assert "25 %, w = 0.1 (+0.050)" in said.splitlines()[1]


def test_networks_that_were_not_judged_leave_their_contrast_empty(make):
    study = make({})
    few = rows(study, 0.05).query("arm not in ('heavy_100',)")
    table = tables.edge_scales(study, few)
    assert table[table["w"] == "1"]["pairs"].isna().all()
    assert "leave out zero for" in words.edges_by_scale(table)


def test_networks_that_are_not_on_this_disk_keep_their_rows(make, monkeypatch):
    study = make({}, arms=["control_25"])
    paths = RunPaths("label_budget")
    paths.checkpoints.mkdir()
    (paths.checkpoints / "control_25_2.safetensors").touch()
    old = rows(study, 0.0)
    monkeypatch.setattr(edge_scales, "judged", lambda *_: iter(old.to_dict("records")))
    first = edge_scales.judge(PROFILE, paths)
    assert len(first) == 4
    new = [{"arm": "control_25", "seed": 2, "f1_1": 0.0, "f1_4": 0.0, "f1_16": 0.7}]
    monkeypatch.setattr(edge_scales, "judged", lambda *_: iter(new))
    again = edge_scales.judge(PROFILE, paths)
    assert again.set_index(["arm", "seed"])["f1_16"].to_dict()["control_25", 2] == 0.7
    pd.testing.assert_frame_equal(edge_scales.load(paths), again)
    assert len(again) == 4


def test_without_the_file_the_command_is_named(make):
    make({}, arms=["control_25"])
    for read in (edge_scales.load, lambda paths: edge_scales.judge(PROFILE, paths)):  # no network is here either
        with pytest.raises(ZDError, match=r"edge_scales\.csv: no such file: python -m zdlib"):
            read(RunPaths("label_budget"))
