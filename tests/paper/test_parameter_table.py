"""Counted on built models; the quoted numbers agree where they should."""

import pytest

from zdlib.config import ModelConfig
from zdlib.models.registry import list_models
from zdlib.paper import parameter_table


@pytest.fixture(scope="module")
def models():
    return parameter_table.model_table().set_index("model")


def test_paper_s_network_equals_the_original_part_by_part():
    table = parameter_table.paper_parts().set_index("part")
    assert (table["difference"] == 0).all()
    assert table.loc["in all (training)", "here"] == 105_734_160
    assert table.loc["in all (inference)", "here"] == 102_857_058


@pytest.mark.slow
def test_every_model_is_counted(models):
    assert sorted(models.index) == list_models()
    parts = models[["encoder", "decoder", "head"]].sum(axis=1)
    assert (parts == models["in all"]).all()
    assert models.loc["zoe_nk_beit_l", "in all"] == 346_100_355
    assert models.loc["zoe_swin2_t", "in all"] == 42_179_476


@pytest.mark.slow
def test_published_millions_are_met(models):
    known = models["published [M]"].dropna().drop("zoe_distill_swin2_b")
    gap = (models.loc[known.index, "in all"] / 1e6 - known).abs() / known
    assert len(known) >= 6
    assert gap.max() < 0.01
    distilled = models.loc["zoe_distill_swin2_b"]
    assert (distilled["in all"] + distilled["U-Net"]) / 1e6 == pytest.approx(distilled["published [M]"], rel=0.01)


@pytest.mark.slow
def test_comparison_counts_every_row():
    small = ModelConfig(encoder="tf_efficientnet_lite0", encoder_weights="packaged", input_size=(64, 64))
    table = parameter_table.comparison_table(small, "mine").set_index("method")
    assert table["counted [M]"].notna().all()
    assert len(table) == 8
    assert table["gap [%]"].abs().max() < 1
    assert table.loc["Zoe-Distill, training", "counted [M]"] == pytest.approx(105.734, abs=1e-3)
    assert table.loc["mine, training", "counted [M]"] > table.loc["mine, inference", "counted [M]"]
    assert table.loc["mine, training", "multiply–adds [G]"] == table.loc["mine, inference", "multiply–adds [G]"]


@pytest.mark.slow
def test_multiply_adds_of_the_released_code(models):
    """227 GFLOP (twice the multiply–adds) are known for ZoeD on SwinV2-B, from code that upsamples before projecting.

    Here 1×1 convolutions run before the upsampling they commute with: in each of the decoder's four blocks, and in the
    output layer's share that reads the embedding.
    """
    sides = (24, 48, 96, 192)
    blocks = sum(256 * 256 * (side**2 - (side // 2) ** 2) for side in sides)
    output = 128 * 80 * (384**2 - 192**2)
    assert 2 * (models.loc["zoe_swin2_b", "multiply–adds [G]"] + (blocks + output) / 1e9) == pytest.approx(227, abs=0.5)


@pytest.mark.slow
def test_multiply_adds_grow_with_the_model(models):
    column = models["multiply–adds [G]"]
    assert column["zoe_swin2_t"] < column["zoe_swin2_b"] < column["zoe_swin2_l"]
    assert column["zoe_beit_b"] < column["zoe_beit_l"] < column["zoe_beit_l_512"]
