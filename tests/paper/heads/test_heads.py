"""Notebook 12's arithmetic: heads beside the paper's, their order, and what bins do, on made-up scores and networks."""

import numpy as np
import pandas as pd
import pytest
import torch

from zdlib.config import ModelConfig, load_profile
from zdlib.errors import ZDError
from zdlib.models.depth_model import Convention
from zdlib.models.factory import build_model
from zdlib.models.zoe.depth_model import ZoeDepthModel
from zdlib.paper.bin_centres import LEVELS
from zdlib.paper.heads import bins as head_bins
from zdlib.paper.heads import comparison as heads
from zdlib.paper.heads.plots import differences, edge_bins, level_spread
from zdlib.paper.trained_runs import TrainedRun
from zdlib.paths import RunPaths

PROFILE = load_profile("heads")
# AbsRel that puts the heads in the paper's order, best last.
ORDERED = {arm: 0.3 - 0.01 * number for number, arm in enumerate(heads.TABLE_5)} | {"softmax": 0.2}


def scores(values, noise=0.0):
    rng = np.random.default_rng(0)
    rows = [
        {"arm": arm, "seed": seed, "data": "Rooms-N", "where": "all pixels", "metric": metric}
        | {"value": value + noise * rng.normal()}
        for arm, value in values.items()
        for seed in (1, 2, 3)
        for metric in heads.METRICS
    ]
    return pd.DataFrame(rows)


def test_every_arm_stands_for_a_quoted_row():
    assert set(heads.QUOTED) == set(PROFILE.study.arms)
    table = heads.by_arm(PROFILE, scores(ORDERED), "Rooms-N")
    assert table["head"].tolist()[0] == "naive head"
    assert table["AbsRel, NYU"].tolist() == [0.096, 0.085, 0.086, 0.081, 0.081, 0.080, 0.075, 0.077]
    assert np.isnan(table["RMSE, NYU [m]"].iloc[-1])
    assert table["seeds"].tolist() == [3] * 8


def test_intervals_are_student_s_over_seeds():
    table = scores(ORDERED)
    table.loc[table["arm"] == "naive", "value"] = [0.1, 0.1, 0.2, 0.2, 0.3, 0.3]  # seed by seed, both metrics
    row = heads.by_arm(PROFILE, table, "Rooms-N").iloc[0]
    half = 4.302653 * 0.1 / np.sqrt(3)
    assert row["abs_rel"] == pytest.approx(0.2)
    assert (row["abs_rel_low"], row["abs_rel_high"]) == (pytest.approx(0.2 - half), pytest.approx(0.2 + half))


def test_the_paper_s_order_is_recognised_and_its_reverse_too():
    table = heads.order(PROFILE, scores(ORDERED), "Rooms-N").set_index("metric")
    assert table.loc["abs_rel", "paper"] > 0.9  # two quoted AbsRel are equal, one pair is the other way round
    assert table.loc["abs_rel", "two seeds"] == pytest.approx(1)
    assert table.loc["abs_rel", "p"] < 0.01
    back = heads.order(PROFILE, scores({arm: -value for arm, value in ORDERED.items()}), "Rooms-N").set_index("metric")
    assert back.loc["abs_rel", "paper"] == pytest.approx(-table.loc["abs_rel", "paper"])
    assert back.loc["abs_rel", "p"] > 0.99
    noisy = heads.order(PROFILE, scores(ORDERED, noise=10), "Rooms-N").set_index("metric")
    assert noisy.loc["abs_rel", "two seeds"] < 0.5


def test_p_is_the_share_of_orders_that_agree_as_well():
    four = np.arange(4.0)
    assert heads.permutation_p(four, four) == pytest.approx(1 / 24)
    assert heads.permutation_p(four, np.array([0.0, 1, 3, 2])) == pytest.approx(4 / 24)
    assert heads.permutation_p(-four, four) == 1
    assert heads.spearman(four, np.array([1.0, 1, 5, 9])) == pytest.approx(0.9487, abs=1e-4)


def test_a_grid_under_way_is_a_study_of_what_there_is(tmp_path, monkeypatch):
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    (tmp_path / "profiles").mkdir()
    paths = RunPaths("heads")
    paths.per_image.mkdir(parents=True)
    with pytest.raises(ZDError, match=r"no scores: \./run_all\.sh --profile heads makes them"):
        heads.ended(PROFILE, paths)
    for arm, seeds in {"inverse": (1, 2, 3), "naive": (2, 3), "splitter": (1,)}.items():
        for seed in seeds:
            (paths.per_image / f"study_{arm}_{seed}_images.csv").write_text("")
    half = heads.ended(PROFILE, paths).study
    assert {arm: config.seeds for arm, config in half.arms.items()} == {
        "inverse": [1, 2, 3],
        "naive": [2, 3],
        "splitter": [1],
    }
    assert half.pairs == half.family == [("naive", "inverse")]
    compared = heads.differences(heads.ended(PROFILE, paths), scores(ORDERED, noise=0.01).query("seed > 1"))
    assert compared["arm"].unique().tolist() == ["naive head"]
    assert compared["seeds"].tolist() == [2, 2]
    assert heads.budget(heads.ended(PROFILE, paths)).endswith("batches of 8, 1 to 3 seeds per head")
    table = heads.by_arm(heads.ended(PROFILE, paths), scores(ORDERED).query("seed == 1"), "Rooms-N")
    assert table["abs_rel_low"].isna().all()  # of one training there is no interval
    with pytest.raises(ZDError, match="no seed has been trained with all heads of Table 5"):
        heads.order(heads.ended(PROFILE, paths), scores(ORDERED), "Rooms-N")


def test_one_training_each_is_said_to_tell_nothing():
    arms = {arm: config.model_copy(update={"seeds": [1]}) for arm, config in PROFILE.study.arms.items()}
    study = PROFILE.study.model_copy(update={"arms": arms, "pairs": [], "family": []})
    single = PROFILE.model_copy(update={"study": study})
    one = scores(ORDERED).query("seed == 1")
    compared = heads.differences(single, one)
    tests = heads.family(single, one, pd.DataFrame())
    assert compared.empty
    assert tests.empty
    assert heads.power(compared, "Rooms-N").empty
    assert heads.budget(single).endswith("1 seed per head")
    ranks = heads.order(single, one, "Rooms-N")
    assert ranks["two seeds"].isna().all()
    said = heads.findings(single, tests, ranks, measured(15.0))
    assert "**nothing can be said**" in said[0]
    assert "two of our seeds" not in said[1]
    assert "share two seeds yet" in differences(compared, {"delta1": "Δ δ1"}).texts[0].get_text()


# ------------------------------------------------------------------------------------------------------------ bins
def run_of(**variant):
    torch.manual_seed(3)
    config = ModelConfig(
        encoder="tf_efficientnet_lite0",
        encoder_weights="none",
        input_size=(64, 96),
        decoder_channels=16,
        n_bins=16,
        bin_embedding_dim=8,
        **variant,
    )
    network = build_model(config).eval()
    return TrainedRun("a_1", "a", False, ZoeDepthModel(network, Convention()), [])


PICTURES = [np.random.default_rng(n).integers(0, 256, (64, 96, 3)).astype(np.uint8) for n in range(2)]


@pytest.mark.parametrize("variant", [{}, {"head": "splitter"}, {"attractor_type": "exp"}, {"output": "softmax"}])
def test_probabilities_are_those_that_make_the_depth(variant):
    run = run_of(**variant)
    network = run.model.network
    with torch.inference_mode():
        images = torch.from_numpy(np.stack(PICTURES)).movedim(-1, 1) / 255
        probability, centres = head_bins.probabilities(network.head, network.decoder(network.levels(images)))
        depth = network(images).metric_depth
    assert probability.shape == centres.shape == (2, 16, 64, 96)
    assert (probability >= 0).all()
    torch.testing.assert_close(probability.sum(1), torch.ones(2, 64, 96))
    torch.testing.assert_close((probability * centres).sum(1, keepdim=True), depth, rtol=1e-4, atol=1e-5)


def stepped():
    """Two walls, 2 m and 3 m away, the nearer one left of column 48."""
    depth = np.full((64, 96), 3, np.float32)
    depth[:, :48] = 2
    depth[:5] = 0
    return depth


def test_edges_are_where_depth_steps():
    edge, smooth = head_bins.at_edge(stepped())
    assert set(np.flatnonzero(edge.any(0))) == {47, 48}
    assert not edge[:6].any()
    assert not smooth[:6].any()
    assert smooth[10, :47].all()
    assert head_bins.sharpest_edge([np.full((64, 96), 2, np.float32), stepped()]) == (1, 5, 48)
    with pytest.raises(ZDError, match="no test frame has a depth edge"):
        head_bins.sharpest_edge([np.zeros((64, 96), np.float32)])


def test_a_choice_of_one_bin_counts_as_one(monkeypatch):
    certain, undecided = np.zeros((4, 64, 96)), np.full((4, 64, 96), 0.25)
    certain[2] = 1
    centres = np.arange(4.0)[:, None, None] * np.ones((1, 64, 96))
    monkeypatch.setattr(
        head_bins, "_distributions", lambda *_: [(certain, centres, stepped()), (undecided, centres, stepped())]
    )
    table = head_bins.choice_of(run_of(), PICTURES, [stepped()] * 2).set_index("where")
    assert table.loc["edge", "effective"] == pytest.approx((1 + 4) / 2)
    assert table.loc["elsewhere", "entropy"] == pytest.approx(np.log(4) / 2)
    assert table.loc["edge", "width"] == pytest.approx(np.sqrt(1.25) / 2, abs=1e-6)
    measured = pd.concat([table.reset_index().assign(arm="inverse", seed=seed) for seed in (1, 2)])
    shown = heads.choice(PROFILE, measured)
    assert shown["where"].tolist() == ["edge", "elsewhere"]
    assert shown["effective bins"].tolist() == pytest.approx([2.5, 2.5])


def test_a_row_across_an_edge_has_every_bin_of_every_pixel():
    place = (1, 20, 48)
    row = head_bins.along_edge(run_of(), PICTURES, [stepped()] * 2, place)
    assert len(row) == 16 * 2 * head_bins.HALF_WIDTH
    np.testing.assert_allclose(row.groupby("pixel")["probability"].sum(), 1, rtol=1e-5)
    assert row.query("pixel < 0")["true"].eq(2).all()
    mean = (row["centre"] * row["probability"]).groupby(row["pixel"]).sum()
    np.testing.assert_allclose(mean, row[row["bin"] == 0].set_index("pixel")["predicted"], rtol=1e-5)
    plain = head_bins.along_edge(run_of(head="naive"), PICTURES, [stepped()] * 2, place)
    assert len(plain) == 2 * head_bins.HALF_WIDTH
    assert plain["probability"].isna().all()
    figure = edge_bins(pd.concat([row.assign(arm="a"), plain.assign(arm="b")]), {"a": "bins", "b": "naive"})
    assert [axes.get_title() for axes in figure.axes] == ["bins", "naive"]


def test_levels_are_drawn_and_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    (tmp_path / "profiles").mkdir()
    levels = pd.DataFrame(
        [
            {"arm": "inverse", "seed": seed, "level": level, "lowest": 0.1, "highest": 5.0, "spread": seed + number}
            for seed in (1, 2)
            for number, level in enumerate(LEVELS)
        ]
    )
    figure = level_spread(levels, {"inverse": "inverse", "naive": "naive"})
    assert [line.get_ydata()[0] for line in figure.axes[0].lines] == [1, 2, 1.5]
    paths = RunPaths("heads")
    with pytest.raises(ZDError, match=r"bins_levels\.csv: no such file: \./run_all\.sh --profile heads measures it"):
        head_bins.read(paths)
    bins = head_bins.Bins(levels, levels, levels)
    head_bins.write(bins, paths)
    pd.testing.assert_frame_equal(head_bins.read(paths).levels, levels)
    # Another profile's page reads what the study's own run has left, and measures nothing.
    shown = head_bins.bins_of(PROFILE, RunPaths("demo"))
    pd.testing.assert_frame_equal(shown.levels, levels)


# -------------------------------------------------------------------------------------------------------- sentences
def family(low, high, p, equivalent):
    row = {"arm": "naive head", "against": "the choice", "pairs": 3, "difference": (low + high) / 2}
    ends = {"difference_low": low, "difference_high": high, "p, Holm": p, "p, equivalence": equivalent}
    return pd.DataFrame([row | ends])


def measured(effective):
    choice = [
        {"arm": arm, "seed": 1, "where": where, "effective": effective}
        for arm in ("inverse", "splitter")
        for where in ("edge", "elsewhere")
    ]
    levels = [
        {"arm": arm, "seed": 1, "level": level, "spread": 1 + 0.1 * number}
        for arm in ("inverse", "splitter")
        for number, level in enumerate(LEVELS)
    ]
    return head_bins.Bins(pd.DataFrame(levels), pd.DataFrame(choice), pd.DataFrame())


def test_sentences_follow_from_the_tables():
    ranks = heads.order(PROFILE, scores(ORDERED), "Rooms-N")
    nothing = heads.findings(PROFILE, family(-0.01, 0.02, 1.0, 0.3), ranks, measured(15.5))
    assert nothing[0] == (
        "By the corrected tests **no head can be told from *the choice***; with 3 pairs none could be, since no p is "
        "below 0.25."
    )
    assert "contain zero for every head" in nothing[1]
    assert nothing[2] == "For none is equivalence within ±0.01 of δ1 shown."
    assert "agrees with the paper's **in AbsRel and RMSE [m]**" in nothing[3]
    assert "the distributions hardly choose" in nothing[4]
    assert "change the spread of the centres by 40 %" in nothing[6]
    reverse = heads.order(PROFILE, scores({arm: -value for arm, value in ORDERED.items()}), "Rooms-N")
    something = heads.findings(PROFILE, family(-0.03, -0.01, 0.01, 0.01), reverse, measured(4.0))
    assert "δ1 of naive head differs" in something[0]
    assert "naive head (-0.020)" in something[1]
    assert something[2] == "Equivalent within ±0.01 of δ1: naive head."
    assert "agrees with the paper's **in no metric**" in something[3]
    assert "hardly choose" not in something[4]
