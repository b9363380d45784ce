"""Counted on built models; the quoted numbers agree where they should."""

import pytest

from zdlib import parameter_table
from zdlib.config import ModelConfig
from zdlib.models.registry import list_models


@pytest.fixture(scope="module")
def models():
    return parameter_table.model_table().set_index("model")


def test_paper_s_network_equals_the_original_part_by_part():
    table = parameter_table.paper_parts().set_index("part")
    assert (table["difference"] == 0).all()
    assert table.loc["in all (training)", "here"] == 105_734_160
    assert table.loc["in all (inference)", "here"] == 102_857_058


def test_every_model_is_counted(models):
    assert sorted(models.index) == list_models()
    parts = models[["encoder", "decoder", "head"]].sum(axis=1)
    assert (parts == models["in all"]).all()
    assert models.loc["zoe_nk_beit_l", "in all"] == 346_100_355
    assert models.loc["zoe_swin2_t", "in all"] == 42_179_476


def test_published_millions_are_met(models):
    known = models["published [M]"].dropna().drop("zoe_distill_swin2_b")
    gap = (models.loc[known.index, "in all"] / 1e6 - known).abs() / known
    assert len(known) >= 6
    assert gap.max() < 0.01
    distilled = models.loc["zoe_distill_swin2_b"]
    assert (distilled["in all"] + distilled["U-Net"]) / 1e6 == pytest.approx(distilled["published [M]"], rel=0.01)


def test_comparison_counts_what_it_can_and_says_what_it_quotes():
    small = ModelConfig(encoder="tf_efficientnet_lite0", encoder_weights="packaged", input_size=(64, 64))
    table = parameter_table.comparison_table(small, "mine").set_index("method")
    assert table.loc["AdaBins", "how"].startswith("quoted: ")
    assert table["counted [M]"].notna().sum() == 6
    assert table.loc["Zoe-Distill, training", "counted [M]"] == pytest.approx(105.734, abs=1e-3)
    assert table.loc["mine, training", "counted [M]"] > table.loc["mine, inference", "counted [M]"]
