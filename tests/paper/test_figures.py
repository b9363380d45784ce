"""Saving is deterministic and atomic; grids place what they are given."""

import base64
import io
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


@pytest.mark.slow
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


def test_lines_are_shown_as_the_file_s_png_with_a_caption(paths, shown):
    figures.save_figure(line_figure(), "lines", paths, caption="What it shows.")
    (bundle,), options = shown[0]
    assert base64.b64decode(bundle["image/png"]) == (paths.figures / "lines.png").read_bytes()
    assert options["raw"]
    assert options["metadata"]["zdlib"] == {"figure": "lines", "caption": "What it shows.", "width": 330}
    assert "What it shows." in shown[1][0][0].data
    assert sorted(p.name for p in paths.figures.iterdir()) == ["lines.pdf", "lines.png"]


@pytest.mark.slow
def test_photographs_are_small_and_keep_their_colours(paths, shown):
    figure = figures.picture_grid([figures.Column("RGB", photographs()), figures.Column("RGB", photographs())])
    figures.save_figure(figure, "photos", paths)
    assert len(shown) == 1  # no caption, no second output
    assert (paths.figures / "photos.png").stat().st_size <= figures.PNG_LIMIT
    with Image.open(paths.figures / "photos.png") as picture:
        dpi = picture.width / figures.WIDTH
        small = np.asarray(picture.convert("RGB"), dtype=float)
    assert 60 < dpi < figures.DPI, "the size gives way, as far as it must"
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=round(dpi))
    with Image.open(buffer) as picture:
        exact = np.asarray(picture.convert("RGB"), dtype=float)
    assert np.abs(small - exact).mean() < 6  # of 255


def test_thin_lines_keep_their_colours(paths, shown):
    """A rare colour must not be lost to the palette."""
    figure = figures.new_figure(figures.WIDTH, 3.0)
    axes = figure.subplots()
    for row, colour in enumerate(figures.COLOURS):
        axes.plot([0, 0.02], [row, row], color=colour, linewidth=1)
    axes.set_xlim(0, 1)
    figures.save_figure(figure, "lines", paths)
    with Image.open(paths.figures / "lines.png") as picture:
        pixels = np.asarray(picture.convert("RGB"), dtype=int).reshape(-1, 3)
    for colour in figures.COLOURS:
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        assert np.abs(pixels - rgb).max(axis=1).min() < 12, colour


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
