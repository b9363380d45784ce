"""Tables of notebook 17 on scores whose effects are known, and on grids that have hardly begun."""

import numpy as np
import pandas as pd
import pytest

from zdlib.config import load_profile
from zdlib.paper.label_budget import effects, tables
from zdlib.paths import RunPaths

PROFILE = load_profile("label_budget")
GAINS = {"distill_25": 0.02, "heavy_100": -0.03}


def values_of(study):
    return tables.long_scores(PROFILE, study, RunPaths("label_budget"))


def test_scores_of_arms(make):
    study = make(GAINS)
    table = tables.scores(study, values_of(study), "Rooms-N").set_index(["frames", "ImageNet", "w"])
    assert len(table) == 13
    assert table["seeds"].eq(3).all()
    gained = table["delta1"]["25 %", True, "0.1"] - table["delta1"]["25 %", True, "0"]
    assert gained == pytest.approx(0.02, abs=1e-3)
    assert (table["delta1_low"] < table["delta1"]).all()
    assert (table["delta1"] < table["delta1_high"]).all()
    assert table["miou"].isna().tolist() == [w == "0" for *_, w in table.index]
    assert tables.scores(study, values_of(study), "Rooms-I")["miou"].isna().all()
    pair = tables.scores(make(GAINS, seeds=[4], arms=["distill_25"]), values_of(study), "Rooms-N")
    assert pair["seeds"].tolist() == [3] * 13  # seed 4 is none of the profile's


def test_differences_with_their_verdicts(make):
    study = make(GAINS)
    table = tables.differences(
        study, effects.segmentation(study), "Rooms-N", effects.corrected(study, "Rooms-N")
    ).set_index("contrast")
    assert table.loc["25 %", "delta1_change"] == pytest.approx(0.02, abs=1e-3)
    assert table.loc["25 %", "abs_rel_change"] == pytest.approx(-0.01, abs=1e-3)
    assert table.loc["100 %, w = 1", "w"] == "1"
    said = table["verdict"].to_dict()
    assert said.pop("25 %") == "helps"
    assert said.pop("100 %, w = 1") == "hurts"
    assert set(said.values()) == {"no effect within the margin"}
    assert table["test"].to_dict() == {n: "family" if n.startswith("25 %") else "exploratory" for n in table.index}
    assert (table["p, equivalence"] < 0.05).tolist() == [n not in ("25 %", "100 %, w = 1") for n in table.index]
    unseen = tables.differences(study, effects.segmentation(study), "Rooms-I")
    assert "test" not in unseen
    grown = tables.differences(study, effects.growth(study), "Rooms-N").set_index("contrast")
    assert grown["verdict"]["25 % against 100 %"] == "helps"
    assert grown["verdict"]["no ImageNet against ImageNet, 25 %"] == "hurts"


def test_a_family_that_is_not_complete_rejects_nothing(make):
    make(GAINS, arms=["distill_25", "control_25", "bare_distill_25"])
    study = make(GAINS, seeds=[1], arms=["bare_control_25"])
    p = effects.corrected(study, "Rooms-N")
    table = tables.differences(study, effects.segmentation(study), "Rooms-N", p).set_index("contrast")
    assert table["verdict"].to_dict() == {"25 %": "cannot be told", "25 %, no ImageNet": "cannot be told (1 pair)"}
    assert tables.family(PROFILE, study, values_of(study)).empty


def test_the_family_is_that_of_the_control_study_with_student_s_p(make):
    study = make(GAINS)
    table = tables.family(PROFILE, study, values_of(study)).set_index("frames")
    assert list(table.index) == ["25 %", "25 %, no ImageNet"]
    assert table["difference"]["25 %"] == pytest.approx(0.02, abs=1e-3)
    assert table["p, sign flips, Holm"].ge(0.5).all()  # three pairs: the exact test can reject nothing
    assert table["p, t, Holm"]["25 %"] < 0.05
    one = effects.effect(study, {"distill_25": 1, "control_25": -1}, "Rooms-N", "delta1")
    assert table["joint low"]["25 %"] == pytest.approx(one.joint_low)
    assert table["p, equivalence"]["25 %"] == pytest.approx(one.p_equivalence)


def test_costs(make):
    study = make({})
    table = tables.cost_table(study, effects.costs(study), "Rooms-N").set_index(["what", "contrast"])
    assert table["delta1_change"]["fewer frames", "25 % instead of 100 %"] == pytest.approx(-0.08, abs=1e-3)
    assert table["rmse_change"]["no ImageNet", "100 %"] == pytest.approx(0.2, abs=1e-3)
    assert table["pairs"].eq(3).all()


def test_edges_and_whether_their_metrics_can_move(make):
    study = make(GAINS)
    table = tables.edges(study, values_of(study), "Rooms-I")
    row = table.iloc[0]
    assert row["Δ δ1 at edges"] == pytest.approx(0.02, abs=1e-3)
    assert row["Δ DBE acc. [px]"] == pytest.approx(-0.02, abs=1e-3)
    assert row["Δ DBE comp. [px]"] == 0
    assert row["Δ δ1 at edges_low"] < row["Δ δ1 at edges"] < row["Δ δ1 at edges_high"]
    control = study.mean("control_25", "Rooms-I", "delta1").mean()
    assert row["boundary F1, without"] == pytest.approx(control / 100)
    assert row["DBE acc. [px], without"] == pytest.approx(9 - control)


def test_power_is_of_the_median_spread(make):
    study = make({}, noise=0.01)
    effects_of = [effects.effect(study, c.signs, "Rooms-N", "delta1") for c in effects.segmentation(study)]
    spread = np.median([np.std(list(one.per_seed.values()), ddof=1) for one in effects_of])
    table = tables.power(study, "Rooms-N")
    assert table["sd"].eq(spread).all()
    assert table["pairs"].tolist() == [3, 6, 12, 24]
    assert table["detectable Δ of δ1"].is_monotonic_decreasing


@pytest.mark.parametrize("seeds", [[1], [1, 2]])
def test_few_seeds_have_differences_without_intervals(make, seeds):
    study = make(GAINS, seeds=seeds)
    values = values_of(study)
    compared = tables.differences(study, effects.segmentation(study), "Rooms-N", {})
    assert compared["pairs"].eq(len(seeds)).all()
    assert compared["delta1_change"].iloc[0] == pytest.approx(0.02, abs=2e-3)
    for table in (compared, tables.edges(study, values, "Rooms-I"), tables.scores(study, values, "Rooms-N")):
        assert table.filter(regex="_low$|_high$|^joint").isna().all(axis=None)
    assert tables.power(study, "Rooms-N").empty


def test_one_arm_alone_gives_tables_without_rows(make):
    study = make(GAINS, seeds=[1], arms=["distill_25"])
    for table in (
        tables.differences(study, effects.segmentation(study), "Rooms-N", {}),
        tables.differences(study, effects.growth(study), "Rooms-N"),
        tables.cost_table(study, effects.costs(study), "Rooms-N"),
        tables.edges(study, values_of(study), "Rooms-I"),
    ):
        assert isinstance(table, pd.DataFrame)
        assert table.empty
        assert "pairs" in table
