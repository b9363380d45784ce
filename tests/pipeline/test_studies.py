"""A study's notebook runs after its own trainings, and in the paper's other profiles on the scores in git."""

from pathlib import Path

import pytest
import tiny_paper as tiny

from zdlib.pipeline.layout import FRONT, Layout
from zdlib.pipeline.studies import GRID, STUDIES, notebook_of


def test_every_study_has_its_notebook_and_its_scores() -> None:
    layout = Layout("demo")
    for notebook, profile in STUDIES.items():
        assert (layout.root / "notebooks" / f"{notebook}.ipynb").is_file()
        assert layout.scores(profile)
        assert notebook in layout.notebooks
        assert layout.compared(notebook) == layout.scores(profile)


def test_the_study_s_own_profile_waits_for_its_trainings() -> None:
    layout = Layout("study")
    assert layout.study == GRID
    assert layout.notebooks == ["01_data_prep", GRID]
    assert layout.steps[-2:] == [GRID, "report"]
    reads = layout.compared(GRID)
    assert layout.finished("train_oracle_6") in reads
    assert layout.per_image("study_oracle_6", "study_oracle_6_images")[1] in reads


def test_a_shown_study_depends_on_its_own_values_and_not_on_those_of_the_profile_that_shows_it() -> None:
    values = {string.partition(" ")[2] for string in Layout("smoke").depends(GRID) if string.startswith("value ")}
    assert "train.epochs 13" in values
    assert any(value.startswith("study.margin ") for value in values)
    assert values == {s.partition(" ")[2] for s in Layout("study").depends(GRID) if s.startswith("value ")}


def test_a_profile_s_study_is_named_or_the_grid() -> None:
    assert notebook_of("study", has_grid=True) == GRID
    assert notebook_of("paper_study", has_grid=True) == GRID
    for notebook, profile in STUDIES.items():
        assert notebook_of(profile, has_grid=True) == notebook_of(f"paper_{profile}", has_grid=True) == notebook
    assert notebook_of("demo", has_grid=False) is None


def test_without_scores_a_study_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "profiles").mkdir()
    tiny.write_profile(tmp_path)
    for name in ("01_data_prep", GRID, *FRONT):
        tiny.write_notebook(tmp_path / "notebooks" / f"{name}.ipynb")
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    assert Layout("tiny").steps == ["01_data_prep", "train_distill", "predict_distill", *FRONT, "report"]
    scores = tmp_path / "results/study/per_image/study_control_1.csv"
    scores.parent.mkdir(parents=True)
    scores.write_text("")
    assert Layout("tiny").notebooks == ["00_abstract", "01_data_prep", GRID, "99_conclusion"]
    assert Layout("tiny").steps == ["01_data_prep", "train_distill", "predict_distill", GRID, *FRONT, "report"]
