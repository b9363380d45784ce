"""The study's tables on made-up scores, and the quoted numbers against what follows from them."""

import numpy as np
import pandas as pd
import pytest

from zdlib.config import load_profile
from zdlib.errors import ZDError
from zdlib.paper.unlabelled import study
from zdlib.paths import RunPaths

PROFILE = load_profile(study.PROFILE)
GAIN = {"labelled": 0.0, "plain": 0.0, "perturbed": -0.02, "cutmix": -0.02, "aligned": -0.03, "meter": -0.05}


def write(folder, arms=None) -> RunPaths:
    """Scores of a grid in which each arm's AbsRel is a known distance from that of labels alone."""
    paths = RunPaths(study.PROFILE)
    assert paths.per_image.is_relative_to(folder)
    paths.per_image.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for arm, config in PROFILE.study.arms.items():
        for seed in (arms or {}).get(arm, config.seeds):
            rows = [
                {"data": data, "frame": n, "scene": f"s{n // 2}", "scale": scale, "delta1": 0.5,
                 "abs_rel": 0.3 + 0.01 * n + 0.002 * seed + GAIN[arm] + 1e-4 * rng.standard_normal()}
                for data in ("HoloLens", "real-mix") for scale in ("depth", "disparity") for n in range(6)
            ]  # fmt: skip
            pd.DataFrame(rows).to_csv(paths.per_image / f"study_{arm}_{seed}.csv", index=False)
    for name in study.REFERENCES:
        pd.DataFrame(rows).to_csv(paths.per_image / f"{name}.csv", index=False)
    return paths


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "profiles").mkdir()
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    return tmp_path


def test_differences_are_those_that_were_put_in(folder) -> None:
    frames = study.load_frames(PROFILE, write(folder))
    scores = study.means(frames)
    table = study.differences(PROFILE, scores, "depth")
    walk = table[table["data"] == "HoloLens"].set_index(["arm", "against"])["difference"]
    title = {arm: config.title for arm, config in PROFILE.study.arms.items()}
    for arm, against in PROFILE.study.pairs:
        assert walk[title[arm], title[against]] == pytest.approx(GAIN[arm] - GAIN[against], abs=5e-4)
    fixed = study.family(PROFILE, frames).set_index("arm")
    perturbed = fixed.loc[title["perturbed"]]
    assert perturbed["difference_low"] < -0.0195 < perturbed["difference_high"] + 5e-4
    assert perturbed["joint low"] < -0.0195 < perturbed["joint high"] + 1e-3
    assert perturbed["p, Holm"] == pytest.approx(2 * 2 / 2**5)
    plain = fixed.loc[title["plain"]]
    assert plain["difference_low"] < 0 < plain["difference_high"]


def test_the_ablation_has_a_row_per_arm_and_the_teacher_that_is_real(folder) -> None:
    paths = write(folder)
    scores, beside = study.means(study.load_frames(PROFILE, paths)), study.means(study.load_references(paths))
    table = study.ablation(PROFILE, scores, "disparity", "abs_rel", beside).set_index("arm")
    assert table.loc["labels alone", "seeds"] == 5
    assert table.loc["labels alone", "HoloLens"] == pytest.approx(0.3 + 0.025 + 0.006, abs=1e-3)
    assert table.loc["labels alone", "HoloLens_low"] < table.loc["labels alone", "HoloLens"]
    assert np.isnan(table.loc["METER itself", "HoloLens_low"])
    assert list(table.index[-2:]) == list(study.REFERENCES.values())
    assert study.ablation(PROFILE, scores, "disparity", "abs_rel", beside.iloc[:0])["arm"].iloc[-1] != "METER itself"


def test_a_grid_that_was_cut_off_is_shown_and_one_without_pairs_is_not(folder, monkeypatch) -> None:
    two = {arm: [1, 2] for arm in GAIN} | {"aligned": [1], "cutmix": [], "meter": []}
    frames = study.load_frames(PROFILE, write(folder, two))
    scores = study.means(frames)
    assert set(frames["arm"]) == {"labelled", "plain", "perturbed", "aligned"}
    assert PROFILE.study.arms["aligned"].title not in set(study.differences(PROFILE, scores, "depth")["arm"])
    for path in RunPaths(study.PROFILE).per_image.glob("study_perturbed_*"):
        path.unlink()
    with pytest.raises(ZDError, match="no two seeds of perturbed and labelled"):
        study.load_frames(PROFILE, RunPaths(study.PROFILE))


def test_the_verdict_follows_both_intervals() -> None:
    ends = {"difference_low": -0.03, "difference_high": -0.01, "joint low": -0.04, "joint high": -0.005}
    row = {"difference": -0.02, "seeds": 5, **ends}
    assert "student, lower the AbsRel" in study.verdict(row, None)
    above = {name.replace("low", "?").replace("high", "low").replace("?", "high"): -end for name, end in ends.items()}
    assert "student, raise the AbsRel" in study.verdict({**row, **above}, None)
    for end in ("difference_high", "joint high"):
        said = study.verdict({**row, end: 0.01}, row)
        assert "do not measurably change" in said
    assert said.endswith("the change is -0.0200 (-0.0300 to -0.0100 over 5 seeds).")


def test_accuracies_are_paired_by_seed() -> None:
    rows = [
        {"input": name, "seed": seed, "epoch": epoch, "accuracy": 0.1 * seed + gain + 0.01 * epoch}
        for name, gain in (("RGB", 0.0), ("depth", -0.1))
        for seed in (1, 2, 3)
        for epoch in (1, 2)
    ]
    rows.append({"input": "most frequent kind", "seed": 0, "epoch": 2, "accuracy": 0.2})
    table = study.accuracies(pd.DataFrame(rows), (1, 2)).set_index("input")
    assert table.loc["RGB", "after 2 epochs"] == pytest.approx(0.22)
    assert table.loc["depth", "gain on RGB_high"] == pytest.approx(-0.1)
    assert table.loc["most frequent kind", "after 2 epochs"] == 0.2


def test_printed_means_follow_from_the_printed_columns() -> None:
    table = study.across("tolerance").set_index("method")["mean"]
    printed = study.published("tolerance").drop_duplicates("method").set_index("method")["printed_mean"]
    assert (table - printed).abs().max() <= 0.0005 + 1e-9
    assert len(study.across("relative")) == 7
    assert study.across("relative")["mean"].between(0.1, 0.3).all()


def test_the_table_s_last_arm_is_the_released_network() -> None:
    """Table 9 ends where Table 2 has ViT-L, for each data set."""
    ablation = study.published("ablation").set_index(["method", "data"])["abs_rel"]["+ feature alignment (L_feat)"]
    relative = study.published("relative").set_index(["method", "data"])["abs_rel"]["Depth Anything L"]
    assert ablation.to_dict() == relative.to_dict()
