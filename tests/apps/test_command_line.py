from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from golden.weights_recipe import recipe_image
from golden_models import GOLDEN, official_state, relative_error
from PIL import Image

from zdlib.apps.command_line import main
from zdlib.models.checkpoints import load_checkpoint, save_checkpoint
from zdlib.models.depth_model import AS_ZOEDEPTH
from zdlib.models.factory import build_model, load_depth_model
from zdlib.models.zoe.architecture import Architecture
from zdlib.models.zoe.network import ZoeDepth, ZoeOutput

SMALL = Architecture(
    encoder="tf_efficientnet_lite0", input_size=(64, 96), decoder_channels=16, bin_embedding_dim=16
)  # fmt: skip


WEIGHTS = ["--weights", "{f}/metres.safetensors", "-o", "{f}/x"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    torch.manual_seed(0)
    conventions = {
        "metres": {"recipe": "corrected"},
        "kilometres": {"convention": {"metres_per_unit": 1000.0}},
        "published": {"recipe": "published"},
        "relative": {"convention": {"kind": "relative"}},
    }
    for name, info in conventions.items():
        torch.manual_seed(0)
        save_checkpoint(folder / f"{name}.safetensors", build_model(SMALL), SMALL, info)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8)).save(folder / "room.png")
    return folder


def predict(files: Path, name: str, *more: str) -> Path:
    out = files / f"out_{name}"
    weights = files / f"{name}.safetensors"
    assert main(["predict", str(files / "room.png"), *more, "--weights", str(weights), "-o", str(out)]) == 0
    return out


def test_predict_writes_three_files(files, capsys):
    out = predict(files, "metres")
    depth = np.load(out / "room.npy")
    assert (depth.shape, depth.dtype) == ((50, 70), np.float32)
    assert np.array_equal(np.array(Image.open(out / "room.png")), np.round(depth * 1000).astype(np.uint16))
    assert np.array(Image.open(out / "room_preview.png")).shape[2] == 3
    assert "room.npy" in capsys.readouterr().out


def test_the_unit_is_the_checkpoints(files):
    depths = [np.load(predict(files, name) / "room.npy") for name in ("metres", "kilometres")]
    np.testing.assert_allclose(depths[1], 1000 * depths[0], rtol=1e-6)


def test_the_published_recipe_is_in_kilometres_and_squeezed(files):
    """Its pictures reach the network as those of its training did; depth is at the picture's size all the same."""
    found, plain = (np.load(predict(files, name, "--no-pad") / "room.npy") for name in ("published", "kilometres"))
    model, _ = load_checkpoint(files / "metres.safetensors")
    picture = torch.from_numpy(np.array(Image.open(files / "room.png"))).permute(2, 0, 1)[None].float() / 255
    squeezed = F.interpolate(picture, (70, 50), mode="bilinear")
    with torch.inference_mode():
        straight, mirrored = (model(x).metric_depth for x in (squeezed, squeezed.flip(3)))
        depth = F.interpolate((straight + mirrored.flip(3)) / 2, (50, 70), mode="bicubic")
    np.testing.assert_allclose(found, 1000 * depth[0, 0].numpy(), rtol=1e-5)
    assert np.abs(found / plain - 1).max() > 1e-3


def test_relative_depth_is_not_written_as_metres(files, tmp_path, capsys):
    weights = str(files / "relative.safetensors")
    assert main(["predict", str(files / "room.png"), "--weights", weights, "-o", str(tmp_path / "x")]) == 0
    assert " relative inverse depth -> " in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "x").iterdir()}
    assert names == {f"room_inverse_depth{end}" for end in (".npy", ".png", "_preview.png")}


def test_a_folder_s_pictures_are_predicted_one_by_one(files, tmp_path, capsys):
    for name in ("b.png", "a.JPG"):
        Image.open(files / "room.png").save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    arguments = ["--weights", str(files / "metres.safetensors"), "-o", str(tmp_path / "out")]
    assert main(["predict", str(tmp_path), *arguments]) == 0
    assert {path.name for path in (tmp_path / "out").glob("*.npy")} == {"a.npy", "b.npy"}
    assert capsys.readouterr().out.index("a.JPG") < 200
    (tmp_path / "empty").mkdir()
    assert main(["predict", str(tmp_path / "empty"), *arguments]) == 1
    assert "no .jpeg, .jpg, .png in this folder" in capsys.readouterr().err


def test_bfloat16_is_an_option(files, tmp_path):
    exact, half = (np.load(predict(files, "metres", "--precision", p) / "room.npy") for p in ("fp32", "bf16"))
    assert not np.array_equal(half, exact)
    np.testing.assert_allclose(half, exact, rtol=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "{f}/none.png", *WEIGHTS], "none.png"),
        (["predict", "{f}/room.png", "--weights", "{f}/none.safetensors", "-o", "{f}/x"], "no such file"),
        (["predict", "{f}/room.png", *WEIGHTS, "--domain", "moon"], "moon"),
        (["predict", "{f}/room.png", *WEIGHTS, "--model", "nope"], "nope: no such model"),
        (["predict", "{f}/room.png", *WEIGHTS, "--model", "zoe_swin2_t"], "holds another model than zoe_swin2_t"),
        (["predict", "{f}/room.png", *WEIGHTS, "--device", "tpu9"], "tpu9"),
        (["predict", "{f}/room.png", "{f}/room.png", *WEIGHTS], "same name"),
        (["convert", "{f}/metres.safetensors", "{f}/x.pt"], "no place"),
        (["convert", "{f}/metres.safetensors", "{f}/x.onnx"], "must end in"),
        (["info", "{f}/room.png"], "room.png"),
    ],
)
def test_errors_are_one_line(files, capsys, arguments, message):
    assert main([argument.format(f=files) for argument in arguments]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not (files / "x").exists()


def test_info(files, capsys):
    assert main(["info"]) == 0
    assert "zoe_distill_swin2_b" in capsys.readouterr().out
    assert main(["info", str(files / "metres.safetensors")]) == 0
    assert '"recipe": "corrected"' in capsys.readouterr().out


@pytest.mark.slow
def test_an_official_file_goes_through_convert_and_predict(tmp_path, monkeypatch):
    """Its depth is the reference's, once the picture's rounding to 8 bits (which the reference lacks) is undone."""
    torch.save({"model": official_state("swin2_t")}, tmp_path / "ZoeD.pt")
    assert main(["convert", str(tmp_path / "ZoeD.pt"), str(tmp_path / "ours.safetensors")]) == 0
    assert main(["convert", str(tmp_path / "ours.safetensors"), str(tmp_path / "back.pt")]) == 0
    exact = torch.from_numpy(recipe_image(256, 256, 0))[None]
    picture = (exact[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "wave.png")
    forward = ZoeDepth.forward

    def unrounded(model: ZoeDepth, images: torch.Tensor, **options: object) -> ZoeOutput:
        torch.testing.assert_close(images, exact, rtol=0, atol=0.501 / 255)
        return forward(model, exact, **options)

    monkeypatch.setattr(ZoeDepth, "forward", unrounded)
    expected = np.load(GOLDEN / "zoe_swin2_t_256x256.npz")["metric_depth_sample"]
    for name in ("ZoeD.pt", "ours.safetensors", "back.pt"):
        arguments = ["--no-pad", "--no-flip", "--weights", str(tmp_path / name), "-o", str(tmp_path / name[:4])]
        assert main(["predict", str(tmp_path / "wave.png"), *arguments]) == 0
        assert relative_error(np.load(tmp_path / name[:4] / "wave.npy"), expected) < 1e-4


def test_flipping_makes_the_prediction_symmetric(files):
    model = load_depth_model(files / "metres.safetensors")
    picture = np.random.default_rng(1).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    depth = model(picture)
    mirrored = model(picture[:, ::-1])
    np.testing.assert_allclose(mirrored[:, ::-1], depth, rtol=1e-5)
    plain = model(picture, replace(AS_ZOEDEPTH, flip=False))
    assert not np.allclose(plain, depth, rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "nobody"], "no run 'nobody'"),
        (["--run", "control", "--set", "train.lr=1"], "--out"),
        (["--run", "control", "--out", "x", "--set", "train.rate=1"], "unknown key train.rate"),
        (["--run", "control", "--out", "x", "--set", "lr"], "lr: not a change of a profile"),
        (["--run", "control", "--out", "x", "--set", "train.lr=-1"], "--set train.lr=-1: train.lr: input should"),
        (
            ["--run", "control", "--out", "x", "--set", "data.train.0.root=/no/x.mat"],
            "set the root of set nyu under data (in the profile or by",
        ),
    ],
)
def test_train_explains_what_is_wrong_in_one_line(capsys, arguments, message):
    assert main(["train", "--profile", "smoke", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_help_has_the_commands_in_groups(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: zdlib [-h] command ...\n")
    words = [line.split()[0] if line.startswith("  ") else line for line in shown.splitlines()]
    groups = words[words.index("train and evaluate:") :]
    assert [word for word in groups if word] == [
        *("train and evaluate:", "train", "evaluate", "score"),
        *("use a network:", "predict", "demo", "export", "convert", "info"),
        *("data:", "data"),
        *("measure:", "bench"),
    ]


@pytest.mark.parametrize("arguments", [[], ["moon"], ["data"]])
def test_what_is_no_command_is_refused_with_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("usage: zdlib ")
