"""No command replaces what it reads, nor one of its outputs by another; a picture's files appear together."""

import os
from pathlib import Path

import numpy as np
import pytest
import rgbd
import tiny_models
import torch
from PIL import Image

import zdlib.apps.prediction.depth_files as depth_files
from zdlib.apps.command_line import main
from zdlib.data import classes
from zdlib.models.checkpoints import save_checkpoint
from zdlib.models.factory import build_model
from zdlib.models.zoe.architecture import Architecture

TINY = Architecture(
    encoder="beit_test_patch16_64", input_size=(tiny_models.NATIVE,) * 2, bin_embedding_dim=16, decoder_channels=16
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    torch.manual_seed(0)
    save_checkpoint(path, build_model(TINY), TINY, {})
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures whose results would meet, and links to them."""
    (tmp_path / "d").mkdir()
    for name in ("room.png", "a.png", "a_preview.png", "A.jpg"):
        Image.new("RGB", (70, 50), (9, 99, 199)).save(tmp_path / "d" / name)
    (tmp_path / "to_d").symlink_to("d")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(capsys, folder: Path, *arguments: object) -> str:
    """The one line with which a command ends that changes nothing."""
    before = contents(folder)
    assert main([str(argument) for argument in arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert contents(folder) == before
    return said.err


@pytest.mark.parametrize(
    ("pictures", "out", "message"),
    [
        (["d/room.png"], "d", "d/room.png: would replace the input"),
        (["d/room.png"], "to_d", "to_d/room.png: would replace the input"),
        (["d/room.png"], "d/../d", "room.png: would replace the input"),
        (["d"], "out", "same name"),
        (["d/a.png", "d/a_preview.png"], "out", "a_preview.png"),
        (["d/a.png", "d/A.jpg"], "out", "same name"),
        (["d/room.png", "d/room.png"], "out", "same name"),
    ],
)
def test_predict_refuses(folder, checkpoint, capsys, pictures, out, message) -> None:
    paths = [folder / picture for picture in pictures]
    assert message in refused(capsys, folder, "predict", *paths, "--weights", checkpoint, "-o", folder / out)
    assert not (folder / "out").exists()


def test_predict_keeps_its_weights(folder, checkpoint, capsys) -> None:
    weights = folder / "room.npy"
    weights.write_bytes(checkpoint.read_bytes())
    said = refused(capsys, folder, "predict", folder / "d" / "room.png", "--weights", weights, "-o", folder)
    assert f"would replace the input {weights}" in said


@pytest.mark.parametrize("name", ["x.mat", "X.MAT", "link.mat", "hard.mat"])
def test_pack_keeps_the_data_set(tmp_path, capsys, name) -> None:
    rgbd.write_nyu_mat(tmp_path / "x.mat", [rgbd.scene(seed=i) for i in range(2)], classes.raw_names())
    (tmp_path / "link.mat").symlink_to("x.mat")
    os.link(tmp_path / "x.mat", tmp_path / "hard.mat")
    assert "would replace the input" in refused(
        capsys, tmp_path, "data", "pack", "nyu", tmp_path / "x.mat", "-o", tmp_path / name
    )


def test_convert_keeps_its_source(tmp_path, checkpoint, capsys) -> None:
    (tmp_path / "m.safetensors").write_bytes(checkpoint.read_bytes())
    (tmp_path / "m.pt").symlink_to("m.safetensors")
    said = refused(capsys, tmp_path, "convert", tmp_path / "m.safetensors", tmp_path / "m.pt")
    assert "m.pt: would replace the input" in said


def test_score_keeps_its_list_and_its_data(tmp_path, capsys) -> None:
    (tmp_path / "rgb").mkdir()
    (tmp_path / "pred").mkdir()
    np.save(tmp_path / "pred" / "a.npy", np.ones((4, 4), np.float32))
    (tmp_path / "depth.csv").write_text("rgb/a.png depth/a.png\n")
    listed = ["--list", tmp_path / "depth.csv", "--gt", tmp_path]
    words = ["score", "--dataset", "folder", "--protocol", "nyu/standard", "--pred", tmp_path / "pred", *listed]
    assert "depth.csv: would replace the input" in refused(capsys, tmp_path, *words, "-o", tmp_path)


def test_the_three_files_of_a_picture_appear_together(folder, checkpoint, capsys, monkeypatch) -> None:
    monkeypatch.setattr(depth_files, "preview", lambda *maps: (_ for _ in ()).throw(MemoryError))
    out = folder / "out"
    said = refused(capsys, folder, "predict", folder / "d" / "room.png", "--weights", checkpoint, "-o", out)
    assert said == "zdlib: more memory is needed than there is: free some, or give smaller inputs\n"
    assert not out.exists()
