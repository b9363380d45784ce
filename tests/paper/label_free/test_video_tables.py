"""Tables, sentences and figures of notebook 16, from scores that are made up."""

import numpy as np
import pandas as pd
import pytest

from zdlib.paper.label_free import common, video_figures, video_tables, video_words
from zdlib.paths import RunPaths, repo_root

FRAMES = range(6)
NAMES = {"frame": list(FRAMES), "scene": [f"clip {3000 + frame // 3}" for frame in FRAMES]}
ERRORS = {"depth_only": 0.30, "segmentation": 0.25, "masking": 0.25, "large_poses": 0.60}
PLACES = ("moving", "movable, at rest", "at class boundaries", "away from them", "class car")


def images(error, place=None):
    table = pd.DataFrame({**NAMES, "abs_rel": [error + 0.001 * frame for frame in FRAMES], "delta1": 1 - error})
    if place is not None:
        return table.assign(place=place, pixels=100)
    table = table.assign(scale="median-scaled", rmse=4.0)
    rows = [table.assign(data="Streets-K", protocol=protocol) for protocol in ("streets/dense", "streets/eigen")]
    return pd.concat([*rows, table.assign(data="Streets-V", protocol="streets/dense")], ignore_index=True)


def write(folder, key, error, with_classes):
    images(error).to_csv(folder / f"{key}_images.csv", index=False)
    pd.concat([images(error, place) for place in PLACES]).to_csv(folder / f"{key}_places.csv", index=False)
    clips = pd.DataFrame({"scene": ["clip 3000", "clip 3001"], "metres": [1.0, 0.0], "turn_error": 0.2})
    clips = clips.assign(direction_error=[2.0, np.nan], straight_turn_error=0.3, straight_direction_error=[2.5, np.nan])
    clips.to_csv(folder / f"{key}_poses.csv", index=False)
    log = {"step": range(1, 9), "epoch": range(1, 9), "reprojection": np.linspace(0.06, 0.03, 8)}
    log |= {"abs_rel": np.linspace(0.6, error, 8), "delta1": 0.5, "turn_error": 0.2, "direction_error": 2.0}
    pd.DataFrame(log).to_csv(folder / f"{key}_validations.csv", index=False)
    if with_classes:
        pd.DataFrame({"true": [0, 1], "found": [0, 0], "pixels": [3, 1]}).to_csv(
            folder / f"{key}_confusion.csv", index=False
        )
    maps = {}
    for number in video_figures.PICTURED:
        maps[f"frame_{number}_inverse"] = np.linspace(0.1, 1, 16 * 48, dtype=np.float16).reshape(16, 48)
        if with_classes:
            maps[f"frame_{number}_classes"] = np.full((16, 48), 13, np.uint8)
            maps[f"frame_{number}_movable"] = np.arange(16 * 48).reshape(16, 48) % 2 == 0
            maps[f"frame_{number}_agreement"] = np.float32(0.5)
    np.savez(folder.parent / "pictures" / f"{key}.npz", **maps)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Two seeds of three steps, of the third one only one; and a diagnosis that did not learn."""
    for name in ("profiles", "data"):
        (tmp_path / name).symlink_to(repo_root() / name)
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    folder = RunPaths("video").per_image
    folder.mkdir(parents=True)
    (folder.parent / "pictures").mkdir()
    for arm, error in ERRORS.items():
        for seed in (1,) if arm in ("masking", "large_poses") else (1, 2):
            shift = 0.01 * (seed - 1) * (arm == "segmentation")
            write(folder, f"{arm}_{seed}", error + shift, arm in ("segmentation", "masking"))
    floors = []
    for name, error in (("constant depth", 0.5), ("mean depth map", 0.2), ("mean inverse depth map", 0.21)):
        floors += [images(error).assign(method=name), *(images(error, place).assign(method=name) for place in PLACES)]
    pd.concat(floors).to_csv(folder / "baselines.csv", index=False)
    rows = [
        {"scene": scene, "metres": metres, "size": "64×192", "depth": depth, "error": error, "unmasked": 1.2 * error}
        for scene, metres in (("a", 1.0), ("b", 0.0))
        for depth, error in (("the truth", 0.03), ("constant depth", 0.06), ("mean depth map", 0.04))
    ]
    costs = {"the truth": 5.0, "constant depth": 0.0, "mean depth map": 1.0}
    table = pd.DataFrame(rows).assign(teaches=0.8, no_warp=0.1)
    table.assign(consistency=table["depth"].map(costs)).to_csv(folder / "signal.csv", index=False)
    return folder


def test_arms_and_seeds_are_those_that_have_scores(checkout):
    assert video_tables.seeds() == {"depth_only": [1, 2], "segmentation": [1, 2], "masking": [1], "large_poses": [1]}
    assert video_tables.steps_of_ablation() == ["depth_only", "segmentation", "masking"]
    words = video_words.grid_in_words()
    assert "*only depth* (2 of 3)" in words
    assert "Not run: *+ consistency within classes*" in words


def test_each_arm_beside_what_needs_no_picture(checkout):
    table = video_tables.ablation().set_index("method")
    assert table.loc["mean depth map", "AbsRel / mean map's"] == 1
    assert table.loc["only depth", "abs_rel"] == pytest.approx(0.3025)
    assert list(table["trainings"].iloc[:4]) == [0, 0, 0, 2]
    words = video_words.ablation_in_words()
    assert "the best is *+ masking of what moves*: AbsRel 0.253" in words
    assert "below the constant: 3 of 3; below the mean map, which needs no picture: 0; below" in words


def test_a_step_is_compared_on_the_seeds_that_both_have(checkout):
    table = video_tables.effects().set_index(["step", "metric"])
    first = table.loc[("+ segmentation − only depth", "AbsRel")]
    assert first["trainings"] == 2
    assert first["difference"] == pytest.approx(-0.045)
    assert first["verdict"] == "better"
    assert table.loc[("+ segmentation − only depth", "δ1"), "verdict"] == "better"
    second = table.loc[("+ masking of what moves − + segmentation", "AbsRel")]
    assert (second["trainings"], second["verdict"]) == (1, "no effect found")
    assert "no effect found; no effect found in the other columns" in video_words.effects_in_words()
    write(checkout, "full_size_1", 0.5, with_classes=False)
    steps = video_tables.effects()["step"].unique()
    assert len(steps) == 4  # two of the ablation, two diagnoses
    assert list(video_tables.of_ablation(video_tables.effects())["step"].unique()) == list(steps[:2])


def test_motion_beside_straight_ahead(checkout):
    table = video_tables.poses().set_index("method")
    assert table.loc[video_tables.STRAIGHT, "direction_error"] == 2.5  # of the clip that moves alone
    assert table.loc["only depth", "turn_error"] == pytest.approx(0.2)
    assert "turn: 0.20°, below the 0.30°" in video_words.poses_in_words()


def test_places_and_classes_have_a_column_per_method(checkout):
    table = video_tables.places()
    assert list(table["place"]) == list(PLACES[:4])
    assert "large_poses" not in table
    assert "only depth, scales at full size, first poses large" not in table
    assert table["mean depth map"].iloc[0] == pytest.approx(0.2025)
    assert list(video_tables.classes()["class"]) == ["car"]


def test_other_tables_and_words(checkout):
    assert list(video_tables.elsewhere()["data"].unique()) == ["Streets-V"]
    assert video_tables.segmentation()["miou"].iloc[0] == pytest.approx(3 / 8)
    signal = video_tables.signal().set_index("depth")
    assert signal.loc["the truth", "clips"] == 1
    assert "the 1 moving clips have an error of 0.100" in video_words.signal_in_words()
    assert "changes by -50 %, AbsRel from 0.600 to 0.300" in video_words.learning_in_words()
    assert "is 19 % below SGDepth's" in video_words.quoted_in_words(common.quoted("video"))
    assert "0.38" in video_words.segmentation_in_words()


def test_figures_are_drawn_from_what_is_there(checkout):
    depth = video_figures.depth_pictures()
    assert len([axes for axes in depth.axes if axes.images]) >= 3 * 5
    mask = video_figures.mask_pictures()
    assert "agreement 0.50" in mask.axes[0].get_title()
    bars = video_figures.effect_bars(video_tables.effects())
    assert len(bars.axes) == 4


def test_a_single_training_is_enough_for_everything(checkout):
    for path in [*checkout.glob("*_[12]_*.csv")]:
        if not path.name.startswith("depth_only_1_"):
            path.unlink()
    assert video_tables.seeds() == {"depth_only": [1]}
    assert video_tables.effects().empty
    assert video_tables.segmentation().empty
    assert "no effect can be told" in video_words.effects_in_words()
    assert "has been judged yet" in video_words.segmentation_in_words()
    for figure in (video_figures.effect_bars(video_tables.effects()), video_figures.mask_pictures()):
        assert "yet" in figure.texts[0].get_text()


def test_weights_of_the_consistency_loss(checkout):
    table = video_tables.consistency_weights()
    assert list(table["weight"]) == [0]  # of the arm before it, which alone has been judged
    assert table["abs_rel"].iloc[0] == pytest.approx(0.2525)
    write(checkout, "consistency_100_early_1", 0.5, with_classes=True)
    table = video_tables.consistency_weights()
    assert list(table["weight"]) == [0, 0.1]
    assert list(table["from"]) == ["–", "0% of the epochs"]
    assert "consistency_100_early" not in video_tables.steps_of_ablation()
    assert "above 0.0060 both losses" in video_words.consistency_in_words()  # (0.06 - 0.03) / 5


def test_trainings_that_did_not_learn_are_named(checkout):
    table = video_tables.by_training().set_index("method")
    assert table.loc["only depth", "seed 1"] == pytest.approx(0.3025)
    assert table["constant"].tolist() == pytest.approx([0.5025] * 3)
    assert "All 5 trainings learnt" in video_words.trainings_in_words()
    write(checkout, "patches_1", 0.5, with_classes=True)
    words = video_words.trainings_in_words()
    assert "**1 of these 6 trainings did not learn depth**" in words
    assert "*+ patches of its earlier self*, seed 1 (0.503)" in words
