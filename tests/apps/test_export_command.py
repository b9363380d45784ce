"""`zdlib export`: names and files in, one file out, bad input in one line."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from zdlib.apps.command_line import main
from zdlib.models.checkpoints import save_checkpoint
from zdlib.models.factory import build_model
from zdlib.models.zoe.architecture import Architecture

SMALL = Architecture(
    encoder="tf_efficientnet_lite0",
    input_size=(64, 96),
    decoder_channels=16,
    bin_embedding_dim=16,
    n_attractors=(2, 2, 2, 2),
    n_bins=16,
    keep_aspect_ratio=True,
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "light.safetensors"
    torch.manual_seed(0)
    save_checkpoint(path, build_model(SMALL), SMALL, {"convention": {"canonical_focal": 80.0}})
    return str(path)


def test_the_file_gives_the_depth_of_predict(weights, tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "room.png")
    out, options = tmp_path / "out", ["--fov", "70"]
    assert main(["export", weights, "-o", str(out / "light.pt2"), "--size", "64x96", *options]) == 0
    assert "differs from PyTorch by" in capsys.readouterr().out
    picture, names = str(tmp_path / "room.png"), ["--weights", weights, "--no-flip"]
    assert main(["predict", picture, *names, "-o", str(tmp_path / "depth"), *options]) == 0
    said = {"zdlib.json": ""}
    program = torch.export.load(out / "light.pt2", extra_files=said)
    with torch.no_grad():
        depth = program.module()(torch.from_numpy(pixels)[None].repeat(2, 1, 1, 1)).numpy()
    by_predict = np.load(tmp_path / "depth/room.npy")
    np.testing.assert_allclose(depth[1], by_predict, atol=1e-4 * np.ptp(by_predict))
    assert json.loads(said["zdlib.json"])["model"] == "light.safetensors"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.pt", "-o", "x.onnx"], "none.pt: no such file"),
        (["moon", "-o", "x.pt2"], "moon: no such model"),
        (["zoe_light", "-o", "x.h5"], "x.h5: ends in neither .onnx nor .pt2"),
        (["zoe_light", "-o", "x.pt2", "--domain", "sea"], "domain sea: this model has"),
        (["zoe_light", "-o", "x.pt2", "--model", "zoe_beit_l"], "--model zoe_beit_l: zoe_light is a name already"),
        (["zoe_swin2_t", "-o", "x.pt2"], "zoe_swin2_t: its weights cannot be fetched by name"),
        (["damaged.pt2", "-o", "damaged.pt2"], "damaged.pt2: would replace the input"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "damaged.pt2").write_bytes(b"no network")
    assert main(["export", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"zdlib: {message}")
    assert error.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["damaged.pt2"]


@pytest.mark.parametrize("size", ["480", "480x", "8x640", "480x9999", "axb"])
def test_an_impossible_size_is_refused(size, capsys):
    with pytest.raises(SystemExit):
        main(["export", "zoe_light", "-o", "x.onnx", "--size", size])
    assert "give height x width, each from 16 to 8192" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_extra_is_named_before_anything_is_loaded(package, tmp_path, without_package, capsys):
    without_package(package)
    assert main(["export", "zoe_light", "-o", str(tmp_path / "x.onnx")]) == 1
    assert capsys.readouterr().err == "zdlib: ONNX needs the extra export: pip install 'zdlib[export]'\n"
    assert list(tmp_path.iterdir()) == []
