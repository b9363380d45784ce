"""What is said of the scale of networks that pairs or videos taught, and where they are not taken for metric ones."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from zdlib.apps import evaluate_command
from zdlib.apps.command_line import main
from zdlib.errors import ZDError
from zdlib.metrics import protocols
from zdlib.models.depth_model import Convention
from zdlib.models.garg import checkpoints as garg
from zdlib.models.garg.architecture import GargArchitecture
from zdlib.models.garg.network import GargNet
from zdlib.models.sgdem import checkpoints as sgdem
from zdlib.models.sgdem.architecture import SGDEMArchitecture
from zdlib.models.sgdem.network import SGDEM


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "street.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def stereo(tmp_path):
    torch.manual_seed(0)
    network = GargNet(GargArchitecture(width=0.05, input_size=(96, 160)))
    torch.nn.init.constant_(network.c7.bias, 0.5)
    network.metres.fill_(0.314)
    path = tmp_path / "pairs.safetensors"
    garg.save_checkpoint(path, network, {"convention": Convention(max_depth=80).model_dump()})
    return path


@pytest.fixture
def video(tmp_path):
    torch.manual_seed(0)
    config = SGDEMArchitecture(
        encoder="tf_efficientnet_lite0",
        pose_encoder="cnn",
        input_size=(64, 96),
        decoder_channels=(8, 8, 8, 8, 8),
        classes=0,
    )
    path = tmp_path / "clips.safetensors"
    convention = Convention(kind="relative", void="ignore").model_dump()
    sgdem.save_checkpoint(path, SGDEM(config), {"convention": convention})
    return path


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_stereo_gives_metres_of_a_camera_that_is_named(stereo, picture, tmp_path, capsys, precision):
    assert (
        main(
            ["predict", str(picture), "--weights", str(stereo), "-o", str(tmp_path / "depth"), "--precision", precision]
        )
        == 0
    )
    assert "m, for cameras like that of its pairs (f·B / width 0.314 m)" in capsys.readouterr().out


def test_video_gives_inverse_depth_up_to_a_scale(video, picture, tmp_path, capsys):
    assert main(["predict", str(picture), "--weights", str(video), "-o", str(tmp_path / "depth")]) == 0
    assert "relative inverse depth, up to a scale" in capsys.readouterr().out
    assert list((tmp_path / "depth").glob("*_inverse_depth*"))


def test_inverse_depth_is_not_judged_as_metres(stereo, video):
    rules = protocols.get("streets/dense")
    benchmarks = [SimpleNamespace(protocol=rules)]
    with pytest.raises(ZDError, match=r"clips.safetensors: gives relative inverse depth, streets/dense judges metres"):
        evaluate_command._refuse_relative(sgdem.load_depth_model(video), video, benchmarks)
    evaluate_command._refuse_relative(garg.load_depth_model(stereo), stereo, benchmarks)
    fitted = [SimpleNamespace(protocol=replace(rules, alignment="inverse"))]
    evaluate_command._refuse_relative(sgdem.load_depth_model(video), video, fitted)
