"""Tables and sentences of notebook 15, from scores that are made up."""

import numpy as np
import pandas as pd
import pytest

from zdlib.models.garg.architecture import LEVELS
from zdlib.paper.label_free import common, stereo_figures, stereo_tables, stereo_words
from zdlib.paths import RunPaths, repo_root

FRAMES = range(6)
NAMES = {"frame": list(FRAMES), "scene": [f"clip {(3000, 3017)[frame // 3]}" for frame in FRAMES]}  # the second is wet
ERRORS = {"garg_1": 0.12, "augmented_1": 0.10, "supervised_1": 0.08}


def images(error):
    rows = []
    for protocol in ("streets/dense", "streets/eigen"):
        for scale, factor in (("as predicted", 1.0), ("median-scaled", 0.9)):
            values = [factor * error + 0.001 * frame for frame in FRAMES]
            table = pd.DataFrame({**NAMES, "abs_rel": values, "delta1": 0.9, "rmse": 4.0})
            rows.append(table.assign(data="Streets-K", protocol=protocol, scale=scale))
    other = rows[0].assign(data="Streets-V")
    return pd.concat([*rows, other], ignore_index=True)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Scores of three networks, of which one was told the depth; the finest level of one is no gain."""
    for name in ("profiles", "data"):
        (tmp_path / name).symlink_to(repo_root() / name)
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    folder, streets = RunPaths("stereo").per_image, RunPaths("streets").results / "evaluate"
    folder.mkdir(parents=True)
    streets.mkdir(parents=True)
    for key, error in ERRORS.items():
        images(error).to_csv(folder / f"{key}_images.csv", index=False)
        levels = []
        for number, level in enumerate(LEVELS):
            last = number == len(LEVELS) - 1 and key == "garg_1"
            table = pd.DataFrame({**NAMES, "abs_rel": error + 0.05 * (5 - number) + 0.06 * last, "delta1": 0.9})
            levels.append(table.assign(level=level, photometric=error + 0.02 * (5 - number)))
        table = pd.concat(levels, ignore_index=True)
        for place in ("all", "both cameras see", "occluded"):
            table[f"px {place}"] = 2.0
        table.to_csv(folder / f"{key}_levels.csv", index=False)
        roads = pd.DataFrame({**NAMES, "pixels": 100.0, "far": [0.0, 0, 0, 10, 20, 30], "found": 0.02, "true": 0.03})
        roads.loc[roads["far"] == 0, ["found", "true"]] = np.nan
        roads.to_csv(folder / f"{key}_roads.csv", index=False)
        rows = [(0.0, 0.1, "all", 100, 1.1), (0.0, 0.1, "both cameras see", 90, 1.0), (0.0, 0.1, "occluded", 10, 2.0)]
        bins = pd.DataFrame(rows, columns=["from", "to", "place", "pixels", "disparity_error"])
        bins.assign(over_one_pixel=0.5).to_csv(folder / f"{key}_photometric.csv", index=False)
        epochs = {"step": range(4), "epoch": range(1, 5), "photometric": 0.1, "level": [0, 0, 1, 1]}
        means = {"abs_rel": [0.5, 0.4, 0.3, 0.2], "delta1": 0.5, "disparity_error": 2.0}
        pd.DataFrame(epochs | means).to_csv(folder / f"{key}_validations.csv", index=False)
    floors = [images(error).assign(method=name) for name, error in (("constant depth", 0.5), ("mean depth map", 0.2))]
    pd.concat(floors).to_csv(folder / "baselines.csv", index=False)
    told = pd.DataFrame({"frame": FRAMES, "protocol": "p"})
    told["scene"] = ["2026_11_26_drive_" + scene.removeprefix("clip ") + "_sync" for scene in NAMES["scene"]]
    for number in (0, 1):
        told.assign(abs_rel=0.06, delta1=0.9, rmse=3.0).to_csv(streets / f"zoed_k_{number}.csv", index=False)
    return folder


def test_each_network_beside_what_needs_no_picture(checkout):
    table = stereo_tables.against("streets/dense").set_index("method")
    assert table.loc["mean depth map", "AbsRel / mean map's"] == 1
    assert table.loc["article's network", "abs_rel"] == pytest.approx(0.1225)
    assert table.loc[stereo_tables.SUPERVISED, "abs_rel"] == pytest.approx(0.06)
    assert table.index[0] == "constant depth"


def test_gains_are_of_the_profile_s_pairs(checkout):
    table = stereo_tables.gains()
    assert table.loc[0, "step"] == "article's network − mean depth map"
    table = table[~table["step"].str.endswith("mean depth map")].reset_index(drop=True)
    assert list(table["step"].unique()) == [
        "article's network, augmented − article's network",
        "article's network, told the depth − article's network",
    ]
    assert table.loc[0, "difference"] == pytest.approx(-0.02)


def test_the_one_that_is_shown_was_not_told(checkout):
    assert set(stereo_tables.taught_by_pairs()) == {"garg", "augmented"}
    assert stereo_tables.shown() == ("augmented", "article's network, augmented")
    assert stereo_tables.pictured("augmented") == "augmented_1"
    assert stereo_tables.told_twin("garg") == "article's network, told the depth"


def test_seeds_of_an_arm_are_one_row(checkout):
    for kind in ("images", "levels"):
        table = pd.read_csv(checkout / f"garg_1_{kind}.csv")
        table.assign(abs_rel=table["abs_rel"] + 0.02).to_csv(checkout / f"garg_2_{kind}.csv", index=False)
    row = stereo_tables.against("streets/dense").set_index("method").loc["article's network"]
    assert (row["trainings"], row["images"]) == (2, len(FRAMES))
    assert row["abs_rel"] == pytest.approx(0.1325)
    step = stereo_tables.gains().set_index(["step", "metric"])
    on_mean_map = step.loc[("article's network − mean depth map", "AbsRel")]
    assert on_mean_map["trainings"] == 2  # the map stands against both
    assert on_mean_map["difference"] == pytest.approx(0.1325 - 0.2025)
    on_other = step.loc[("article's network, augmented − article's network", "AbsRel")]
    assert (on_other["trainings"], on_other["difference"]) == (1, pytest.approx(-0.02))  # of the seed that both have


def test_wet_streets_stand_apart(checkout):
    table = stereo_tables.by_weather().set_index("method")
    row = table.loc["article's network"]
    assert (row["dry"], row["wet"]) == (pytest.approx(0.121), pytest.approx(0.124))
    assert row["wet / mean map's"] == pytest.approx(0.124 / 0.204)
    words = stereo_words.weather_in_words()
    assert "*article's network, augmented*, AbsRel 0.101, 0.50 of the mean map's there" in words
    assert "set for all clips, where it has 0.51;" in words
    assert "*article's network, told the depth* has 0.081 and 0.084." in words
    roads = stereo_tables.roads().set_index(["method", "street"])
    assert roads.loc[("article's network", "dry"), "far"] == 0
    assert np.isnan(roads.loc[("article's network", "dry"), "error, found"])
    assert tuple(roads.loc[("article's network", "wet")]) == pytest.approx((20, 0.02, 0.03))
    assert (
        "Of the 2 arms that pairs taught and that call wet road far, 2 explain those pixels better"
        in stereo_words.roads_in_words("garg")
    )


def test_levels_while_they_trained_are_those_of_their_last_epoch(checkout):
    table = stereo_tables.while_training()
    first = table[table["method"] == "article's network"]
    assert list(first["level"]) == ["L7", "L8"]
    assert list(first["abs_rel"]) == [0.4, 0.2]


def test_words_follow_the_numbers(checkout):
    levels = stereo_words.levels_in_words().splitlines()
    assert any("told" not in line and "augmented" not in line and line.endswith("no gain at L12") for line in levels)
    assert sum(line.endswith("every level gains") for line in levels) == 2
    best = stereo_words.against_in_words()
    assert "*article's network, augmented*, AbsRel 0.102, 0.51 of the mean map's" in best
    assert "is reached" in best
    assert "is missed" in stereo_words.against_in_words(goal=0.4)
    assert "1.00 pixels where both cameras see, 2.00 in the 10.0 %" in stereo_words.occlusions_in_words("garg")


def test_figures_are_drawn_from_the_tables(checkout):
    levels = stereo_figures.by_level(stereo_tables.per_level(), 0.2)
    assert len(levels.axes[0].get_legend().get_texts()) == len(ERRORS) + 1
    bins = stereo_figures.photometric_bins(stereo_tables.by_photometric_error("garg"))
    assert len(bins.axes) == 2


def test_quoted_rows_name_their_source():
    for study in ("garg", "video"):
        rows = common.quoted(study)
        assert rows["source"].str.len().min() > 20
        assert np.isfinite(rows[["abs_rel", "delta1"]]).all(axis=None)


def test_findings_name_the_best_its_told_twin_and_what_else_was_changed(checkout):
    first, _, second = stereo_words.findings_in_words().splitlines()
    assert "*article's network, augmented* (1 training), has AbsRel 0.102, 0.51 of the mean depth map's" in first
    assert "has 0.083, which reaches it" in first  # 0.6 of 0.2025
    step = "*article's network, augmented − article's network* (1 training)"
    assert f"{step}: AbsRel -0.020 [-0.020, -0.020] (better), δ1 +0.000 [+0.000, +0.000] (no effect found)" in second
    assert "told" not in second
