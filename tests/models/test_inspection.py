"""What is traced must add up to what was built."""

import matplotlib.text
import pytest
import torch

from zdlib.config import ModelConfig
from zdlib.models import inspection
from zdlib.models.encoders.timm import build_encoder
from zdlib.models.factory import build_model
from zdlib.paper.architecture_figure import draw_losses, draw_model

SMALL = ModelConfig(
    encoder="tf_efficientnet_lite0",
    encoder_weights="none",
    input_size=(64, 96),
    decoder_channels=32,
    bin_embedding_dim=32,
    segmentation_channels=(32, 32, 16, 16, 8),
)
PAPER = ModelConfig(encoder="swinv2_base_window12to24_192to384", encoder_weights="none", input_size=(384, 384))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model(SMALL, segmentation=True)


def texts(figure) -> list[str]:
    return [t.get_text() for t in figure.findobj(matplotlib.text.Text)]


def test_trace_covers_the_model(model):
    state = {name: value.clone() for name, value in model.state_dict().items()}
    found = inspection.trace(model)
    assert found.image == (3, 64, 96)
    assert found.shapes["decoder.fuse.0"] == (32, 32, 48)
    assert found.shapes["head[0]"] == (1, 64, 96)
    assert found.shapes["unet.classifier"] == (14, 64, 96)
    assert sum(found.stages) == found.parameters["encoder"]
    assert found.unused == found.parameters["decoder.fuse.3.skip_unit"]
    assert model.training
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


def test_parts_add_up(model):
    table = inspection.parts_table(model).set_index("part")["params"]
    parts = sum(table[name] for name in inspection.PARTS.values())
    assert parts == table["in all (training)"] == sum(p.numel() for p in model.parameters())
    without = build_model(SMALL, segmentation=False)
    assert table["in all (inference: without the U-Net)"] == sum(p.numel() for p in without.parameters())
    assert "U-Net (training only)" not in set(inspection.parts_table(without)["part"])


def test_segmentation_teaches_encoder_and_fusion_only(model):
    reach = inspection.gradient_reach(model).set_index("part")
    assert reach["params"].sum() == sum(p.numel() for p in model.parameters())
    assert reach.loc["encoder", "from segmentation"] == reach.loc["encoder", "params"]
    for part in ("DPT decoder: output convolutions", "metric bins head"):
        assert reach.loc[part, "from segmentation"] == 0
        assert reach.loc[part, "from depth"] == reach.loc[part, "params"]
    assert reach.loc["U-Net (training only)", "from depth"] == 0


@pytest.mark.slow
def test_the_paper_s_model_on_the_meta_device():
    with torch.device("meta"):
        model = build_model(PAPER, segmentation=True)
    table = inspection.parts_table(model)["params"].tolist()
    assert table == [87_918_816, 14_460_097, 478_145, 2_877_102, 105_734_160, 102_857_058]
    assert inspection.trace(model).unused == 2_207_208  # classifier, last norm, one residual unit


def test_drawings_carry_every_part_s_parameters(model):
    found = inspection.trace(model)
    drawn = texts(draw_model(found))
    for path in ("unet.classifier", "decoder.reduce.2", "head.output"):
        assert f"{found.parameters[path]:,} par." in drawn
    assert sum("U-Net block" in t for t in drawn) == 5
    assert "weight 0.25" in texts(draw_losses(found, 0.25))


def test_drawings_need_the_u_net():
    found = inspection.trace(build_model(SMALL, segmentation=False))
    for draw in (lambda: draw_model(found), lambda: draw_losses(found, 0.1)):
        with pytest.raises(ValueError, match="U-Net"):
            draw()


def test_multiply_adds_by_hand():
    convolution = torch.nn.Conv2d(3, 8, 3, padding=1)
    assert inspection.multiply_adds(convolution, (10, 12)) == 10 * 12 * 8 * 3 * 9
    grouped = torch.nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3)
    assert inspection.multiply_adds(grouped, (10, 12)) == 5 * 6 * 6 * 9


def test_multiply_adds_of_attention_by_hand():
    """Attention that torch fuses is counted too."""
    beit = build_encoder("beit_base_patch16_384", "none")
    n, c, (h, w) = 1 + 4 * 6, 768, (4, 6)
    block = n * c * 3 * c + 2 * n * n * c + n * c * c + 2 * n * c * 4 * c
    embed = h * w * c * 3 * 16 * 16
    # Readout (2c to c) and projection at each level, then the resampling to strides 4, 8, 16 and 32.
    levels = sum(h * w * (2 * c * c + c * out) for out in beit.channels)
    c1, c2, _, c4 = beit.channels
    resampling = h * w * 16 * c1 * c1 + h * w * 4 * c2 * c2 + h * w // 4 * 9 * c4 * c4
    expected = 12 * block + embed + levels + resampling
    assert inspection.multiply_adds(beit, (64, 96)) == expected
