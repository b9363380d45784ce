from dataclasses import replace

import numpy as np
import pytest
import rgbd
import street_trees
import trees
from ibims_files import fields, write_mat

from zdlib.apps.command_line import main
from zdlib.data import classes
from zdlib.data.check import check
from zdlib.data.registry import READERS, DataSet
from zdlib.errors import ZDError

TREES = trees.TREES | street_trees.TREES


def full_copy_of(monkeypatch, name, frames):
    """Let a full copy have this many frames."""
    monkeypatch.setitem(READERS, name, replace(READERS[name], frames=(frames,)))


@pytest.mark.parametrize("name", sorted(TREES))
def test_a_sound_copy(name, tmp_path, monkeypatch, capsys):
    tree = TREES[name](tmp_path)
    full_copy_of(monkeypatch, name, 2)
    assert main(["data", "check", name, str(tmp_path)]) == 0
    printed = capsys.readouterr()
    depth = tree.metres[tree.metres > 0]
    height, width = tree.metres.shape
    assert f"{READERS[name].title}: {tmp_path}\n" in printed.out
    assert "frames   2 (a full copy has 2)" in printed.out
    assert f"sizes    {width}×{height}: 2\n" in printed.out
    if name != "hypersim":  # half precision
        assert f"depth    {depth.min():.3f} to {depth.max():.3f} m\n" in printed.out
    assert f"{np.mean(tree.metres == 0):.1%} of the pixels have no depth" in printed.out
    assert "defects  none" in printed.out
    assert "2/2" in printed.err, "a progress bar"


@pytest.mark.parametrize("name", ["nyu", "ibims"])
def test_advice_on_a_wrong_copy_names_the_argument(name, tmp_path, capsys):
    (tmp_path / "wrong.mat").write_text("no data")
    assert main(["data", "check", name, str(tmp_path / "wrong.mat")]) == 1
    printed = capsys.readouterr().out
    assert "set ROOT to" in printed
    assert "profile" not in printed


def test_nyu_and_ibims_are_walked_too(tmp_path, monkeypatch, capsys):
    rgbd.write_nyu_mat(tmp_path / "nyu.mat", [rgbd.scene(), rgbd.scene(seed=1)], classes.raw_names())
    for name in ("office_01", "office_02"):
        write_mat(tmp_path / "ibims", name, fields())
    for name, root in (("nyu", "nyu.mat"), ("ibims", "ibims")):
        full_copy_of(monkeypatch, name, 2)
        assert main(["data", "check", name, str(tmp_path / root)]) == 0
        assert "sizes    32×24: 2\n" in capsys.readouterr().out


def test_masked_pixels_are_counted_apart(tmp_path):
    trees.diode(tmp_path)
    report = check("diode_indoor", tmp_path)
    assert (report.without_depth, report.masked, report.pixels) == (8, 64, 2 * 24 * 32)
    assert "invalid  0.5% of the pixels have no depth, and masked 4.2%" in report.text()


def test_a_partial_copy_is_a_defect(tmp_path, capsys):
    trees.vkitti2(tmp_path)
    assert main(["data", "check", "vkitti2", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "frames   2 (a full copy has 1701 or 21260)" in out
    assert f"defects  1\n    {tmp_path}: 2 frames, a full copy has 1701 or 21260\n" in out


def test_a_part_of_a_copy_may_be_what_is_wanted(tmp_path, capsys):
    trees.vkitti2(tmp_path / "v")
    assert main(["data", "check", "vkitti2", str(tmp_path / "v"), "--frames", "2"]) == 0
    street_trees.kitti_raw(tmp_path / "k")
    listed = tmp_path / "files.txt"
    listed.write_text(f"{street_trees.DAY}/{street_trees.DRIVE} 7 l\n")
    chosen = ["--list", str(listed), "--depth", "velodyne"]
    assert main(["data", "check", "kitti_raw", str(tmp_path / "k"), *chosen]) == 0
    assert "frames   1\n" in capsys.readouterr().out
    street_trees.cityscapes(tmp_path / "c", "train")
    assert main(["data", "check", "cityscapes", str(tmp_path / "c"), "--part", "train", "--frames", "3"]) == 1
    assert "2 frames, a full copy has 3" in capsys.readouterr().out


def test_the_first_defects_are_shown_and_all_counted(tmp_path, monkeypatch, capsys):
    for number in range(9):
        trees.save_image(tmp_path / f"{number}_rgb.png")
        trees.save_npy(tmp_path / f"{number}_depth.npy", np.ones((24, 32), np.float32))
    full_copy_of(monkeypatch, "ddad", 9)
    for number in range(7):
        (tmp_path / f"{number}_depth.npy").write_bytes(b"")
    (tmp_path / "7_rgb.png").write_bytes((tmp_path / "7_rgb.png").read_bytes()[:50])
    trees.save_npy(tmp_path / "8_depth.npy", np.full((24, 32), 7, np.float32))
    assert main(["data", "check", "ddad", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "defects  8\n" in out
    assert "depth    7.000 to 7.000 m" in out
    lines = [line for line in out.splitlines() if line.startswith(f"    {tmp_path}")]
    assert [line.split(":")[0].strip() for line in lines] == [f"{tmp_path}/{n}_depth.npy" for n in range(5)]
    assert out.rstrip().endswith("… and 3 more")


def test_a_missing_file_does_not_end_the_walk(tmp_path, monkeypatch):
    tree = trees.sunrgbd(tmp_path)
    full_copy_of(monkeypatch, "sunrgbd", 2)
    tree.depth.unlink()
    report = check("sunrgbd", tmp_path)
    assert (report.n_defects, sum(report.sizes.values())) == (1, 1)
    assert report.defects[0].startswith(f"{tree.depth}: ")


def test_a_copy_that_cannot_be_opened(tmp_path, capsys):
    assert main(["data", "check", "nyu", str(tmp_path / "x")]) == 1
    printed = capsys.readouterr()
    assert "frames   0 (a full copy has 1449)" in printed.out
    assert f"{tmp_path}/x: no such file: " in printed.out
    assert "sizes" not in printed.out
    assert main(["data", "check", "sun", str(tmp_path)]) == 1
    assert "zdlib: sun: no such data set: choose one of nyu, " in capsys.readouterr().err
    with pytest.raises(ZDError):
        check("sun", tmp_path)


class Broken:
    """A reader whose libraries raise what nobody expects."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        raise RuntimeError(f"codec {index}\ngave up")


def test_an_unforeseen_error_is_a_defect_of_its_frame(tmp_path, monkeypatch, capsys):
    def no_entry(self, root, options):
        raise PermissionError(13, "Permission denied", str(root))

    full_copy_of(monkeypatch, "ddad", 2)
    monkeypatch.setattr(DataSet, "open", lambda self, root, options: Broken())
    assert main(["data", "check", "ddad", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert f"    {tmp_path}: frame 0 cannot be read (RuntimeError: codec 0 gave up): replace its files\n" in out
    monkeypatch.setattr(DataSet, "open", no_entry)
    assert main(["data", "check", "ddad", str(tmp_path)]) == 1
    assert "cannot be read ([Errno 13] Permission denied" in capsys.readouterr().out


def test_the_data_sets_are_listed(capsys):
    assert main(["data", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [[name, known.protocol or "–"] for name, known in READERS.items()]
