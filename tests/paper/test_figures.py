"""Saving is deterministic and atomic; grids place what they are given."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image
from scipy.ndimage import gaussian_filter

from zdlib.errors import ZDError
from zdlib.paper import figures
from zdlib.paths import RunPaths, repo_root


@pytest.fixture
def paths(tmp_path, monkeypatch) -> RunPaths:
    (tmp_path / "profiles").mkdir()
    monkeypatch.setenv("ZD_ROOT", str(tmp_path))
    return RunPaths("t")


@pytest.fixture
def shown(monkeypatch) -> list:
    calls: list = []
    monkeypatch.setattr(figures, "display", lambda *a, **k: calls.append((a, k)))
    return calls


def photographs() -> list[np.ndarray]:
    noise = np.random.default_rng(0).normal(128, 300, (240, 320, 3))
    smooth = gaussian_filter(noise, (4, 4, 0)).clip(0, 255).astype(np.uint8)
    return [smooth, smooth[::-1].copy()]


def line_figure():
    figure = figures.new_figure(3.0, 2.0)
    figure.subplots().plot([0, 1], [1, 0])
    return figure


SCRIPT = """
import sys
from zdlib.paper import figures
from zdlib.paths import RunPaths
figures.display = lambda *a, **k: None
figure = figures.new_figure(3.0, 2.0)
axes = figure.subplots()
axes.plot([0, 1], [1, 0], label="δ₁ ½")
axes.set_title("title")
axes.legend()
figures.save_figure(figure, sys.argv[1], RunPaths("t"))
"""


def test_same_bytes_in_every_process(paths):
    environment = {"ZD_ROOT": str(repo_root()), "PYTHONPATH": str(figures.__file__).rsplit("/", 3)[0]}
    for name, seed in (("a", "1"), ("b", "2")):
        subprocess.run(
            [sys.executable, "-c", SCRIPT, name],
            check=True,
            env={**environment, "PYTHONHASHSEED": seed, "HOME": "/tmp"},
        )
    for suffix in ("png", "pdf"):
        a, b = (paths.figures / f"{name}.{suffix}" for name in "ab")
        assert a.read_bytes() == b.read_bytes(), suffix


def test_lines_are_shown_as_png_with_a_caption(paths, shown):
    figures.save_figure(line_figure(), "lines", paths, caption="What it shows.")
    (bundle,), options = shown[0]
    assert "image/png" in bundle
    assert options["raw"]
    assert options["metadata"]["zdlib"] == {"figure": "lines", "caption": "What it shows."}
    assert "What it shows." in shown[1][0][0].data
    assert sorted(p.name for p in paths.figures.iterdir()) == ["lines.pdf", "lines.png"]


def test_photographs_are_shown_smaller_as_jpeg(paths, shown):
    figure = figures.picture_grid([figures.Column("RGB", photographs())])
    figures.save_figure(figure, "photos", paths)
    ((bundle,), _) = shown[0]
    assert "image/jpeg" in bundle
    assert len(shown) == 1  # no caption, no second output


def test_a_folder_in_the_way_is_one_line(paths, shown):
    (paths.figures / "lines.png" / "in the way").mkdir(parents=True)
    with pytest.raises(ZDError, match="cannot be written"):
        figures.save_figure(line_figure(), "lines", paths)


def test_grid_has_a_place_for_every_picture_and_shares_colour_bars():
    rgb = photographs()
    truth = [figures.depth_picture(np.full((240, 320), d, np.float32)) for d in (1, 2)]
    scale = figures.metric_scale()
    columns = [
        figures.Column("RGB", rgb),
        figures.Column("ground truth", truth, scale),
        figures.Column("prediction", [truth[0], None], scale),
        figures.Column("error", truth, figures.error_scale()),
    ]
    figure = figures.picture_grid(columns, ["a", "b"], (["x", "y"], np.eye(3, dtype=np.uint8)[:2]))
    places: list[Axes] = figure.axes
    assert sum(bool(a.images) for a in places) == 7
    assert len(places) == 8 + 2  # two rows of four, one bar for both depth columns, one for the error
    assert [a.get_title() for a in places if a.get_title()] == [c.title for c in columns]
    assert len(figure.legends[0].get_texts()) == 2


def test_saved_png_has_the_size_it_says(paths, shown):
    figures.save_figure(line_figure(), "lines", paths)
    with Image.open(paths.figures / "lines.png") as picture:
        assert picture.size == (3 * figures.DPI, 2 * figures.DPI)
