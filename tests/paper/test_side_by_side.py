"""Five ways to learn, side by side: aligned alike, judged on the same frames, shown without weights."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from zdlib.data.sample import Sample
from zdlib.errors import ZDError
from zdlib.models.depth_model import Convention, DepthModel
from zdlib.paper import side_by_side


class Guess(DepthModel):
    """Says the same of every picture."""

    def __init__(self, kind, depth):
        super().__init__(torch.nn.Identity(), Convention(kind=kind))
        self.depth = depth

    def forward(self, images, domain=None):
        raise AssertionError

    def __call__(self, picture, options=None):
        return self.depth


@pytest.fixture
def frames():
    """Two made-up frames of each data set, of a slope."""
    rng = np.random.default_rng(0)
    depth = np.linspace(2, 9, 40 * 60, dtype=np.float32).reshape(40, 60)
    return {
        name: [
            Sample(f"{name} {k}", rng.integers(0, 255, (40, 60, 3), np.uint8), depth + k, scene=str(k)) for k in (0, 1)
        ]
        for name in side_by_side.FARTHEST
    }


@pytest.fixture
def root(tmp_path, monkeypatch, frames):
    """A checkout with two of the five checkpoints: one says the truth in metres, the other nothing at all."""
    guesses = {
        "supervised": Guess("metric", 3 * frames["Rooms-N"][0].depth),
        "pseudo-labelled": Guess("relative", np.ones((40, 60), np.float32)),
    }
    by_path = {tmp_path / pupil.weights: guesses.get(pupil.title) for pupil in side_by_side.PUPILS}
    for path, guess in by_path.items():
        if guess is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    monkeypatch.setattr(side_by_side, "load_depth_model", lambda path: by_path[path])
    monkeypatch.setattr(side_by_side, "tests", lambda: [side_by_side.Tests(n, f) for n, f in frames.items()])
    monkeypatch.setattr(side_by_side, "repo_root", lambda: tmp_path)
    return tmp_path


def test_networks_of_any_kind_are_aligned_alike(root):
    scores, pictures = side_by_side.judge(root)
    assert len(scores) == 2 * 3 * 2
    means = scores[scores["frame"] == 0].groupby("network")["abs_rel"].max()
    assert means["supervised"] < 1e-5  # three times too far is a matter of scale
    assert means["pseudo-labelled"] > 0.1
    assert set(pictures) == {f"{n} {d}" for n in ("supervised", "pseudo-labelled") for d in side_by_side.FARTHEST}


def test_table_and_figure_are_made_of_the_files(root):
    side_by_side.main()
    table = side_by_side.table(root)
    assert table["network"].tolist() == ["supervised", "pseudo-labelled"]
    scores = pd.read_csv(root / side_by_side.FOLDER / "scores.csv")
    expected = scores.query("network == 'supervised' and data == 'Rooms-N'")["abs_rel"].mean()
    row = table.iloc[0]
    assert row["Rooms-N"] == pytest.approx(expected)
    assert row["Rooms-N_low"] <= row["Rooms-N"] <= row["Rooms-N_high"]
    assert isinstance(side_by_side.figure(root), Figure)


def test_without_checkpoints_or_files_it_says_what_to_do(tmp_path):
    with pytest.raises(ZDError, match="holds none of the five checkpoints"):
        side_by_side.judge(tmp_path)
    for made in (side_by_side.table, side_by_side.figure):
        with pytest.raises(ZDError, match=r"no such file: python -m zdlib.paper.side_by_side makes it"):
            made(tmp_path)


@pytest.mark.slow
def test_the_real_frames_are_there():
    kept = {data.title: data for data in side_by_side.tests()}
    assert list(kept) == list(side_by_side.FARTHEST)
    assert len(kept["Streets-K"].frames) == 30
    assert len({sample.scene for sample in kept["Streets-K"].frames}) == 30
