"""Scoring files: against hand-computed values, against the notebooks' evaluation, and everything that can be wrong."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.io
from PIL import Image

from tests import rgbd, trees
from zdlib.apps.command_line import main
from zdlib.data import classes
from zdlib.data.sets.ibims import IBimsReader
from zdlib.data.sets.nyu import NYUReader
from zdlib.errors import ZDError
from zdlib.evaluate.judge import evaluate_depth
from zdlib.evaluate.truth import find_protocol, open_truth
from zdlib.metrics import protocols

COUNT = 8
TRAIN, TEST = [0, 1, 2, 7], [3, 4, 5, 6]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """`nyu.mat`, `splits.mat`, `ibims/` and a folder `rgbd/` of images and depth maps."""
    root = tmp_path_factory.mktemp("truth")
    frames = [rgbd.scene(48, 64, seed=i) for i in range(COUNT)]
    scenes = [f"bedroom_{i // 2:04d}" for i in range(COUNT)]
    rgbd.write_nyu_mat(root / "nyu.mat", frames, classes.raw_names(), scenes=scenes)
    split = {key: np.array(part)[:, None] + 1 for key, part in (("trainNdxs", TRAIN), ("testNdxs", TEST))}
    scipy.io.savemat(root / "splits.mat", split)
    (root / "ibims").mkdir()
    rgbd.write_ibims(root / "ibims")
    for index, (image, depth, _) in enumerate(frames[:3]):
        for name, picture in (("rgb", image), ("depth", np.round(depth * 1000).astype(np.uint16))):
            (root / "rgbd" / name / "flat").mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(root / "rgbd" / name / "flat" / f"{index}.png")
    return root


@pytest.fixture
def nyu(data):
    """Ground truth as measured, 10 % too far, by frame."""
    reader = NYUReader(data / "nyu.mat")
    return {
        frame: np.float32(1.1) * np.where(d := reader[frame].depth, d, 2).astype(np.float32) for frame in range(COUNT)
    }


def save(folder, maps, name="nyu_{:04d}.npy"):
    folder.mkdir()
    for frame, depth in maps.items():
        path = folder / name.format(frame)
        np.savez(path, depth=depth) if path.suffix == ".npz" else np.save(path, depth)
    return folder


def run(data, pred, *more, dataset="nyu", protocol="standard", gt="nyu.mat"):
    return main(
        ["score", "--dataset", dataset, "--protocol", protocol, "--pred", str(pred), "--gt", str(data / gt), *more]
    )


def test_ten_percent_too_far(data, nyu, tmp_path, capsys):
    pred = save(tmp_path / "far", {frame: nyu[frame] for frame in TEST})
    assert run(data, pred, "-o", str(tmp_path / "out")) == 0
    printed = capsys.readouterr().out
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["protocol"], summary["images"], summary["method"]) == ("nyu/standard", 4, "far")
    assert summary["data"] == "8 frames in the layout of NYU Depth v2"
    assert summary["trained_on"] is None
    assert summary["scenes"] == 3
    expected = {"delta1": 1, "abs_rel": 0.1, "log10": np.log10(1.1), "log_bias": np.log(1.1), "rmse_log": np.log(1.1)}
    for metric, value in expected.items():
        found = summary["metrics"][metric]
        assert found["value"] == pytest.approx(value, rel=1e-5)
        assert found["low"] <= found["value"] + 1e-12
        assert found["value"] - 1e-12 <= found["high"]
    assert "| nyu/standard | 8 frames in the layout of NYU Depth v2 | far | 4 | – | 1.000 |" in printed
    assert "raw ground truth, 0.001 m < d < 10 m, Eigen crop" in printed
    assert "95 % bootstrap intervals over 3 scenes" in printed


def test_the_tables_are_those_of_the_notebooks(data, nyu, tmp_path):
    pred = save(tmp_path / "far", nyu, "{}.npz")
    for name in ("standard", "published"):
        out = tmp_path / name
        assert run(data, pred, "-o", str(out), "--trained-on", "official", protocol=name) == 0
        readers = {"raw": NYUReader(data / "nyu.mat"), "inpainted": NYUReader(data / "nyu.mat", depth="inpainted")}
        frames = TEST if name == "standard" else range(COUNT)
        expected = evaluate_depth(nyu, readers, frames, protocols.get(f"nyu/{name}"), TRAIN)
        found = pd.read_csv(out / "per_image.csv")
        pd.testing.assert_frame_equal(found, expected, rtol=1e-12)
        row = pd.read_csv(out / "depth.csv").iloc[0]
        assert row["abs_rel"] == pytest.approx(expected["abs_rel"].mean())
        assert row["trained_on"] == (0 if name == "standard" else 50)
        assert pd.read_csv(out / "by_distance.csv")["pixels"].sum() == expected["pixels"].sum()
        assert pd.read_csv(out / "by_class.csv")["pixels"].sum() == expected["pixels"].sum()


def test_png_and_numbers_from_one(data, nyu, tmp_path, capsys):
    pred = tmp_path / "png"
    pred.mkdir()
    for frame in TEST:
        Image.fromarray(np.round(nyu[frame] * 5000).astype(np.uint16)).save(pred / f"{frame + 1:05d}.png")
    (pred / "readme.txt").write_text("not a prediction")
    assert run(data, pred) == 1
    assert "add --scale" in capsys.readouterr().err
    assert run(data, pred, "--scale", "5000") == 2
    assert "begin with 1: add --first 1" in capsys.readouterr().err
    assert run(data, pred, "--scale", "5000", "--first", "1", "-o", str(tmp_path / "out")) == 0
    row = pd.read_csv(tmp_path / "out" / "depth.csv").iloc[0]
    assert row["abs_rel"] == pytest.approx(0.1, abs=1e-3)


def test_one_file_for_all(data, nyu, tmp_path, capsys):
    of_test, of_all = (np.stack([nyu[frame] for frame in frames]) for frames in (TEST, range(COUNT)))
    np.save(tmp_path / "test.npy", of_test)
    np.save(tmp_path / "all.npy", of_all)
    np.savez(tmp_path / "stack.npz", of_test)
    np.savez(tmp_path / "named.npz", **{f"nyu_{frame:04d}": nyu[frame] for frame in TEST})
    rows = []
    for name in ("test.npy", "all.npy", "stack.npz", "named.npz"):
        assert run(data, tmp_path / name, "-o", str(tmp_path / "out")) == 0, name
        rows.append(pd.read_csv(tmp_path / "out" / "per_image.csv"))
    for other in rows[1:]:
        pd.testing.assert_frame_equal(rows[0], other)
    assert "4 predictions are of frames that nyu/standard does not average over" in capsys.readouterr().out
    np.save(tmp_path / "three.npy", of_test[:3])
    assert run(data, tmp_path / "three.npy") == 1
    assert "holds 3 depth maps, expected 4 (the protocol's frames) or 8 (all)" in capsys.readouterr().err


def test_everything_wrong_is_told_at_once_and_nothing_is_written(data, nyu, tmp_path, capsys):
    pred = save(tmp_path / "bad", {3: nyu[3], 4: nyu[4].T, 5: np.where(nyu[5] > 3, np.nan, nyu[5])})
    np.save(pred / "kitchen.npy", nyu[0])
    assert run(data, pred, "-o", str(tmp_path / "out")) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "cannot be scored under nyu/standard (4 frames): 1 missing (nyu_0006); 1 extra (kitchen); " in error
    assert "1 of another size (nyu_0004: 64×48, not 48×64); 1 not finite (nyu_0005)" in error
    assert not (tmp_path / "out").exists()


def test_long_lists_are_counted(data, nyu, tmp_path, capsys):
    pred = save(tmp_path / "few", {0: nyu[0]})
    assert run(data, pred) == 2
    assert "4 missing (nyu_0003, nyu_0004, nyu_0005 and 1 more)" in capsys.readouterr().err


def test_unreadable_files_are_named(data, nyu, tmp_path, capsys):
    pred = save(tmp_path / "broken", {frame: nyu[frame] for frame in TEST})
    (pred / "nyu_0003.npy").write_bytes(b"\x93NUMPY")
    np.save(pred / "nyu_0004.npy", np.zeros((2, 48, 64), np.float32))
    assert run(data, pred) == 2
    error = capsys.readouterr().err
    assert "2 unreadable" in error
    assert "nyu_0003.npy: not a readable .npy file" in error
    assert "nyu_0004: is float32 (2, 48, 64), not a depth map" in error


def test_another_size_is_resized_where_the_protocol_says_so(data, tmp_path, capsys):
    reader = IBimsReader(data / "ibims")
    small = {f"hall_{i:02d}": reader[i].depth[::2, ::2] for i in range(2)}
    pred = save(tmp_path / "small", small, "{}.npy")
    assert run(data, pred, dataset="ibims", protocol="ibims/zoedepth", gt="ibims") == 0
    printed = capsys.readouterr().out
    assert "2 predictions were resized from 24×32" in printed
    assert "own metrics are left out" in printed
    assert run(data, pred, dataset="ibims", protocol="koch", gt="ibims") == 2
    assert "2 of another size (hall_00: 24×32, not 48×64, " in capsys.readouterr().err


def test_ibims_comes_with_its_geometry(data, tmp_path, capsys):
    reader = IBimsReader(data / "ibims")
    pred = save(tmp_path / "perfect", {f"hall_{i:02d}": reader[i].depth for i in range(2)}, "{}.npy")
    out = tmp_path / "out"
    assert run(data, pred, "-o", str(out), dataset="ibims", protocol="zoedepth", gt="ibims") == 0
    assert "DDE 0 [%]" in capsys.readouterr().out
    summary = json.loads((out / "summary.json").read_text())
    assert summary["metrics"]["delta1"] == {"value": 1, "low": 1, "high": 1}
    assert summary["geometry"]["dde_0"] == 100
    assert len(pd.read_csv(out / "planes.csv")) == 2
    assert not (out / "by_class.csv").exists()


def test_a_folder_borrows_pixel_rules(data, tmp_path):
    truth = {i: np.array(Image.open(data / "rgbd" / "depth" / "flat" / f"{i}.png")) for i in range(3)}
    pred = tmp_path / "pred"
    save(pred, {i: depth / np.float32(2000) for i, depth in truth.items()}, "{}.npy")
    (tmp_path / "out").mkdir()
    assert run(data, pred, "-o", str(tmp_path / "out"), dataset="folder", protocol="nyu/standard", gt="rgbd") == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["protocol"], summary["data"], summary["images"]) == ("folder/nyu-standard", "rgbd", 3)
    assert summary["metrics"]["abs_rel"]["value"] == pytest.approx(0.5)


def test_protocols_belong_to_data_sets():
    assert find_protocol("nyu", "standard") is protocols.get("nyu/standard")
    with pytest.raises(ZDError, match="is not a protocol of nyu"):
        find_protocol("nyu", "ibims/koch")
    with pytest.raises(ZDError, match="no such evaluation protocol"):
        find_protocol("folder", "standard")


@pytest.mark.parametrize(
    ("dataset", "argument", "advice"),
    [
        ("nyu", "--gt", "set --gt (or ZD_DATA) to NYU's nyu_depth_v2_labeled.mat"),
        ("ibims", "--gt", "set --gt (or ZD_DATA) to the folder that holds iBims-1's"),
        ("nyu", "--splits", "set --splits to NYU's splits.mat"),
    ],
)
def test_advice_on_a_wrong_file_names_the_argument(tmp_path, capsys, dataset, argument, advice):
    (tmp_path / "wrong.mat").write_text("no data")
    np.save(tmp_path / "stack.npy", np.ones((1, 6, 8), np.float32))
    gt = tmp_path / "nyu.mat"
    rgbd.write_nyu_mat(gt, [rgbd.scene(6, 8)], classes.raw_names())
    arguments = ["--dataset", dataset, "--pred", str(tmp_path / "stack.npy"), "--gt", str(gt)]
    assert main(["score", *arguments, argument, str(tmp_path / "wrong.mat")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "wrong.mat" in error
    assert advice in error
    assert "profile" not in error


@pytest.mark.slow
def test_the_whole_data_set_has_its_name_and_split(tmp_path, monkeypatch):
    """1449 frames are NYU: the official split needs no file, and $ZD_DATA is where they are looked for."""
    frames = [rgbd.scene(6, 8)] * 1449
    rgbd.write_nyu_mat(tmp_path / "nyu_depth_v2_labeled.mat", frames, classes.raw_names())
    with pytest.raises(ZDError, match=r"--gt: name nyu_depth_v2_labeled[.]mat, or set ZD_DATA"):
        open_truth("nyu", None)
    monkeypatch.setenv("ZD_DATA", str(tmp_path))
    truth = open_truth("nyu", None)
    assert truth.data == "NYU Depth v2"
    test = truth.frames(protocols.get("nyu/standard"))
    assert (len(test), test[:4], len(truth.seen("official"))) == (654, [0, 1, 8, 13], 795)


def test_a_split_that_does_not_exist(data):
    with pytest.raises(ZDError, match="only data in NYU's layout"):
        open_truth("ibims", data / "ibims").seen("official")


def test_kitti_whole_or_as_the_benchmark_crops_it(tmp_path, capsys):
    tree = trees.kitti(tmp_path / "kitti")
    for png in (tmp_path / "kitti").rglob("*.png"):
        units = np.full((375, 1242), 5120, np.uint16)  # 20 m
        trees.save_png(png, units) if "proj_depth" in str(png) else trees.save_image(png, 375, 1242)
    reader = open_truth("kitti", tree.root)
    assert reader.data == "2 frames in the layout of KITTI"
    sloped = np.tile(np.linspace(16, 24, 1242, dtype=np.float32), (375, 1))
    rows = {}
    for name, depth in (("whole", sloped), ("shown", sloped[23:, 13:1229])):
        pred = save(tmp_path / name, dict.fromkeys(reader.names, depth), "{}.npy")
        out = tmp_path / f"out_{name}"
        assert main(["score", "--dataset", "kitti", "--pred", str(pred), "--gt", str(tree.root), "-o", str(out)]) == 0
        rows[name] = pd.read_csv(out / "per_image.csv")
    pd.testing.assert_frame_equal(rows["whole"], rows["shown"])
    assert "kitti/zoedepth" in capsys.readouterr().out
    small = save(tmp_path / "small", dict.fromkeys(reader.names, sloped[::2, ::2]), "{}.npy")
    assert main(["score", "--dataset", "kitti", "--pred", str(small), "--gt", str(tree.root)]) == 2
    assert "2 of another size" in capsys.readouterr().err


def test_unknown_data_sets_are_told():
    with pytest.raises(ZDError, match="moon: no such data set: choose one of nyu"):
        open_truth("moon", None)
    with pytest.raises(ZDError, match="--gt: name the folder"):
        open_truth("ddad", None)
    with pytest.raises(ZDError, match="--protocol: name the protocol"):
        find_protocol("folder", None)
    assert find_protocol("ddad", None) is protocols.get("ddad/zoedepth")
