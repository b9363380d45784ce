"""The front page says what the tables say, whatever that is."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from zdlib.config import Profile, load_profile
from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.paper import front_page
from zdlib.paper.pictures import View
from zdlib.paths import RunPaths

FAMILY = {
    "arm": ["w = 0.1", "true labels"],
    "against": ["w = 0", "w = 0"],
    "pairs": [12, 6],
    "difference": [-0.0015, 0.0139],
    "difference_low": [-0.0118, 0.0011],
    "difference_high": [0.0087, 0.0267],
    "p, equivalence": [0.048, 0.7],
}


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Profile, RunPaths]:
    """Tables as notebooks 04, 05 and 09 leave them."""
    profile = load_profile("demo")
    monkeypatch.setattr(front_page, "load_profile", lambda name: load_study)
    load_study = load_profile("study")
    (tmp_path / "profiles").mkdir()
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    paths = RunPaths("demo")
    paths.tables.mkdir(parents=True)
    title = next(iter(profile.runs.values())).title
    save = lambda name, rows: pd.DataFrame(rows).to_csv(paths.tables / f"{name}.csv", index=False)  # noqa: E731
    ends = {"method": title, "delta1_low": 0.5, "delta1_high": 0.99}
    save("nyu_depth", [
        {"protocol": "nyu/standard", "delta1": 0.885} | ends,
        {"protocol": "nyu/published", "delta1": 0.937} | ends,
    ])  # fmt: skip
    recipe = {"method": next(run.title for run in profile.runs.values() if run.recipe == "published")}
    save("nyu_protocols", [
        {"protocol": "nyu/standard-291", "delta1": 0.85} | ends | recipe,
        {"protocol": "nyu/published", "delta1": 0.95} | ends | recipe,
    ])  # fmt: skip
    scaled = {"delta1_scaled": 0.7, "delta1_scaled_low": 0.6, "delta1_scaled_high": 0.8}
    save("ibims_depth", [{"protocol": "ibims/zoedepth", "delta1": 0.425} | ends | scaled])
    save("study_family", FAMILY)
    row = {"method": title, "metric": "δ1", "difference": -0.004, "low": -0.0099, "high": 0.0014, "clusters": 103}
    save("nyu_against_control", [row])
    return profile, paths


def test_findings_are_read_from_the_tables(told: tuple[Profile, RunPaths]) -> None:
    found = front_page.findings(*told)
    table = front_page.findings_table(found)
    assert len(found) == 3
    assert table["value"].tolist() == [-0.0015, 0.85, 0.95, 0.885, 0.425, 0.7]
    stored = ["study_family.csv", "nyu_protocols.csv", "nyu_depth.csv, ibims_depth.csv"]
    assert table["stored in"].unique().tolist() == stored
    text = front_page.in_prose(found)
    assert "Over 12 pairs" in text
    assert "−0.0015 [−0.0118, +0.0087]" in text
    assert "equivalent within ±0.01 (p = 0.048)" in text
    assert "by the original's recipe has δ1 0.950 [0.500, 0.990]" in text


def test_without_the_published_recipe_one_run_is_counted_both_ways(told: tuple[Profile, RunPaths]) -> None:
    profile, paths = told
    runs = {key: run for key, run in profile.runs.items() if run.recipe == "corrected"}
    found = front_page.findings(profile.model_copy(update={"runs": runs}), paths)
    assert [quantity.value for quantity in found[1].quantities] == [0.885, 0.937]
    assert found[1].source == "nyu_depth"


@pytest.mark.parametrize(
    ("shift", "words"), [(0.0, "not supported"), (0.05, "supported: δ1 gains"), (-0.05, "contradicted: δ1 loses")]
)
def test_the_verdict_follows_the_interval(told: tuple[Profile, RunPaths], shift: float, words: str) -> None:
    profile, paths = told
    moved = pd.DataFrame(FAMILY)
    moved[["difference", "difference_low", "difference_high"]] += shift
    moved.to_csv(paths.tables / "study_family.csv", index=False)
    verdict = front_page.verdict(front_page.findings_table(front_page.findings(profile, paths)))
    assert f"**{words}" in verdict
    assert "**+0.100**" in verdict


def test_without_a_study_the_one_pair_speaks_and_says_so(told: tuple[Profile, RunPaths]) -> None:
    profile, paths = told
    assert front_page.contrasts(paths)["name"].tolist() == FAMILY["arm"]
    (paths.tables / "study_family.csv").unlink()
    found = front_page.findings(profile, paths)
    assert found[0].source == "nyu_against_control"
    assert "One pair of trainings" in found[0].words
    assert front_page.contrasts(paths)["difference_low"].tolist() == [-0.0099]
    (paths.tables / "nyu_against_control.csv").unlink()
    with pytest.raises(ZDError, match=r"nyu_against_control\.csv: no such file"):
        front_page.findings(profile, paths)


def test_the_teaser_shows_pictures_path_and_contrasts() -> None:
    depth = np.full((24, 32), 2.0, np.float32)
    sample = Sample("f", np.zeros((24, 32, 3), np.uint8), depth)
    view = View(sample, depth, depth * np.float32(1.5), depth > 0, None)
    path = pd.DataFrame({"change": ["nyu/standard", "1 m floor", "all frames"], "delta1": [0.88, 0.87, 0.93]})
    contrasts = pd.DataFrame(FAMILY).rename(columns={"arm": "name"})
    figure = front_page.teaser([view, view], path, contrasts, 0.01)
    axes = [a for a in figure.axes if a.get_visible()]
    assert sum(bool(a.images) for a in axes) == 8
    steps = next(a for a in axes if a.get_xlabel() == "δ1")
    assert [round(bar.get_width(), 3) for bar in steps.patches] == [-0.01, 0.06]
    last = next(a for a in axes if a.get_xlabel() == "δ1, arm minus control")
    assert {"w = 0.1", "true labels"} <= {text.get_text() for text in last.texts}
